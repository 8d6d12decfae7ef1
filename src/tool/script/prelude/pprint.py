# Module pprint.
def _pprint_pformat(value, **options):
    text = repr(value)
    if len(text) <= 80 or not isinstance(value, (dict, list)):
        return text
    if isinstance(value, dict):
        return '{' + ',\n '.join([repr(key) + ': ' + repr(item) for key, item in value.items()]) + '}'
    return '[' + ',\n '.join([repr(item) for item in value]) + ']'


class _mod_pprint:
    pformat = _pprint_pformat

    def pprint(value, **options):
        print(_pprint_pformat(value))
