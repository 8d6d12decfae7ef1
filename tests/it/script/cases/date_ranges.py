from datetime import date, timedelta
start = date(2024, 2, 26)
days = [start + timedelta(days=i) for i in range(5)]
print([d.isoformat() for d in days if d.weekday() < 5])
d = date.fromisoformat('2024-01-31')
print(d.replace(day=1) - timedelta(days=1), (date(2024, 12, 25) - d).days)

#--- what it prints (>), writes (+ and |)
# > ['2024-02-26', '2024-02-27', '2024-02-28', '2024-02-29', '2024-03-01']
# > 2023-12-31 329
