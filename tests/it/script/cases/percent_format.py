name, n, ratio = 'total', 7, 0.4567
print('%s has %d rows (%.1f%%)' % (name, n, ratio * 100))
print('%5d|%-6s|%06.2f|%x' % (42, 'ab', 3.14159, 255))
print('%(who)s: %(n)03d' % {'who': 'Ann', 'n': 7})
print('%s' % [1, 2], '%r' % 'x', '100%%' % ())
total = 17
print(total % 5, 'even' if total % 2 == 0 else 'odd')

#--- what it prints (>), writes (+ and |)
# > total has 7 rows (45.7%)
# >    42|ab    |003.14|ff
# > Ann: 007
# > [1, 2] 'x' 100%
# > 2 odd
