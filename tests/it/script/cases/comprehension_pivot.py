import csv
rows = list(csv.DictReader(open('sales.csv')))
regions = sorted({r['region'] for r in rows})
products = sorted({r['product'] for r in rows})
pivot = {p: {r: 0 for r in regions} for p in products}
for r in rows:
    pivot[r['product']][r['region']] += int(r['units'])
print('| product | ' + ' | '.join(regions) + ' |')
print('|' + '---|' * (len(regions) + 1))
for p in products:
    print('| ' + p + ' | ' + ' | '.join(str(pivot[p][r]) for r in regions) + ' |')

#--- what it prints (>), writes (+ and |)
# > | product | East | North | South |
# > |---|---|---|---|
# > | Chair | 4 | 1 | 1 |
# > | Lamp | 5 | 3 | 2 |
# > | Table | 0 | 2 | 1 |
