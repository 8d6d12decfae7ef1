def risky(n):
    try:
        return 10 / n
    except ZeroDivisionError:
        return None
    finally:
        print('checked', n)
print([risky(n) for n in (2, 0)])
with open('sales.csv') as src, open('copy.txt', 'w') as dst:
    for line in src:
        if 'Lamp' in line:
            dst.write(line)
print(len(open('copy.txt').readlines()))

#--- what it prints (>), writes (+ and |)
# > checked 2
# > checked 0
# > [5.0, None]
# > 3
# + copy.txt
# | 2024-01-05,North,Lamp,3,19.90
# | 2024-02-14,East,Lamp,5,19.90
# | 2024-02-20,South,Lamp,2,18.50
# | 
