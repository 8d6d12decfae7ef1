import io, textwrap, csv
buf = io.StringIO()
w = csv.writer(buf, lineterminator='\n')
w.writerow(['a', 'b'])
w.writerow([1, 'x, y'])
print(buf.getvalue(), end='')
reader = csv.DictReader(io.StringIO('k,v\none,1\ntwo,2\n'))
print([r['k'] for r in reader])
print(textwrap.fill('the quick brown fox jumps', width=12))
print(textwrap.dedent('    a\n      b'))

#--- what it prints (>), writes (+ and |)
# > a,b
# > 1,"x, y"
# > ['one', 'two']
# > the quick
# > brown fox
# > jumps
# > a
# >   b
