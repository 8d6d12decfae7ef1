from datetime import datetime
import csv
by_month = {}
with open('sales.csv') as f:
    for row in csv.DictReader(f):
        d = datetime.strptime(row['date'], '%Y-%m-%d')
        key = d.strftime('%B')
        by_month[key] = by_month.get(key, 0) + int(row['units'])
print(by_month)
first = datetime(2024, 1, 5)
last = datetime(2024, 3, 15)
print((last - first).days, 'days')
print(first.strftime('%A'), last.isocalendar()[1])

#--- what it prints (>), writes (+ and |)
# > {'January': 4, 'February': 9, 'March': 6}
# > 70 days
# > Friday 11
