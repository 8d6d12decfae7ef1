import json
from collections import Counter
data = json.loads(open('people.json', encoding='utf-8').read())
skills = Counter(skill for person in data for skill in person['skills'])
print(skills.most_common(2))
teams = Counter(p['team'] for p in data)
print(dict(teams))
print(json.dumps({'skills': dict(skills)}, sort_keys=True, indent=4))

#--- what it prints (>), writes (+ and |)
# > [('python', 2), ('sql', 1)]
# > {'red': 2, 'blue': 1, 'green': 1}
# > {
# >     "skills": {
# >         "go": 1,
# >         "python": 2,
# >         "rust": 1,
# >         "sql": 1
# >     }
# > }
