import csv
import glob
total = 0.0
by_sku = {}
for filename in sorted(glob.glob('orders/*.csv')):
    with open(filename, newline='') as f:
        for row in csv.DictReader(f, delimiter=';'):
            price = float(row['unit_price'].replace(',', '.'))
            amount = int(row['qty']) * price
            by_sku[row['sku']] = by_sku.get(row['sku'], 0) + amount
            total += amount
for sku in sorted(by_sku):
    print(sku, '{:.2f}'.format(by_sku[sku]))
print('TOTAL', round(total, 2))

#--- what it prints (>), writes (+ and |)
# > A-1 4.50
# > B-2 9.90
# > C-3 36.00
# > TOTAL 50.4
