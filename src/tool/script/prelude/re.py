# What module re lacks.
import re as _re_own

_re_VERBOSE = 64
_re_X = 64
_re_UNICODE = 0
_re_U = 0


def _re_compile(pattern, flags=0):
    if not isinstance(pattern, str):
        return pattern
    return _re_own.compile('(?x)' + pattern, flags & ~64) if flags & 64 else _re_own.compile(pattern, flags)


def _re_sub(pattern, replacement, text, count=0, flags=0):
    pattern = _re_compile(pattern, flags)
    if isinstance(replacement, str):
        return pattern.sub(replacement, text, count)
    return _replaced(pattern.finditer(text), replacement, text, count)[0]


def _re_subn(pattern, replacement, text, count=0, flags=0):
    matches = list(_re_compile(pattern, flags).finditer(text))
    n = len(matches) if not count else min(count, len(matches))
    return _re_sub(pattern, replacement, text, count, flags), n
