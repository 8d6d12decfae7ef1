# Module shutil.
def _shutil_target(source, target):
    found = _host('stat', str(target))
    if found is not None and found['folder']:
        return str(target).rstrip('/') + '/' + str(source).rstrip('/').split('/')[-1]
    return str(target)


def _shutil_copy(source, target, follow_symlinks=True):
    _flush_all()
    target = _shutil_target(source, target)
    _host('copy_file', str(source), target)
    return target


def _shutil_move(source, target):
    _flush_all()
    target = _shutil_target(source, target)
    _host('move_file', str(source), target)
    return target


class _mod_shutil:
    copy = _shutil_copy
    copy2 = _shutil_copy
    copyfile = _shutil_copy
    move = _shutil_move

    def rmtree(path, ignore_errors=False):
        raise PermissionError('folders cannot be removed here')
