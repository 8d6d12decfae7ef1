# Module operator.
def _operator_itemgetter(*keys):
    if len(keys) == 1:
        return lambda item: item[keys[0]]
    return lambda item: tuple([item[key] for key in keys])


def _operator_attrgetter(*names):
    if len(names) == 1:
        return lambda item: getattr(item, names[0])
    return lambda item: tuple([getattr(item, name) for name in names])


class _mod_operator:
    itemgetter = _operator_itemgetter
    attrgetter = _operator_attrgetter

    def add(a, b):
        return a + b

    def sub(a, b):
        return a - b

    def mul(a, b):
        return a * b

    def truediv(a, b):
        return a / b

    def eq(a, b):
        return a == b

    def lt(a, b):
        return a < b

    def gt(a, b):
        return a > b
