import os, csv
os.makedirs('by_region', exist_ok=True)
groups = {}
with open('sales.csv') as f:
    reader = csv.reader(f)
    header = next(reader)
    for row in reader:
        groups.setdefault(row[1], []).append(row)
for region, rows in groups.items():
    with open(f'by_region/{region.lower()}.csv', 'w', newline='') as out:
        w = csv.writer(out, lineterminator='\n')
        w.writerow(header)
        w.writerows(rows)
print(sorted(os.listdir('by_region')))
print(sum(1 for _ in open('by_region/north.csv')) - 1)

#--- what it prints (>), writes (+ and |)
# > ['east.csv', 'north.csv', 'south.csv']
# > 3
# + by_region/east.csv
# | date,region,product,units,price
# | 2024-02-14,East,Lamp,5,19.90
# | 2024-03-01,East,Chair,4,85.00
# | 
# + by_region/north.csv
# | date,region,product,units,price
# | 2024-01-05,North,Lamp,3,19.90
# | 2024-02-02,North,Table,2,240.00
# | 2024-03-09,North,Chair,1,89.50
# | 
# + by_region/south.csv
# | date,region,product,units,price
# | 2024-01-17,South,Chair,1,89.50
# | 2024-02-20,South,Lamp,2,18.50
# | 2024-03-15,South,Table,1,255.00
# | 
