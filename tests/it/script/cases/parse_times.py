from datetime import datetime, time, date
rows = [('08:30', '12:15'), ('13:00', '17:45')]
worked = 0
for a, b in rows:
    start = datetime.strptime(a, '%H:%M')
    end = datetime.strptime(b, '%H:%M')
    worked += (end - start).seconds / 3600
print(worked)
moments = ['2024-03-01T10:00:00', '2024-03-01 09:30:00']
print(min(datetime.fromisoformat(m) for m in moments).strftime('%d.%m.%Y %H:%M'))
print(datetime(2024, 3, 1).date() == date(2024, 3, 1), date(2024, 3, 1).strftime('%d %b %Y'), datetime(2024, 3, 1, 5).hour)
for fmt in ('%d/%m/%Y', '%Y-%m-%d', '%B %d, %Y'):
    try:
        print(fmt, datetime.strptime('March 5, 2024', fmt).date())
    except ValueError:
        pass

#--- what it prints (>), writes (+ and |)
# > 8.5
# > 01.03.2024 09:30
# > True 01 Mar 2024 5
# > %B %d, %Y 2024-03-05
