# What module json lacks.
import json as _json_own


def _json_plain(value, default):
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, dict):
        return {key: _json_plain(item, default) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_plain(item, default) for item in value]
    return _json_plain(default(value), default)


def _json_dumps(value, default=None, cls=None, **options):
    if default is not None:
        value = _json_plain(value, default)
    return _json_own.dumps(value, **options)


def _json_dump(value, file, **options):
    file.write(_json_dumps(value, **options))


def _json_load(file, **options):
    return _json_own.loads(file.read())


def _json_loads(text, **options):
    return _json_own.loads(text)
