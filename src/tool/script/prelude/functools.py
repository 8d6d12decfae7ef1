# What module functools lacks.
def _functools_cached(function):
    known = {}

    def cached(*args, **kwargs):
        mark = (args, tuple(sorted(kwargs.items())))
        if mark not in known:
            known[mark] = function(*args, **kwargs)
        return known[mark]

    return cached


def _functools_cache(function):
    return _functools_cached(function)


def _functools_lru_cache(maxsize=128, typed=False):
    if isinstance(maxsize, int) or maxsize is None:
        return _functools_cached
    return _functools_cached(maxsize)


def _functools_wraps(wrapped):
    return lambda function: function


def _functools_cmp_to_key(compare):
    raise NotImplementedError('cmp_to_key is not available here; sort with key=')
