print('{} {!r:>6} {:,.2f}'.format('a', 'b', 1234567.891))
print('{name} is {age:03d}'.format(name='Ann', age=7))
print('{0:<10}|{1:^10}|{2:>10}'.format('left', 'mid', 'right'))
print(f"{'Region':<10}{'Units':>8}")
for r, u in [('North', 6), ('South', 4)]:
    print(f'{r:<10}{u:>8,}')
print(f'{3.14159:.3f} {1e6:,.0f} {0.256:.1%} {255:#x} {5:>+4d}' if False else f'{3.14159:.3f} {1e6:,.0f} {0.256:.1%}')

#--- what it prints (>), writes (+ and |)
# > a    'b' 1,234,567.89
# > Ann is 007
# > left      |   mid    |     right
# > Region       Units
# > North            6
# > South            4
# > 3.142 1,000,000 25.6%
