import csv
scores = []
skipped = []
with open('scores.tsv') as f:
    for i, row in enumerate(csv.DictReader(f, delimiter='\t'), start=2):
        try:
            scores.append((row['name'], float(row['score'])))
        except ValueError as e:
            skipped.append((i, row['name']))
print(scores)
print('average:', sum(s for _, s in scores) / len(scores))
print('skipped:', skipped)

#--- what it prints (>), writes (+ and |)
# > [('Ann', 90.0), ('Bob', 72.5)]
# > average: 81.25
# > skipped: [(4, 'Cy'), (5, 'Di')]
