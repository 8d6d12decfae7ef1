import csv, json
with open('sales.csv') as f:
    rows = [dict(r, units=int(r['units']), price=float(r['price'])) for r in csv.DictReader(f)]
json.dump(rows[:2], open('first.json', 'w'), indent=1)
back = json.load(open('first.json'))
keys = list(back[0].keys())
out = [','.join(keys)] + [','.join(str(r[k]) for k in keys) for r in back]
print('\n'.join(out))
print(back == rows[:2])

#--- what it prints (>), writes (+ and |)
# > date,region,product,units,price
# > 2024-01-05,North,Lamp,3,19.9
# > 2024-01-17,South,Chair,1,89.5
# > True
# + first.json
# | [
# |  {
# |   "date": "2024-01-05",
# |   "region": "North",
# |   "product": "Lamp",
# |   "units": 3,
# |   "price": 19.9
# |  },
# |  {
# |   "date": "2024-01-17",
# |   "region": "South",
# |   "product": "Chair",
# |   "units": 1,
# |   "price": 89.5
# |  }
# | ]
