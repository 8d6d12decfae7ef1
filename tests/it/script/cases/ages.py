import json
from datetime import date
today = date(2024, 6, 1)
people = json.load(open('people.json', encoding='utf-8'))
for p in people:
    y, m, d = map(int, p['born'].split('-'))
    age = today.year - y - ((today.month, today.day) < (m, d))
    print(p['name'], age)
oldest = min(people, key=lambda p: p['born'])
print(oldest['name'])

#--- what it prints (>), writes (+ and |)
# > Ann Lee 34
# > Bob Ray 38
# > Cy Öst 23
# > Di Wu 44
# > Di Wu
