import csv
from collections import defaultdict

totals = defaultdict(float)
with open('sales.csv', newline='') as csvfile:
    reader = csv.DictReader(csvfile)
    for row in reader:
        totals[row['region']] += int(row['units']) * float(row['price'])

for region, total in sorted(totals.items(), key=lambda x: x[1], reverse=True):
    print(f"{region}: {total:.2f}")

#--- what it prints (>), writes (+ and |)
# > North: 629.20
# > East: 439.50
# > South: 381.50
