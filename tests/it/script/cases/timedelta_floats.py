from datetime import timedelta, datetime
print(timedelta(seconds=90.5), timedelta(hours=1.5), timedelta(days=1, minutes=30))
print(datetime(2024, 1, 1, 8) + timedelta(hours=2.25))
d = timedelta(minutes=125)
print(d.total_seconds() / 3600, d.seconds // 60, str(d), d * 2, -d, d / 2, d > timedelta(0))
total = sum([timedelta(minutes=5), timedelta(minutes=10)], timedelta())
print(total)

#--- what it prints (>), writes (+ and |)
# > 0:01:30.500000 1:30:00 1 day, 0:30:00
# > 2024-01-01 10:15:00
# > 2.0833333333333335 125 2:05:00 4:10:00 -1 day, 21:55:00 1:02:30 True
# > 0:15:00
