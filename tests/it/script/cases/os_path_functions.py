import os
from os.path import join, basename
import os.path as osp
print(join('a', 'b', 'c.txt'), basename('a/b.txt'), osp.dirname('a/b/c'), os.path.splitext('x/archive.tar.gz'), os.path.split('a/b/c'))
print(os.path.normpath('a/./b/../c'), os.path.join('a/', '/b'), os.path.relpath('a/b/c', 'a'), os.sep, os.path.isabs('/x'))
for entry in sorted(os.scandir('orders'), key=lambda e: e.name):
    print(entry.name, entry.path, entry.is_file())
print(sorted(f for f in os.listdir('.') if f.endswith('.csv')), len([n for n in os.listdir('notes') if os.path.isdir(os.path.join('notes', n))]))
if not os.path.exists('reports'):
    os.mkdir('reports')
path = os.path.join('reports', f'{"summary"}.txt')
with open(path, 'w') as f: f.write('x')
print(os.path.isfile(path), os.path.getsize(path), os.listdir('reports'))
print(sum(os.path.getsize(os.path.join(r, f)) for r, _, fs in os.walk('orders') for f in fs))

#--- what it prints (>), writes (+ and |)
# > a/b/c.txt b.txt a/b ('x/archive.tar', '.gz') ('a/b', 'c')
# > a/c /b b/c / True
# > order_01.csv orders/order_01.csv True
# > order_02.csv orders/order_02.csv True
# > ['sales.csv'] 1
# > True 1 ['summary.txt']
# > 84
# + reports/summary.txt
# | x
