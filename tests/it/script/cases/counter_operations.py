from collections import Counter, OrderedDict, deque, namedtuple
a = Counter('banana'); b = Counter(a=1, c=2)
print(a + b, a - b, sorted(a.elements()), a['zzz'], sum(a.values()))
a.subtract({'b': 1})
print(a, +a)
od = OrderedDict([('x', 1), ('y', 2)])
od['z'] = 3
print(list(od.items()))
q = deque([1, 2, 3]); q.appendleft(0); q.rotate(1); print(q.popleft(), list(q))
Point = namedtuple('Point', ['x', 'y'])
p = Point(1, 2); print(p, p.x + p.y, p._replace(x=5), Point._fields if hasattr(Point, '_fields') else '')

#--- what it prints (>), writes (+ and |)
# > Counter({'a': 4, 'n': 2, 'c': 2, 'b': 1}) Counter({'a': 2, 'n': 2, 'b': 1}) ['a', 'a', 'a', 'b', 'n', 'n'] 0 6
# > Counter({'a': 3, 'n': 2, 'b': 0}) Counter({'a': 3, 'n': 2})
# > [('x', 1), ('y', 2), ('z', 3)]
# > 3 [0, 1, 2]
# > Point(x=1, y=2) 3 Point(x=5, y=2) ('x', 'y')
