rows = [('Lamp', 19.9, 3), ('Chair', 89.5, 1)]
width = max(len(name) for name, _, _ in rows)
for name, price, n in rows:
    print(f"{name.upper():<{width}} {price * n:>8.2f} {'*' * n}")
print(f'{len(rows)} rows, total {sum(p * n for _, p, n in rows):.2f}, {rows[0][0]!r}, {rows[1][2] % 2 == 0}')

#--- what it prints (>), writes (+ and |)
# > LAMP     59.70 ***
# > CHAIR    89.50 *
# > 2 rows, total 149.20, 'Lamp', False
