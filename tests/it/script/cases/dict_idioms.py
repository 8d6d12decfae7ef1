d = {'b': 2, 'a': 1}
print(sorted(d), list(d.items()), d.get('z', 'none'), 'a' in d, len(d))
for i, (k, v) in enumerate(sorted(d.items()), 1):
    print(i, k, v)
inv = {v: k for k, v in d.items()}
merged = {**d, 'c': 3}
merged.update({'d': 4}, e=5)
print(inv, merged, merged.pop('a'), merged.pop('zz', None), list(merged))
print(dict(zip(['x', 'y'], [1, 2])), dict.fromkeys(['p', 'q'], 0), d | {'z': 9}, max(d.values()), min(d, key=d.get))
nested = {'a': {'b': {'c': 1}}}
print(nested.get('a', {}).get('b', {}).get('c'), nested['a']['b'])
print(all(k in d for k in ('a', 'b')), any(v > 1 for v in d.values()), d == {'a': 1, 'b': 2})
d.clear(); print(d, bool(d), not d)

#--- what it prints (>), writes (+ and |)
# > ['a', 'b'] [('b', 2), ('a', 1)] none True 2
# > 1 a 1
# > 2 b 2
# > {2: 'b', 1: 'a'} {'b': 2, 'c': 3, 'd': 4, 'e': 5} 1 None ['b', 'c', 'd', 'e']
# > {'x': 1, 'y': 2} {'p': 0, 'q': 0} {'b': 2, 'a': 1, 'z': 9} 2 a
# > 1 {'c': 1}
# > True True True
# > {} False True
