import json
ids = {p['id'] for p in json.load(open('people.json', encoding='utf-8'))}
owners = set()
with open('tasks.jsonl') as f:
    owners = {json.loads(l)['owner'] for l in f}
print('without tasks:', sorted(ids - owners), 'unknown owners:', sorted(owners - ids), 'both:', sorted(ids & owners))

#--- what it prints (>), writes (+ and |)
# > without tasks: [3] unknown owners: [9] both: [1, 2, 4]
