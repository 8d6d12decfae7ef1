import csv
rows = [{'name': 'Ann "A" Lee', 'note': 'one, two'}, {'name': 'Bob', 'note': 'line\nbreak'}, {'name': 'Cy', 'note': None}]
with open('out.csv', 'w', newline='') as f:
    w = csv.DictWriter(f, fieldnames=['name', 'note'], lineterminator='\n')
    w.writeheader()
    w.writerows(rows)
with open('out.csv', newline='') as f:
    for r in csv.DictReader(f):
        print(repr(r['name']), repr(r['note']))

#--- what it prints (>), writes (+ and |)
# > 'Ann "A" Lee' 'one, two'
# > 'Bob' 'line\nbreak'
# > 'Cy' ''
# + out.csv
# | name,note
# | "Ann ""A"" Lee","one, two"
# | Bob,"line
# | break"
# | Cy,
# | 
