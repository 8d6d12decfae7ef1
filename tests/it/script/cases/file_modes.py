with open('a.txt', 'w') as f:
    n = f.write('one\ntwo\nthree\n')
    f.writelines(['four\n', 'five\n'])
print(n)
with open('a.txt', 'r') as f:
    print(f.readline(), end='')
    print(f.read(4), end='')
    f.seek(0)
    print([line.rstrip() for line in f.readlines()])
with open('a.txt', 'r+') as f:
    text = f.read()
    f.seek(0)
    f.write(text.upper())
print(open('a.txt').read().splitlines()[0])
f = open('a.txt', 'a+')
f.write('end')
f.close()
print(f.closed, f.name, len(open('a.txt').readlines()))
with open('a.txt', 'rb') as f:
    raw = f.read()
print(type(raw).__name__, len(raw), raw[:3], raw.decode('utf-8')[-3:])
with open('b.bin', 'wb') as f:
    f.write('bytes'.encode())
print(open('b.bin').read())
try:
    open('a.txt', 'x')
except FileExistsError:
    print('exists')
f = open('b.bin')
f.close()
try:
    f.read()
except ValueError as e:
    print(e)

#--- what it prints (>), writes (+ and |)
# > 14
# > one
# > two
# > ['one', 'two', 'three', 'four', 'five']
# > ONE
# > True a.txt 6
# > bytes 27 b'ONE' end
# > bytes
# > exists
# > I/O operation on closed file.
# + a.txt
# | ONE
# | TWO
# | THREE
# | FOUR
# | FIVE
# | end
# + b.bin
# | bytes
