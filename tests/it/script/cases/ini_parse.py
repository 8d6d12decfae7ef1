config = {}
section = None
for line in open('config.ini'):
    line = line.strip()
    if not line or line.startswith('#'):
        continue
    if line.startswith('[') and line.endswith(']'):
        section = line[1:-1]
        config[section] = {}
    else:
        key, value = [part.strip() for part in line.split('=', 1)]
        config[section][key] = int(value) if value.isdigit() else value
print(config)

#--- what it prints (>), writes (+ and |)
# > {'server': {'host': 'localhost', 'port': 8080}, 'mail': {'sender': 'admin@example.org', 'retries': 3}}
