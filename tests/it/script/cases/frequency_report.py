import re
from collections import Counter, defaultdict
with open('server.log') as f:
    levels = Counter(line.split()[2] for line in f)
width = max(map(len, levels))
report = [f'{level:<{width}} | {"#" * n} {n}' for level, n in sorted(levels.items(), key=lambda kv: (-kv[1], kv[0]))]
print('\n'.join(report))
by_day = defaultdict(lambda: defaultdict(int))
for line in open('server.log'):
    day, _, level = line.split()[:3]
    by_day[day][level] += 1
print({day: dict(counts) for day, counts in by_day.items()})
with open('report.txt', 'w') as out:
    print('Report', file=out)
    print('=' * 6, file=out)
    for line in report:
        print(line, file=out)

#--- what it prints (>), writes (+ and |)
# > INFO  | #### 4
# > ERROR | ### 3
# > WARN  | # 1
# > {'2024-03-01': {'INFO': 3, 'ERROR': 2, 'WARN': 1}, '2024-03-02': {'ERROR': 1, 'INFO': 1}}
# + report.txt
# | Report
# | ======
# | INFO  | #### 4
# | ERROR | ### 3
# | WARN  | # 1
# | 
