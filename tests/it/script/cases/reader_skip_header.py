import csv

with open("sales.csv", "r") as file:
    reader = csv.reader(file)
    header = next(reader)
    print(header)
    rows = [row for row in reader]
print(len(rows), max(rows, key=lambda r: float(r[4]))[2])

#--- what it prints (>), writes (+ and |)
# > ['date', 'region', 'product', 'units', 'price']
# > 8 Table
