# What module collections lacks. A dict keeps its order.
_collections_OrderedDict = dict


def _collections_ChainMap(*maps):
    merged = {}
    for part in reversed(maps):
        merged.update(part)
    return merged


# Kinds of collections.abc, as far as isinstance() is asked about them.
_abc_Iterable = (list, tuple, set, frozenset, dict, str)
_abc_Collection = _abc_Iterable
_abc_Sequence = (list, tuple, str)
_abc_MutableSequence = list
_abc_Mapping = dict
_abc_MutableMapping = dict
_abc_Set = (set, frozenset)
_abc_Callable = type(_collections_ChainMap)
_abc_Iterator = object
_abc_Generator = object
_abc_Hashable = object
