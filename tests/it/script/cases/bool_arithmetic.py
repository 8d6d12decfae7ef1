flags = [True, False, True]
print(sum(flags), sum(x > 1 for x in [1, 2, 3]), 3 - (2 > 1), True + True, 5 * (1 < 2))
n = 0
n += (3 > 2)
print(n, int(True), [1, 2][2 > 1])

#--- what it prints (>), writes (+ and |)
# > 2 2 2 2 5
# > 1 1 2
