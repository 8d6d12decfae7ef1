import json

with open('people.json', encoding='utf-8') as f:
    people = json.load(f)

tasks = []
with open('tasks.jsonl') as f:
    for line in f:
        tasks.append(json.loads(line))

names = {p['id']: p['name'] for p in people}
hours = {}
for t in tasks:
    owner = names.get(t['owner'], 'unknown')
    hours[owner] = hours.get(owner, 0) + t['hours']

result = [{'name': n, 'hours': h} for n, h in sorted(hours.items())]
with open('hours.json', 'w') as f:
    json.dump(result, f, indent=2, ensure_ascii=False)
print(json.dumps(result))

#--- what it prints (>), writes (+ and |)
# > [{"name": "Ann Lee", "hours": 5.75}, {"name": "Bob Ray", "hours": 8}, {"name": "Di Wu", "hours": 5}, {"name": "unknown", "hours": 1}]
# + hours.json
# | [
# |   {
# |     "name": "Ann Lee",
# |     "hours": 5.75
# |   },
# |   {
# |     "name": "Bob Ray",
# |     "hours": 8
# |   },
# |   {
# |     "name": "Di Wu",
# |     "hours": 5
# |   },
# |   {
# |     "name": "unknown",
# |     "hours": 1
# |   }
# | ]
