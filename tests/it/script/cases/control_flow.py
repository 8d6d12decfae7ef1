for n in range(2, 12):
    for d in range(2, n):
        if n % d == 0:
            break
    else:
        print(n, end=' ')
print()
i = 0
while True:
    i += 1
    if i == 2:
        continue
    if i > 4:
        break
    print(i, end=',')
else:
    print('never')
print()
x = 5
kind = 'big' if x > 10 else 'mid' if x > 3 else 'small'
print(kind, x if x else 0, x and 'yes', None or 'default', not x, 1 < x < 10, (lambda v: v + 1)(x))
if (n := len(kind)) > 2: print('walrus', n)
try:
    try:
        int('x')
    except ValueError as e:
        print('inner', e)
        raise KeyError('k') from e
except (KeyError, IndexError) as e:
    print('outer', type(e).__name__, e)
else:
    print('no')
finally:
    print('done')
assert x == 5, 'wrong'
def check(v):
    if v < 0: raise ValueError(f'negative: {v}')
    return v
for v in (1, -1):
    try: print(check(v))
    except Exception as e: print('Error:', e)
def early(xs):
    for x in xs:
        if x > 1: return x
print(early([1, 2]), early([]))
del x
pass

#--- what it prints (>), writes (+ and |)
# > 2 3 5 7 11 
# > 1,3,4,
# > mid 5 yes default False True 6
# > walrus 3
# > inner invalid literal for int() with base 10: 'x'
# > outer KeyError 'k'
# > done
# > 1
# > Error: negative: -1
# > 2 None
