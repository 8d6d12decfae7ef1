import csv
rows = list(csv.DictReader(open('sales.csv')))
lines = ['# Sales report', '']
for region in sorted(set(r['region'] for r in rows)):
    subset = [r for r in rows if r['region'] == region]
    revenue = sum(float(r['price']) * int(r['units']) for r in subset)
    lines.append(f'## {region}')
    lines.append(f'- sales: {len(subset)}')
    lines.append(f'- revenue: {revenue:,.2f}')
    lines.append('')
report = '\n'.join(lines).rstrip() + '\n'
open('report.md', 'w').write(report)
print(report)

#--- what it prints (>), writes (+ and |)
# > # Sales report
# > 
# > ## East
# > - sales: 2
# > - revenue: 439.50
# > 
# > ## North
# > - sales: 3
# > - revenue: 629.20
# > 
# > ## South
# > - sales: 3
# > - revenue: 381.50
# + report.md
# | # Sales report
# | 
# | ## East
# | - sales: 2
# | - revenue: 439.50
# | 
# | ## North
# | - sales: 3
# | - revenue: 629.20
# | 
# | ## South
# | - sales: 3
# | - revenue: 381.50
# | 
