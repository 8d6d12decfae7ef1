total = 0
with open('sales.csv', 'r', encoding='utf-8') as f:
    lines = f.readlines()
header = lines[0].strip().split(',')
for line in lines[1:]:
    parts = line.strip().split(',')
    record = dict(zip(header, parts))
    if record['product'] == 'Lamp':
        total += int(record['units'])
print('Total lamps:', total)

#--- what it prints (>), writes (+ and |)
# > Total lamps: 10
