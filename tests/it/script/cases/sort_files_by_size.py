import os, glob
files = glob.glob('*')
files = [f for f in files if os.path.isfile(f)]
files.sort(key=os.path.getsize, reverse=True)
for f in files[:3]:
    print(f, os.path.getsize(f))
largest = max(files, key=os.path.getsize)
print(largest, sorted(files, key=lambda f: (os.path.splitext(f)[1], f))[0])
print(list(map(os.path.basename, sorted(glob.glob('notes/*')))))
print([len(open(p).read()) for p in sorted(glob.glob('notes/*.md'))], list(map(lambda p: len(open(p).readlines()), sorted(glob.glob('orders/*.csv')))))

#--- what it prints (>), writes (+ and |)
# > server.log 419
# > people.json 371
# > sales.csv 277
# > server.log sales.csv
# > ['ideas.md', 'meeting.md', 'old']
# > [120, 150] [3, 3]
