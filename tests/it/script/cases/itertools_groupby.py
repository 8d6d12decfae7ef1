import itertools
from operator import itemgetter
import csv
rows = list(csv.DictReader(open('sales.csv')))
rows.sort(key=itemgetter('region', 'date'))
for region, group in itertools.groupby(rows, key=itemgetter('region')):
    group = list(group)
    print(region, len(group), group[-1]['date'])
print(list(itertools.chain([1], [2, 3])), list(itertools.combinations('abc', 2))[:2])
from itertools import product, accumulate, islice
print(list(product([1, 2], 'ab')), list(islice([5, 6, 7], 2)))

#--- what it prints (>), writes (+ and |)
# > East 2 2024-03-01
# > North 3 2024-03-09
# > South 3 2024-03-15
# > [1, 2, 3] [('a', 'b'), ('a', 'c')]
# > [(1, 'a'), (1, 'b'), (2, 'a'), (2, 'b')] [5, 6]
