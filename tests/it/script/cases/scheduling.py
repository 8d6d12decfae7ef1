from datetime import date, timedelta
import calendar
tasks = [('design', 3, []), ('build', 5, ['design']), ('test', 2, ['build']), ('docs', 2, ['design'])]
end = {}
start = date(2024, 3, 1)
for name, days, needs in tasks:
    begin = max((end[n] for n in needs), default=start)
    end[name] = begin + timedelta(days=days)
for name, d in sorted(end.items(), key=lambda x: x[1]):
    print(f'{name:8} {d} {d:%a}')
print(calendar.monthrange(2024, 2)[1], calendar.isleap(2024), calendar.month_name[3], calendar.day_abbr[0])
workdays = sum(1 for i in range(31) if (date(2024, 3, 1) + timedelta(i)).weekday() < 5)
print(workdays)

#--- what it prints (>), writes (+ and |)
# > design   2024-03-04 Mon
# > docs     2024-03-06 Wed
# > build    2024-03-09 Sat
# > test     2024-03-11 Mon
# > 29 True March Mon
# > 21
