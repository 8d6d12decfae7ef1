import glob, os
index = []
for path in sorted(glob.glob('notes/**/*.md', recursive=True)):
    with open(path, encoding='utf-8') as f:
        title = next((line[2:].strip() for line in f if line.startswith('# ')), None)
    index.append((os.path.relpath(path, 'notes'), title))
for path, title in index:
    print(f'- [{title}]({path})')
with open('notes/index.md', 'w') as f:
    f.write('# Index\n\n' + ''.join(f'- [{t}]({p})\n' for p, t in index))

#--- what it prints (>), writes (+ and |)
# > - [Ideas](ideas.md)
# > - [Meeting of 4 March](meeting.md)
# > - [Plan](old/plan.md)
# + notes/index.md
# | # Index
# | 
# | - [Ideas](ideas.md)
# | - [Meeting of 4 March](meeting.md)
# | - [Plan](old/plan.md)
# | 
