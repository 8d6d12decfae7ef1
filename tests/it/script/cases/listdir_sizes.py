import os
for name in sorted(os.listdir('orders')):
    full = os.path.join('orders', name)
    stem, ext = os.path.splitext(name)
    if os.path.isfile(full) and ext == '.csv':
        print(stem, os.path.getsize(full), os.path.basename(full), os.path.dirname(full))
print(os.path.exists('nothing.txt'), os.path.isdir('notes'))

#--- what it prints (>), writes (+ and |)
# > order_01 42 order_01.csv orders
# > order_02 42 order_02.csv orders
# > False True
