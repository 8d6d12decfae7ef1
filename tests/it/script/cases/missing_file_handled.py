import os
def read(path):
    try:
        with open(path) as f:
            return f.read()
    except FileNotFoundError:
        return None
print(read('nope.txt'))
for candidate in ['budget.csv', 'sales.csv']:
    if os.path.exists(candidate):
        print('using', candidate)
        break
else:
    print('nothing found')

#--- what it prints (>), writes (+ and |)
# > None
# > using sales.csv
