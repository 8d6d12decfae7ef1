import csv

summary = {}
with open('sales.csv') as f:
    for row in csv.DictReader(f):
        p = row['product']
        summary.setdefault(p, {'units': 0, 'revenue': 0})
        summary[p]['units'] += int(row['units'])
        summary[p]['revenue'] += int(row['units']) * float(row['price'])

with open('summary.csv', 'w', newline='') as f:
    writer = csv.writer(f, lineterminator='\n')
    writer.writerow(['product', 'units', 'revenue'])
    for product in sorted(summary):
        writer.writerow([product, summary[product]['units'], round(summary[product]['revenue'], 2)])

with open('summary.md', 'w') as f:
    f.write('| Product | Units |\n')
    f.write('|---|---|\n')
    for product, data in sorted(summary.items()):
        f.write(f"| {product} | {data['units']} |\n")
print('Summary written')

#--- what it prints (>), writes (+ and |)
# > Summary written
# + summary.csv
# | product,units,revenue
# | Chair,6,519.0
# | Lamp,10,196.2
# | Table,3,735.0
# | 
# + summary.md
# | | Product | Units |
# | |---|---|
# | | Chair | 6 |
# | | Lamp | 10 |
# | | Table | 3 |
# | 
