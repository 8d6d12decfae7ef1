# Module copy.
def _copy_deepcopy(value, memo=None):
    if isinstance(value, dict):
        return {key: _copy_deepcopy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy_deepcopy(item) for item in value]
    if isinstance(value, set):
        return set(value)
    if isinstance(value, tuple):
        return tuple([_copy_deepcopy(item) for item in value])
    return value


class _mod_copy:
    deepcopy = _copy_deepcopy

    def copy(value):
        return value.copy() if isinstance(value, (dict, list, set)) else value
