# What module datetime lacks.
from datetime import timezone as _datetime_timezone

_datetime_UTC = _datetime_timezone.utc
_datetime_MINYEAR = 1
_datetime_MAXYEAR = 9999
