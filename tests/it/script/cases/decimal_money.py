from decimal import Decimal, ROUND_HALF_UP
import csv
total = Decimal('0')
with open('sales.csv') as f:
    for row in csv.DictReader(f):
        total += Decimal(row['price']) * int(row['units'])
print(total)
tax = (total * Decimal('0.19')).quantize(Decimal('0.01'), rounding=ROUND_HALF_UP)
print(tax, total + tax, f'{total:.2f}', float(total), round(tax, 1))
print(Decimal('1.10') + Decimal('2.20'), Decimal('3') > Decimal('2.5'), sum([Decimal('0.1')] * 3), max(Decimal('1'), Decimal('2')))
prices = sorted([Decimal('3.5'), Decimal('1.25')])
print(prices, str(prices[0]), -prices[0], abs(Decimal('-4')), Decimal('7') // 2, Decimal('7') % 4, Decimal(1) / Decimal(8), Decimal('2.675').quantize(Decimal('0.01')), int(Decimal('3.7')), Decimal('1.0') == 1)

#--- what it prints (>), writes (+ and |)
# > 1450.20
# > 275.54 1725.74 1450.20 1450.2 275.5
# > 3.30 True 0.3 2
# > [Decimal('1.25'), Decimal('3.5')] 1.25 -1.25 4 3 3 0.125 2.68 3 True
