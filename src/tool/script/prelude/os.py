# What module os lacks: os.path, walk, scandir and the rest over host calls.
def _os_path_split(path):
    path = str(path)
    at = path.rfind('/') + 1
    head = path[:at]
    return (head if head.strip('/') == '' else head.rstrip('/'), path[at:])


def _os_path_splitext(path):
    head, name = _os_path_split(path)
    dot = name.rfind('.')
    path = str(path)
    if dot <= 0 or name[:dot].strip('.') == '':
        return (path, '')
    return (path[:len(path) - len(name) + dot], name[dot:])


def _os_path_join(first, *rest):
    path = str(first)
    for part in rest:
        part = str(part)
        if part.startswith('/'):
            path = part
        elif path == '' or path.endswith('/'):
            path = path + part
        else:
            path = path + '/' + part
    return path


def _os_path_normpath(path):
    path = str(path)
    parts = []
    for part in path.split('/'):
        if part == '..' and parts and parts[-1] != '..':
            parts.pop()
        elif part not in ('', '.'):
            parts.append(part)
    return ('/' if path.startswith('/') else '') + '/'.join(parts) or '.'


def _os_stat(path):
    _flush_all()
    return _host('stat', str(path))


def _os_must_stat(path):
    found = _os_stat(path)
    if found is None:
        raise FileNotFoundError("[Errno 2] No such file or directory: '" + str(path) + "'")
    return found


class _os_path:
    sep = '/'
    join = _os_path_join
    split = _os_path_split
    splitext = _os_path_splitext
    normpath = _os_path_normpath

    def basename(path):
        return _os_path_split(path)[1]

    def dirname(path):
        return _os_path_split(path)[0]

    def exists(path):
        return _os_stat(path) is not None

    def isfile(path):
        found = _os_stat(path)
        return found is not None and not found['folder']

    def isdir(path):
        found = _os_stat(path)
        return found is not None and found['folder']

    def islink(path):
        return False

    def getsize(path):
        return _os_must_stat(path)['bytes']

    def getmtime(path):
        return _os_must_stat(path)['modified_ms'] / 1000

    def getctime(path):
        return _os_must_stat(path)['modified_ms'] / 1000

    def abspath(path):
        return _os_path_normpath(path)

    def realpath(path):
        return _os_path_normpath(path)

    def expanduser(path):
        return str(path)

    def isabs(path):
        return str(path).startswith('/')

    def normcase(path):
        return str(path)

    def relpath(path, start='.'):
        mine = [part for part in _os_path_normpath(path).split('/') if part != '.']
        base = [part for part in _os_path_normpath(start).split('/') if part != '.']
        n = 0
        while n < min(len(mine), len(base)) and mine[n] == base[n]:
            n = n + 1
        return '/'.join(['..'] * (len(base) - n) + mine[n:]) or '.'

    def commonprefix(paths):
        first, last = min(paths), max(paths)
        n = 0
        while n < min(len(first), len(last)) and first[n] == last[n]:
            n = n + 1
        return first[:n]


def _os_children(path):
    _flush_all()
    return _host('list_folder', str(path))


def _os_walk(top='.', topdown=True, onerror=None, followlinks=False):
    top = str(top)
    if _os_stat(top) is None:
        return iter([])
    found = []
    waiting = [top]
    while waiting:
        folder = waiting.pop(0)
        entries = _os_children(folder)
        folders = [entry['name'] for entry in entries if entry['folder']]
        found.append((folder, folders, [entry['name'] for entry in entries if not entry['folder']]))
        waiting = [_os_path_join(folder, name) for name in folders] + waiting
    return iter(found if topdown else found[::-1])


class _os_Entry:
    def __init__(self, folder, entry):
        self.name = entry['name']
        self.path = _os_path_join(folder, entry['name'])
        self._entry = entry

    def is_file(self):
        return not self._entry['folder']

    def is_dir(self):
        return self._entry['folder']


class _os_Entries:
    def __init__(self, entries):
        self._entries = entries

    def __iter__(self):
        return iter(self._entries)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        pass


def _os_scandir(path='.'):
    return _os_Entries([_os_Entry(str(path), entry) for entry in _os_children(path)])


def _os_listdir(path='.'):
    return [entry['name'] for entry in _os_children(path)]


def _os_getcwd():
    return '.'


def _os_removedirs(path):
    raise PermissionError('folders cannot be removed here')


def _os_system(command):
    raise PermissionError('programs cannot be run here')


_os_environ = {}
_os_F_OK = 0
_os_R_OK = 4
_os_W_OK = 2


def _os_access(path, mode):
    return _os_stat(path) is not None


def _os_getenv(key, default=None):
    return default
