import json
kept = []
with open('tasks.jsonl') as src:
    for line in src:
        task = json.loads(line)
        if task['done']:
            task['minutes'] = int(task['hours'] * 60)
            kept.append(task)
with open('done.jsonl', 'w') as dst:
    for task in kept:
        dst.write(json.dumps(task) + '\n')
print(f"{len(kept)} of {sum(1 for _ in open('tasks.jsonl'))} done, {sum(t['minutes'] for t in kept)} minutes")

#--- what it prints (>), writes (+ and |)
# > 3 of 5 done, 645 minutes
# + done.jsonl
# | {"id": "T1", "owner": 1, "hours": 3.5, "done": true, "minutes": 210}
# | {"id": "T3", "owner": 1, "hours": 2.25, "done": true, "minutes": 135}
# | {"id": "T4", "owner": 4, "hours": 5, "done": true, "minutes": 300}
# | 
