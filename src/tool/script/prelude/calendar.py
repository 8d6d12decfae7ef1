# Module calendar.
from datetime import date as _calendar_date, timedelta as _calendar_timedelta


def _calendar_monthrange(year, month):
    first = _calendar_date(year, month, 1)
    after = _calendar_date(year + month // 12, month % 12 + 1, 1)
    return (first.weekday(), (after - first).days)


_calendar_days = [_calendar_date(2024, 1, day) for day in range(1, 8)]
_calendar_months = [_calendar_date(2024, month, 1) for month in range(1, 13)]


class _mod_calendar:
    monthrange = _calendar_monthrange
    month_name = [''] + [day.strftime('%B') for day in _calendar_months]
    month_abbr = [''] + [day.strftime('%b') for day in _calendar_months]
    day_name = [day.strftime('%A') for day in _calendar_days]
    day_abbr = [day.strftime('%a') for day in _calendar_days]
    MONDAY = 0
    SUNDAY = 6

    def isleap(year):
        return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)

    def weekday(year, month, day):
        return _calendar_date(year, month, day).weekday()
