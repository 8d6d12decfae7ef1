import csv
from collections import defaultdict
best = defaultdict(list)
for row in csv.DictReader(open('sales.csv')):
    best[row['region']].append((float(row['price']) * int(row['units']), row['product']))
for region in sorted(best):
    amount, product = sorted(best[region], reverse=True)[0]
    print(f'{region}: {product} ({amount:.2f})')

#--- what it prints (>), writes (+ and |)
# > East: Chair (340.00)
# > North: Table (480.00)
# > South: Table (255.00)
