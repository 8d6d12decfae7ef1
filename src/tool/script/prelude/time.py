# Module time.
from datetime import datetime as _time_datetime


def _time_time():
    return (_time_datetime.now() - _time_datetime(1970, 1, 1)).total_seconds()


class _mod_time:
    time = _time_time
    perf_counter = _time_time
    monotonic = _time_time

    def sleep(seconds):
        pass

    def strftime(form, moment=None):
        return _time_datetime.now().strftime(form)
