data = [('b', 2, 'x'), ('a', 2, 'y'), ('c', 1, 'z')]
data.sort(key=lambda t: (-t[1], t[0]))
print(data)
print(sorted(data, key=lambda t: t[2], reverse=True)[0], min(data), max(data, key=lambda t: t[1]))
words = 'the cat sat on the mat'.split()
by_len = {}
for w in words:
    by_len.setdefault(len(w), set()).add(w)
print({k: sorted(v) for k, v in sorted(by_len.items())})
print(sorted(words, key=len)[:2], sorted(set(words)), ' '.join(reversed(words)))

#--- what it prints (>), writes (+ and |)
# > [('a', 2, 'y'), ('b', 2, 'x'), ('c', 1, 'z')]
# > ('c', 1, 'z') ('a', 2, 'y') ('a', 2, 'y')
# > {2: ['on'], 3: ['cat', 'mat', 'sat', 'the']}
# > ['on', 'the'] ['cat', 'mat', 'on', 'sat', 'the'] mat the on sat cat the
