import csv
with open('sales.csv', newline='') as f:
    reader = csv.DictReader(f)
    print(reader.fieldnames)
    first = next(reader)
    print(first, len(list(reader)))
with open('sales.csv') as f:
    next(f)
    rows = list(csv.reader(f))
print(rows[0], len(rows))
with open('scores.tsv') as f:
    print([row for row in csv.reader(f, delimiter='\t')][1:3])
print(list(csv.reader(['a,"b,c",d', 'x,y,"say ""hi"""'])))
rows = [['id', 'v'], [1, 'a,b'], [2, '']]
with open('w.csv', 'w', newline='') as f:
    csv.writer(f, delimiter=';', quoting=csv.QUOTE_ALL, lineterminator='\n').writerows(rows)
print(open('w.csv').read())
with open('fixed.csv', 'w', newline='') as f:
    w = csv.DictWriter(f, fieldnames=['b', 'a'], extrasaction='ignore', lineterminator='\n')
    w.writeheader()
    for i in range(2):
        w.writerow({'a': i, 'b': i * 2.5, 'zzz': 1})
print(open('fixed.csv').read().split())

#--- what it prints (>), writes (+ and |)
# > ['date', 'region', 'product', 'units', 'price']
# > {'date': '2024-01-05', 'region': 'North', 'product': 'Lamp', 'units': '3', 'price': '19.90'} 7
# > ['2024-01-05', 'North', 'Lamp', '3', '19.90'] 8
# > [['Ann', '90'], ['Bob', '72.5']]
# > [['a', 'b,c', 'd'], ['x', 'y', 'say "hi"']]
# > "id";"v"
# > "1";"a,b"
# > "2";""
# > 
# > ['b,a', '0.0,0', '2.5,1']
# + fixed.csv
# | b,a
# | 0.0,0
# | 2.5,1
# | 
# + w.csv
# | "id";"v"
# | "1";"a,b"
# | "2";""
# | 
