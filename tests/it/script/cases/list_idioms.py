a = [5, 3, 8]
a.append(1); a.extend([9, 2]); a.insert(0, 7); a.remove(3)
print(a, a.pop(), a.pop(0), a.index(8), a.count(5), len(a), a[-1], a[1:3], a[:], a[::2])
a.sort(); print(a); a.reverse(); print(a)
b = a.copy(); b[0] = 100; print(a[0], b[0], a == b, a + b, [0] * 3, 8 in a)
m = [[0] * 3 for _ in range(2)]; m[1][2] = 5; print(m, [r[2] for r in m])
first, *middle, last = [1, 2, 3, 4]; print(first, middle, last)
pairs = list(zip('abc', [1, 2, 3])); print(pairs, list(map(lambda p: p[1] * 2, pairs)), list(filter(lambda p: p[1] > 1, pairs)))
flat = [x for row in [[1, 2], [3]] for x in row if x != 2]; print(flat, sum(flat), list(reversed(flat)), sorted(flat, reverse=True))
print([i for i, x in enumerate('abca') if x == 'a'], list(enumerate(['x'], start=5)), any([]), all([]), [None] or 'empty', [] or 'empty')
seen = set(); unique = [x for x in [1, 2, 1, 3] if not (x in seen or seen.add(x))]; print(unique)
while a and a[-1] < 8:
    a.pop()
print(a, tuple(a), set([1, 1]), frozenset([2]), list('abc'), list({'k': 1}), [*range(3), *'ab'], {*[1], 2})

#--- what it prints (>), writes (+ and |)
# > [5, 8, 1, 9] 2 7 1 1 4 9 [8, 1] [5, 8, 1, 9] [5, 1]
# > [1, 5, 8, 9]
# > [9, 8, 5, 1]
# > 9 100 False [9, 8, 5, 1, 100, 8, 5, 1] [0, 0, 0] True
# > [[0, 0, 0], [0, 0, 5]] [0, 5]
# > 1 [2, 3] 4
# > [('a', 1), ('b', 2), ('c', 3)] [2, 4, 6] [('b', 2), ('c', 3)]
# > [1, 3] 4 [3, 1] [3, 1]
# > [0, 3] [(5, 'x')] False True [None] empty
# > [1, 2, 3]
# > [9, 8] (9, 8) {1} frozenset({2}) ['a', 'b', 'c'] ['k'] [0, 1, 2, 'a', 'b'] {1, 2}
