import csv, statistics
prices = [float(r['price']) for r in csv.DictReader(open('sales.csv'))]
print(statistics.mean([1, 2, 3, 4]), statistics.median(prices), round(statistics.mean(prices), 3))
print(round(statistics.stdev(prices), 3), statistics.mode(['a', 'b', 'a']))

#--- what it prints (>), writes (+ and |)
# > 2.5 87.25 102.162
# > 95.25 a
