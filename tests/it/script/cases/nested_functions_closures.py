def make_counter():
    count = 0
    def step(by=1):
        nonlocal count
        count += by
        return count
    return step

c = make_counter()
c(); c(5)
print(c())
compose = lambda *fs: lambda x: [f(x) for f in fs]
print(compose(abs, str, lambda v: v ** 2)(-3))
def f(a, *args, b=2, **kwargs):
    return a, args, b, sorted(kwargs.items())
print(f(1, 2, 3, b=4, z=5, y=6))

#--- what it prints (>), writes (+ and |)
# > 7
# > [3, '-3', 9]
# > (1, (2, 3), 4, [('y', 6), ('z', 5)])
