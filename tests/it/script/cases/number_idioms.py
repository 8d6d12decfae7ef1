print(7 // 2, -7 // 2, 7 % 3, -7 % 3, 2 ** 10, 2 ** 0.5, 7 / 2, int('42'), float('1e3'), int(3.99), round(2.5), round(3.14159, 2))
print(abs(-3), min(1, 2, 3), max([4, 5]), sum([1, 2, 3]), sum([[1], [2]], []), divmod(17, 5), pow(2, 3), bin(5), hex(255), oct(8))
print(1_000_000, 0b101, 0xff, 1e-3, 10 ** -2, float('inf') > 1, 0.1 + 0.2, round(0.1 + 0.2, 2), 1 / 3)
print(int('ff', 16), int(True), bool(0), bool('x'), None is None, 1 == 1.0, 3 is not None, isinstance(3, int), isinstance(3.0, (int, float)))
print(f'{1234567.891:,.2f} {0.1234:.1%} {42:08.3f} {255:x} {5:b} {1e10:g} {3:>4}|{3:<4}|{3:^4}|{-5:+}')
x = 10
x += 5; x -= 3; x *= 2; x //= 5; x **= 2; x %= 7
print(x, x & 1, x | 8, x ^ 3, x << 2, x >> 1, ~x)
print(list(range(5)), list(range(2, 10, 3)), list(range(5, 0, -2)), 3 in range(5), len(range(10)))
import math
print(math.sqrt(2), math.floor(2.7), math.ceil(2.1), math.log10(1000), math.isclose(0.1 + 0.2, 0.3), math.fsum([0.1] * 10), math.inf, math.hypot(3, 4))

#--- what it prints (>), writes (+ and |)
# > 3 -4 1 2 1024 1.4142135623730951 3.5 42 1000.0 3 2 3.14
# > 3 1 5 6 [1, 2] (3, 2) 8 0b101 0xff 0o10
# > 1000000 5 255 0.001 0.01 True 0.30000000000000004 0.3 0.3333333333333333
# > 255 1 False True True True True True True
# > 1,234,567.89 12.3% 0042.000 ff 101 1e+10    3|3   | 3  |-5
# > 2 0 10 1 8 1 -3
# > [0, 1, 2, 3, 4] [2, 5, 8] [5, 3, 1] True 10
# > 1.4142135623730951 2 3 3.0 True 1.0 inf 5.0
