import re, glob
emails = set()
for path in sorted(glob.glob('notes/*.md')):
    with open(path) as f:
        text = f.read()
    emails.update(re.findall(r'[\w.+-]+@[\w-]+\.[\w.]+', text))
print(sorted(emails))
m = re.search(r'Budget is ([\d,]+) EUR', open('notes/ideas.md').read())
print(int(m.group(1).replace(',', '')))

#--- what it prints (>), writes (+ and |)
# > ['ann@example.org', 'bob.ray@example.com.']
# > 1250
