d = {'a': 1, 'b': 2, 'c': 3}
del d['b']
items = [0, 1, 2, 3, 4, 5]
del items[0]
del items[1:3]
items[0:1] = [9, 9]
print(d, items, items[::-1], items[-2:])
a, *rest = items
print(a, rest)
x = [3, 1, 2]
x[::2] = [0, 0]
print(x)

#--- what it prints (>), writes (+ and |)
# > {'a': 1, 'c': 3} [9, 9, 4, 5] [5, 4, 9, 9] [4, 5]
# > 9 [9, 4, 5]
# > [0, 1, 0]
