import json
data = {'name': 'Zoë', 'list': [1, 2.5, None, True], 'nested': {'k': 'v "q"'}}
s = json.dumps(data, ensure_ascii=False)
print(s, json.loads(s) == data)
print(json.dumps(data))
print(json.dumps({'b': 1, 'a': [1, {'x': 2}]}, indent=2, sort_keys=True))
with open('data.json', 'w', encoding='utf-8') as f:
    json.dump(data, f, ensure_ascii=False, indent=4)
with open('data.json', encoding='utf-8') as f:
    again = json.load(f)
print(again['nested']['k'], type(again['list'][1]).__name__)
try:
    json.loads('{bad json}')
except json.JSONDecodeError as e:
    print('invalid:', e)
except ValueError:
    print('value error')
from datetime import date
print(json.dumps({'d': date(2024, 1, 2)}, default=str), json.dumps([1, 2], separators=(',', ':')))

#--- what it prints (>), writes (+ and |)
# > {"name": "Zoë", "list": [1, 2.5, null, true], "nested": {"k": "v \"q\""}} True
# > {"name": "Zo\u00eb", "list": [1, 2.5, null, true], "nested": {"k": "v \"q\""}}
# > {
# >   "a": [
# >     1,
# >     {
# >       "x": 2
# >     }
# >   ],
# >   "b": 1
# > }
# > v "q" float
# > invalid: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)
# > {"d": "2024-01-02"} [1,2]
# + data.json
# | {
# |     "name": "Zoë",
# |     "list": [
# |         1,
# |         2.5,
# |         null,
# |         true
# |     ],
# |     "nested": {
# |         "k": "v \"q\""
# |     }
# | }
