from pathlib import Path
base = Path('notes')
files = sorted(base.glob('**/*.md'))
print([str(f.relative_to(base)) for f in files])
print([f.name for f in sorted(base.iterdir()) if f.is_file()])
p = Path('orders/order_01.csv')
print(p.with_suffix('.json'), p.parent / 'x.txt', p.exists(), p.stat().st_size, Path('a') / 'b' / 'c')
with p.open() as f:
    print(f.readline().strip())
with open(p) as f:
    print(len(f.read().splitlines()))

#--- what it prints (>), writes (+ and |)
# > ['ideas.md', 'meeting.md', 'old/plan.md']
# > ['ideas.md', 'meeting.md']
# > orders/order_01.json orders/x.txt True 42 a/b/c
# > sku;qty;unit_price
# > 3
