def read_rows(path):
    with open(path) as f:
        header = f.readline().strip().split(',')
        for line in f:
            if not line.strip():
                continue
            yield dict(zip(header, line.strip().split(',')))

def lamps(rows):
    for row in rows:
        if row['product'] != 'Lamp':
            continue
        yield int(row['units'])

print(sum(lamps(read_rows('sales.csv'))))
def chunks(items, n):
    for i in range(0, len(items), n):
        yield items[i:i + n]
    return
print(list(chunks([1, 2, 3, 4, 5], 2)))
def nested():
    yield from [1, 2]
    yield 3, 4
print(*nested())

#--- what it prints (>), writes (+ and |)
# > 10
# > [[1, 2], [3, 4], [5]]
# > 1 2 (3, 4)
