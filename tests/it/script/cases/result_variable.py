import csv
result = {}
for row in csv.DictReader(open('sales.csv')):
    result[row['product']] = result.get(row['product'], 0) + int(row['units'])

#--- what it prints (>), writes (+ and |)
# > {"Lamp": 10, "Chair": 6, "Table": 3}
