import re
from collections import Counter
errors = Counter()
pattern = re.compile(r'^(\d{4}-\d{2}-\d{2}) (\d{2}):(\d{2}):\d{2} (\w+)\s+(.*)$')
with open('server.log') as log:
    for line in log:
        m = pattern.match(line.rstrip('\n'))
        if m and m.group(4) == 'ERROR':
            errors[m.group(5)] += 1
for message, n in errors.most_common():
    print('%-45s %3d' % (message, n))
slow = re.findall(r'took (\d+)ms', open('server.log').read())
print(sum(map(int, slow)))

#--- what it prints (>), writes (+ and |)
# > cannot open database: timeout after 30s         2
# > cannot send mail: refused                       1
# > 1200
