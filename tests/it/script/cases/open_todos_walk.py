import os
import re
todos = []
for root, dirs, files in os.walk('notes'):
    for name in sorted(files):
        path = os.path.join(root, name)
        with open(path) as f:
            for number, line in enumerate(f, 1):
                match = re.match(r'\s*- \[ \] (.+)', line)
                if match:
                    todos.append(f'{path}:{number}: {match.group(1)}')
print('\n'.join(sorted(todos)))

#--- what it prints (>), writes (+ and |)
# > notes/ideas.md:3: write a guide
# > notes/meeting.md:6: call the plumber
# > notes/meeting.md:7: order lamps (due 2024-03-20)
