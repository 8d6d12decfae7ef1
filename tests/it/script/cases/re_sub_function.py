import re
text = open('notes/meeting.md').read()
print(re.sub(r'\d{4}-(\d{2})-(\d{2})', lambda m: f'{m.group(2)}.{m.group(1)}.', text).splitlines()[-1])
print(re.sub(r'\s+', ' ', '  a  b '), re.split(r'[;,]\s*', 'a, b;c'), bool(re.fullmatch(r'[A-Z]\d', 'T1')))
for m in re.finditer(r'(?P<box>\[.\]) (?P<what>\w+)', text):
    print(m.group('box'), m['what'], m.groupdict()['what'])

#--- what it prints (>), writes (+ and |)
# > Next meeting: 11.03..
# >  a b  ['a', 'b', 'c'] True
# > [x] send send
# > [ ] call call
# > [ ] order order
