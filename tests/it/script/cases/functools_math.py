from functools import reduce, lru_cache
import math

@lru_cache(maxsize=None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

print(fib(50), reduce(lambda a, b: a * b, [1, 2, 3, 4]))
print(math.sqrt(16), math.ceil(2.1), math.floor(-2.1), round(math.pi, 4), math.gcd(12, 18), math.prod([2, 3]))

#--- what it prints (>), writes (+ and |)
# > 12586269025 24
# > 4.0 3 -3 3.1416 6 6
