# Module glob.
def _glob_glob(pattern, recursive=False, root_dir=None, include_hidden=False):
    _flush_all()
    pattern = str(pattern)
    if root_dir is None:
        return _host('glob', pattern, recursive)
    base = str(root_dir).rstrip('/') + '/'
    return [path[len(base):] for path in _host('glob', base + pattern, recursive)]


def _glob_iglob(pattern, recursive=False):
    return iter(_glob_glob(pattern, recursive))


class _mod_glob:
    glob = _glob_glob
    iglob = _glob_iglob

    def escape(path):
        return ''.join(['[' + c + ']' if c in '*?[' else c for c in path])
