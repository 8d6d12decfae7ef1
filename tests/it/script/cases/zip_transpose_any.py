rows = [['a', 1], ['b', 2], ['c', 3]]
names, values = zip(*rows)
print(names, values, dict(rows), list(enumerate(names)))
print(any(v > 2 for v in values), all(values), sum(values) / len(values))
matrix = [[1, 2], [3, 4]]
print([list(col) for col in zip(*matrix)], [v for row in matrix for v in row])

#--- what it prints (>), writes (+ and |)
# > ('a', 'b', 'c') (1, 2, 3) {'a': 1, 'b': 2, 'c': 3} [(0, 'a'), (1, 'b'), (2, 'c')]
# > True True 2.0
# > [[1, 3], [2, 4]] [1, 2, 3, 4]
