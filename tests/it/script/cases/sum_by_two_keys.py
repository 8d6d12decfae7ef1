import csv
totals = {}
for r in csv.DictReader(open('sales.csv')):
    key = (r['date'][:7], r['region'])
    totals[key] = totals.get(key, 0) + int(r['units'])
for (month, region), units in sorted(totals.items()):
    print(month, region, units)

#--- what it prints (>), writes (+ and |)
# > 2024-01 North 3
# > 2024-01 South 1
# > 2024-02 East 5
# > 2024-02 North 2
# > 2024-02 South 2
# > 2024-03 East 4
# > 2024-03 North 1
# > 2024-03 South 1
