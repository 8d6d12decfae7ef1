with open('server.log') as f:
    errors = [line for line in f if 'ERROR' in line]
len(errors)

#--- what it prints (>), writes (+ and |)
# > 3
