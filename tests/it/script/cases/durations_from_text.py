import re
entries = ['1h 30m', '45m', '2h', '1h 5m']
total = 0
for e in entries:
    h = re.search(r'(\d+)h', e)
    m = re.search(r'(\d+)m', e)
    total += (int(h.group(1)) if h else 0) * 60 + (int(m.group(1)) if m else 0)
print(total, '%d:%02d' % divmod(total, 60))

#--- what it prints (>), writes (+ and |)
# > 320 5:20
