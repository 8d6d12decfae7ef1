import csv
from itertools import accumulate
units = [int(r['units']) for r in csv.DictReader(open('sales.csv'))]
print(list(accumulate(units)))
running = 0
for i, u in enumerate(units, start=1):
    running += u
    if running >= 10:
        print('reached 10 at sale', i)
        break

#--- what it prints (>), writes (+ and |)
# > [3, 4, 6, 11, 13, 17, 18, 19]
# > reached 10 at sale 4
