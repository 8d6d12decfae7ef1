with open('log.txt', 'w') as f:
    f.write('first\n')
with open('log.txt', 'a') as f:
    f.write('second\n')
    print('third', 3, sep='-', file=f)
print(open('log.txt').read(), end='')
with open('log.txt') as f:
    print(f.readline().strip(), [l.strip() for l in f])

#--- what it prints (>), writes (+ and |)
# > first
# > second
# > third-3
# > first ['second', 'third-3']
# + log.txt
# | first
# | second
# | third-3
# | 
