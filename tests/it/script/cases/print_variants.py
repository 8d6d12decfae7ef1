import sys
print('a', 'b', sep=', ', end='!\n')
print(*[1, 2, 3], sep='\n')
print('to stderr', file=sys.stderr) if False else None
sys.stdout.write('written\n')
print()
print([1.0, 2.5], {'k': None}, (1,), {3}, True)

#--- what it prints (>), writes (+ and |)
# > a, b!
# > 1
# > 2
# > 3
# > written
# > 
# > [1.0, 2.5] {'k': None} (1,) {3} True
