import copy, random
a = {'x': [1, 2]}
b = copy.deepcopy(a)
b['x'].append(3)
print(a, b)
random.seed(4)
picked = random.sample(range(10), 3)
print(len(picked), all(0 <= p < 10 for p in picked), random.choice(['only']))

#--- what it prints (>), writes (+ and |)
# > {'x': [1, 2]} {'x': [1, 2, 3]}
# > 3 True only
