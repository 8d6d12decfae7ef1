# What module itertools lacks.
def _itertools_groupby(iterable, key=None):
    groups = []
    for item in iterable:
        mark = item if key is None else key(item)
        if groups and groups[-1][0] == mark:
            groups[-1][1].append(item)
        else:
            groups.append((mark, [item]))
    return iter([(mark, iter(items)) for mark, items in groups])


def _itertools_product(*iterables, repeat=1):
    pools = [list(iterable) for iterable in iterables] * repeat
    rows = [()]
    for pool in pools:
        rows = [row + (item,) for row in rows for item in pool]
    return iter(rows)


def _itertools_permutations(iterable, r=None):
    pool = list(iterable)
    r = len(pool) if r is None else r
    rows = [()]
    for _ in range(r):
        rows = [row + (i,) for row in rows for i in range(len(pool)) if i not in row]
    return iter([tuple([pool[i] for i in row]) for row in rows])


def _itertools_combinations(iterable, r):
    pool = list(iterable)
    rows = [()]
    for _ in range(r):
        rows = [row + (i,) for row in rows for i in range(row[-1] + 1 if row else 0, len(pool))]
    return iter([tuple([pool[i] for i in row]) for row in rows])


def _itertools_combinations_with_replacement(iterable, r):
    pool = list(iterable)
    rows = [()]
    for _ in range(r):
        rows = [row + (i,) for row in rows for i in range(row[-1] if row else 0, len(pool))]
    return iter([tuple([pool[i] for i in row]) for row in rows])


def _itertools_tee(iterable, n=2):
    items = list(iterable)
    return tuple([iter(items) for _ in range(n)])
