from pathlib import Path
for p in sorted(Path('.').rglob('*.md')):
    first = p.read_text().splitlines()[0]
    print(p.name, p.stem, p.suffix, p.parent.name, first.lstrip('# '))
out = Path('out') / 'titles.txt'
out.parent.mkdir(parents=True, exist_ok=True)
out.write_text('\n'.join(p.stem for p in sorted(Path('notes').glob('*.md'))) + '\n')
print(out.exists(), out.read_text().split())

#--- what it prints (>), writes (+ and |)
# > ideas.md ideas .md notes Ideas
# > meeting.md meeting .md notes Meeting of 4 March
# > plan.md plan .md old Plan
# > True ['ideas', 'meeting']
# + out/titles.txt
# | ideas
# | meeting
# | 
