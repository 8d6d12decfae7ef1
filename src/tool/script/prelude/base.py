# What every script sees: files over host calls, and the builtins and methods that the interpreter lacks.
# Names with a leading underscore are inserted by the rewriter; `_host` asks the parent, `_native` the child.
from pathlib import Path as _Path


class _File:
    def __init__(self, name, mode, text, is_binary):
        self.name = name
        self.mode = mode
        self.closed = False
        self.encoding = 'utf-8'
        self._binary = is_binary
        self._reads = 'r' in mode or '+' in mode
        self._writes = 'r' not in mode or '+' in mode
        self._text = text
        self._at = len(text) if 'a' in mode else 0
        self._parts = []
        self._dirty = False

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()

    def __iter__(self):
        return self

    def __next__(self):
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def _check(self, can, what):
        if self.closed:
            raise ValueError('I/O operation on closed file.')
        if not can:
            raise ValueError('not ' + what)

    def _join(self):
        if self._parts:
            self._text = self._text[:self._at] + ''.join(self._parts) + self._text[self._at + sum([len(p) for p in self._parts]):]
            self._at = self._at + sum([len(p) for p in self._parts])
            self._parts = []

    def _out(self, text):
        return text.encode() if self._binary else text

    def read(self, size=-1):
        self._check(self._reads, 'readable')
        self._join()
        end = len(self._text) if size is None or size < 0 else self._at + size
        text = self._text[self._at:end]
        self._at = self._at + len(text)
        return self._out(text)

    def readline(self, size=-1):
        self._check(self._reads, 'readable')
        self._join()
        end = self._text.find('\n', self._at)
        end = len(self._text) if end < 0 else end + 1
        text = self._text[self._at:end]
        self._at = end
        return self._out(text)

    def readlines(self, hint=-1):
        rest = self.read()
        return rest.splitlines(True) if self._binary else [part + '\n' for part in rest.split('\n')[:-1]] + [part for part in rest.split('\n')[-1:] if part]

    def readable(self):
        return self._reads

    def writable(self):
        return self._writes

    def write(self, text):
        self._check(self._writes, 'writable')
        if self._binary:
            if isinstance(text, str):
                raise TypeError("a bytes-like object is required, not 'str'")
            text = text.decode()
        elif not isinstance(text, str):
            raise TypeError('write() argument must be str, not ' + type(text).__name__)
        self._parts.append(text)
        self._dirty = True
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def seek(self, offset, whence=0):
        self._join()
        self._at = offset if whence == 0 else self._at + offset if whence == 1 else len(self._text) + offset
        return self._at

    def tell(self):
        self._join()
        return self._at

    def truncate(self, size=None):
        self._join()
        self._text = self._text[:self._at if size is None else size]
        self._dirty = True

    def flush(self):
        if self._dirty:
            self._join()
            self._dirty = False
            _host('write_file', self.name, self._text)

    def close(self):
        if not self.closed:
            if self._writes:
                self.flush()
            self.closed = True


_files = []


def _flush_all():
    for file in _files:
        if not file.closed:
            file.flush()


def open(file, mode='r', buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
    kind = mode.replace('b', '').replace('t', '')
    if kind not in ('r', 'w', 'a', 'x', 'r+', 'w+', 'a+', 'x+'):
        raise ValueError("invalid mode: '" + mode + "'")
    path = str(file)
    _flush_all()
    text = _host('read_file', path) if kind == 'r' else _host('open_file', path, kind)
    if newline != '':
        text = text.replace('\r\n', '\n')
    opened = _File(path, kind, text, 'b' in mode)
    if kind != 'r':
        _files.append(opened)
    return opened


def _m_open(path, *args, **kwargs):
    return open(path, *args, **kwargs) if isinstance(path, _Path) else path.open(*args, **kwargs)


def ask(question):
    return _host('ask', [str(question)])[0]


def ask_each(questions):
    questions = [str(question) for question in questions]
    return _host('ask', questions) if questions else []


def query(sql, *files):
    names = []
    for file in files:
        names.extend(file if isinstance(file, (list, tuple)) else [file])
    return _host('query', sql, [str(name) for name in names])


def table(path):
    return _host('table', str(path))


def lines(path):
    return [line.strip() for line in open(path).read().splitlines() if line.strip()]


def _print(*values, sep=' ', end='\n', file=None, flush=False):
    sep = ' ' if sep is None else sep
    end = '\n' if end is None else end
    if file is None or isinstance(file, _Console):
        print(*values, sep=sep, end=end)
    else:
        file.write(sep.join([str(value) for value in values]) + end)


class _Console:
    def write(self, text):
        print(text, end='')
        return len(text)

    def flush(self):
        pass

    def isatty(self):
        return False


def _mod(left, right):
    if not isinstance(left, str):
        return left % right
    parts = []
    values = right if isinstance(right, tuple) else (right,)
    n_used = 0
    at = 0
    while True:
        found = left.find('%', at)
        if found < 0:
            parts.append(left[at:])
            break
        parts.append(left[at:found])
        key = None
        at = found + 1
        if left[at:at + 1] == '(':
            end = left.find(')', at)
            key = left[at + 1:end]
            at = end + 1
        start = at
        while at < len(left) and left[at] in '#0- +.*0123456789lLh':
            at = at + 1
        flags = left[start:at]
        if at >= len(left):
            raise ValueError('incomplete format')
        kind = left[at]
        at = at + 1
        if kind == '%':
            parts.append('%')
            continue
        if '*' in flags:
            if n_used >= len(values):
                raise TypeError('not enough arguments for format string')
            flags = flags.replace('*', str(values[n_used]), 1)
            n_used = n_used + 1
        if key is not None:
            value = right[key]
        elif n_used < len(values):
            value = values[n_used]
            n_used = n_used + 1
        else:
            raise TypeError('not enough arguments for format string')
        parts.append(_percent(flags, kind, value))
    if n_used < len(values) and not isinstance(right, dict):
        raise TypeError('not all arguments converted during string formatting')
    return ''.join(parts)


def _percent(flags, kind, value):
    for skipped in 'lLh#':
        flags = flags.replace(skipped, '')
    left = '-' in flags
    sign = '+' if '+' in flags else ' ' if ' ' in flags else ''
    width = flags.replace('-', '').replace('+', '').replace(' ', '')
    precision = ''
    if '.' in width:
        width, precision = width.split('.', 1)
        precision = '.' + (precision or '0')
    zero = '0' if width.startswith('0') and not left else ''
    width = width.lstrip('0')
    if kind in 'sra':
        text = str(value) if kind == 's' else repr(value)
        return ('{:' + ('<' if left else '>') + width + precision + '}').format(text)
    if kind in 'diu':
        if isinstance(value, str):
            raise TypeError('%' + kind + ' format: a real number is required, not str')
        return ('{:' + ('<' if left else '>' if not zero else '') + sign + zero + width + 'd}').format(int(value))
    if kind == 'c':
        return value if isinstance(value, str) else chr(value)
    if kind in 'eEfFgGxXo':
        value = value if kind in 'xXo' else value._float() if hasattr(value, '_float') else float(value)
        return ('{:' + ('<' if left else '>' if not zero else '') + sign + zero + width + (precision if kind not in 'xXo' else '') + kind + '}').format(value)
    raise ValueError("unsupported format character '" + kind + "'")


def _delete(container, key):
    if isinstance(container, list):
        if isinstance(key, slice):
            kept = [item for i, item in enumerate(container) if i not in range(*_bounds(key, len(container)))]
            container.clear()
            container.extend(kept)
        else:
            container.pop(key)
    else:
        if key not in container:
            raise KeyError(key)
        container.pop(key)


def _bounds(key, n):
    step = 1 if key.step is None else key.step
    start = (0 if step > 0 else n - 1) if key.start is None else key.start
    stop = (n if step > 0 else -1) if key.stop is None else key.stop
    if key.start is not None and start < 0:
        start = max(start + n, 0)
    if key.stop is not None and stop < 0:
        stop = max(stop + n, 0)
    return min(start, n), min(stop, n), step


def _set_slice(container, key, values):
    start, stop, step = _bounds(key, len(container))
    values = list(values)
    if step == 1:
        changed = container[:start] + values + container[max(start, stop):]
    else:
        places = list(range(start, stop, step))
        if len(places) != len(values):
            raise ValueError('attempt to assign sequence of size ' + str(len(values)) + ' to extended slice of size ' + str(len(places)))
        changed = list(container)
        for i, value in zip(places, values):
            changed[i] = value
    container.clear()
    container.extend(changed)


# In these a callback may ask the host, which the interpreter's own do not allow.
def _map(function, *iterables):
    if len(iterables) == 1:
        return iter([function(item) for item in iterables[0]])
    return iter([function(*items) for items in zip(*iterables)])


def _filter(function, iterable):
    if function is None:
        return iter([item for item in iterable if item])
    return iter([item for item in iterable if function(item)])


def _ordered(item):
    # The interpreter does not compare paths.
    return item.parts if isinstance(item, _Path) else item


def _sorted(iterable, key=None, reverse=False):
    items = list(iterable)
    if key is None and not (items and isinstance(items[0], _Path)):
        return sorted(items, reverse=reverse)
    keys = [_ordered(item if key is None else key(item)) for item in items]
    return [items[i] for i in sorted(range(len(items)), key=lambda i: keys[i], reverse=reverse)]


_none = []


def _best(pick, args, key, default):
    items = list(args[0]) if len(args) == 1 else list(args)
    if not items:
        if default is _none:
            raise ValueError('iterable argument is empty')
        return default
    if key is None and not isinstance(items[0], _Path):
        return pick(items)
    keys = [_ordered(item if key is None else key(item)) for item in items]
    return items[pick(range(len(items)), key=lambda i: keys[i])]


def _min(*args, key=None, default=_none):
    return _best(min, args, key, default)


def _max(*args, key=None, default=_none):
    return _best(max, args, key, default)


def _sum(iterable, start=0):
    # The interpreter does not add booleans.
    return sum([int(item) if isinstance(item, bool) else item for item in iterable], start)


def _or(left, right):
    return {**left, **right} if isinstance(left, dict) and isinstance(right, dict) else left | right


def _m_sort(items, **kwargs):
    if isinstance(items, list):
        ordered = _sorted(items, **kwargs)
        items.clear()
        items.extend(ordered)
    else:
        items.sort(**kwargs)


# Methods that the interpreter's own types lack.
def _m_glob(path, pattern):
    return iter([_Path(found) for found in _host('glob', str(path / pattern), True)])


def _m_rglob(path, pattern):
    return iter([_Path(found) for found in _host('glob', str(path / '**' / pattern), True)])


def _m_relative_to(path, other):
    mine, base = path.parts, _Path(str(other)).parts
    if mine[:len(base)] != base:
        raise ValueError(repr(str(path)) + ' is not in the subpath of ' + repr(str(other)))
    return _Path(*mine[len(base):]) if mine[len(base):] else _Path('.')


def _m_is_relative_to(path, other):
    base = _Path(str(other)).parts
    return path.parts[:len(base)] == base


def _m_touch(path, exist_ok=True):
    if not path.exists():
        _host('write_file', str(path), '')


def _m_translate(text, table):
    return ''.join([_translated(char, table.get(ord(char), char)) for char in text])


def _translated(char, to):
    return '' if to is None else chr(to) if isinstance(to, int) else to


def _m_maketrans(kind, source, target=None, dropped=''):
    if target is None:
        return {ord(key) if isinstance(key, str) else key: value for key, value in source.items()}
    table = {ord(a): b for a, b in zip(source, target)}
    for char in dropped:
        table[ord(char)] = None
    return table


def _m_format_map(text, mapping):
    return text.format(**mapping)


def _timedelta_of(days=0, seconds=0, microseconds=0, milliseconds=0, minutes=0, hours=0, weeks=0):
    whole = ((days + weeks * 7) * 86400 + hours * 3600 + minutes * 60 + seconds) * 1000000
    days, rest = divmod(round(whole + milliseconds * 1000 + microseconds), 86400000000)
    seconds, microseconds = divmod(rest, 1000000)
    return _timedelta(days=days, seconds=seconds, microseconds=microseconds)


def _m_strptime(kind, text, form):
    # The interpreter wants a whole date; 1 January 1900 stands for what is missing, as in CPython.
    for marks, value, mark in (('%d%j', '01', '%d'), ('%m%b%B%j', '01', '%m'), ('%Y%y', '1900', '%Y')):
        if not any([marks[i:i + 2] in form for i in range(0, len(marks), 2)]) and '%c' not in form and '%x' not in form:
            text, form = value + ' ' + text, mark + ' ' + form
    return kind.strptime(text, form)


def _m_isocalendar(day):
    monday_based = day.isoweekday()
    thursday = day + _timedelta(days=4 - monday_based)
    first = thursday.replace(month=1, day=1)
    return (thursday.year, (thursday - first).days // 7 + 1, monday_based)


def _m_toordinal(day):
    return (_date(day.year, day.month, day.day) - _date(1, 1, 1)).days + 1


def _m_combine(kind, day, time):
    return kind(day.year, day.month, day.day, time.hour, time.minute, time.second, time.microsecond)


def _m_isoformat(moment, *args, **kwargs):
    if not args and not kwargs:
        return moment.isoformat()
    text = moment.isoformat()
    sep = args[0] if args else kwargs.get('sep', 'T')
    if kwargs.get('timespec') == 'seconds':
        text = text.split('.')[0]
    elif kwargs.get('timespec') == 'minutes':
        text = text[:16]
    return text.replace('T', sep)


def _m_is_integer(number):
    return number == int(number)


def _m_sub(pattern, replacement, text, count=0, **kwargs):
    if isinstance(replacement, str):
        return pattern.sub(replacement, text, count)
    return _replaced(pattern.finditer(text), replacement, text, count)[0]


def _m_subn(pattern, replacement, text, count=0):
    return _replaced(pattern.finditer(text), replacement, text, count)


def _replaced(matches, replacement, text, count):
    parts, at, n = [], 0, 0
    for match in matches:
        if count and n == count:
            break
        parts.append(text[at:match.start()])
        parts.append(match.expand(replacement) if isinstance(replacement, str) else replacement(match))
        at = match.end()
        n = n + 1
    parts.append(text[at:])
    return ''.join(parts), n


def callable(value):
    return type(value) in (type(callable), type(len), type(int))


def format(value, spec=''):
    return ('{:' + spec + '}').format(value)


def input(prompt=''):
    raise EOFError('nobody is there to type; use the files of the workspace')


def issubclass(kind, other):
    return kind is other or other is object


def ascii(value):
    return repr(value)


def exit(code=None):
    raise SystemExit('' if code is None else str(code))


def quit(code=None):
    exit(code)


IOError = OSError
EnvironmentError = OSError
Warning = Exception
UserWarning = Exception
EOFError = OSError
UnicodeError = ValueError
from datetime import date as _date, timedelta as _timedelta
