from datetime import datetime, timedelta
events = []
with open('server.log') as f:
    for line in f:
        stamp = datetime.strptime(line[:19], '%Y-%m-%d %H:%M:%S')
        events.append(stamp)
gaps = [(b - a).total_seconds() for a, b in zip(events, events[1:])]
print(max(gaps), min(gaps))
print(timedelta(seconds=sum(gaps)))
hours, rest = divmod(int(sum(gaps)), 3600)
print(f'{hours}h {rest // 60}m')

#--- what it prints (>), writes (+ and |)
# > 83101.0 4.0
# > 23:16:29
# > 23h 16m
