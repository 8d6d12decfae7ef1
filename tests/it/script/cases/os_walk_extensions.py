import os
from collections import Counter
exts = Counter()
for root, dirs, files in os.walk('.'):
    for f in files:
        exts[os.path.splitext(f)[1]] += 1
for ext, n in sorted(exts.items()):
    print(ext or '(none)', n)

#--- what it prints (>), writes (+ and |)
# > .csv 3
# > .ini 1
# > .json 1
# > .jsonl 1
# > .log 1
# > .md 3
# > .tsv 1
# > .txt 1
