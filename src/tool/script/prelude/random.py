# Module random: a linear congruential generator, the same numbers in every run unless seeded otherwise.
_random_state = [88172645463325252]


def _random_random():
    _random_state[0] = (_random_state[0] * 6364136223846793005 + 1442695040888963407) % 18446744073709551616
    return (_random_state[0] >> 11) / 9007199254740992


def _random_randint(low, high):
    return low + int(_random_random() * (high - low + 1))


def _random_shuffle(items):
    for i in range(len(items) - 1, 0, -1):
        j = _random_randint(0, i)
        kept = items[i]
        items[i] = items[j]
        items[j] = kept


def _random_sample(items, k):
    items = list(items)
    _random_shuffle(items)
    return items[:k]


class _mod_random:
    random = _random_random
    randint = _random_randint
    shuffle = _random_shuffle
    sample = _random_sample

    def seed(value=None):
        _random_state[0] = 88172645463325252 + (value if isinstance(value, int) else 0)

    def choice(items):
        return items[_random_randint(0, len(items) - 1)]

    def choices(items, k=1):
        return [items[_random_randint(0, len(items) - 1)] for _ in range(k)]

    def uniform(low, high):
        return low + (high - low) * _random_random()

    def randrange(start, stop=None, step=1):
        places = range(start) if stop is None else range(start, stop, step)
        return places[_random_randint(0, len(places) - 1)]
