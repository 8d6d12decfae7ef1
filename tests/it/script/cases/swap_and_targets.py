items = [3, 1, 2]
items[0], items[1] = items[1], items[0]
d = {}
d['a'], d['b'] = 1, 2
class P: pass
p = P()
p.x, p.y = 4, 5
print(items, d, p.x + p.y)
n = len(items)
for i in range(n):
    for j in range(0, n - i - 1):
        if items[j] > items[j + 1]:
            items[j], items[j + 1] = items[j + 1], items[j]
print(items)

#--- what it prints (>), writes (+ and |)
# > [1, 3, 2] {'a': 1, 'b': 2} 9
# > [1, 2, 3]
