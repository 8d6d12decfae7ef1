import json
people = json.load(open('people.json', encoding='utf-8'))
print(', '.join(sorted((p['name'] for p in people), key=lambda n: n.split()[-1].casefold())))
print('Ö'.lower(), 'straße'.upper(), len('日本語'), 'ä' in 'bär')

#--- what it prints (>), writes (+ and |)
# > Ann Lee, Bob Ray, Di Wu, Cy Öst
# > ö STRASSE 3 True
