counts = {'x': 3, 'y': 5, 'z': 1}
print(max(counts, key=counts.get), sorted(counts, key=counts.get))
words = ['b', 'A', 'c']
print(sorted(words, key=str.lower), list(map(str.upper, words)))
lines = [' a ', 'b ']
print(list(map(str.strip, lines)))
out = []
push = out.append
push(1)
push(2)
print(out)

#--- what it prints (>), writes (+ and |)
# > y ['z', 'x', 'y']
# > ['A', 'b', 'c'] ['B', 'A', 'C']
# > ['a', 'b']
# > [1, 2]
