lines = open('config.ini').read().split('\n')
i = 0
found = []
while i < len(lines):
    line = lines[i]
    if line.startswith('['):
        j = i + 1
        n = 0
        while j < len(lines) and not lines[j].startswith('['):
            if '=' in lines[j]:
                n += 1
            j += 1
        found.append((line.strip('[]'), n))
        i = j
    else:
        i += 1
print(found)

#--- what it prints (>), writes (+ and |)
# > [('server', 2), ('mail', 2)]
