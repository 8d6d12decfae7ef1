people = [{'n': 'a', 'age': 3}, {'n': 'b', 'age': 9}]
print(next((p['n'] for p in people if p['age'] > 5), None))
print(next(p for p in people if p['age'] < 5)['n'])
print(next((p for p in people if p['age'] > 50), 'nobody'))
g = (x * x for x in range(4))
print(next(g), next(g), list(g))
it = iter([1, 2])
print(next(it), next(it), next(it, 'end'))

#--- what it prints (>), writes (+ and |)
# > b
# > a
# > nobody
# > 0 1 [4, 9]
# > 1 2 end
