# What module math lacks.
def _math_fsum(values):
    partials = []
    for x in values:
        kept = []
        for y in partials:
            if abs(x) < abs(y):
                x, y = y, x
            high = x + y
            low = y - (high - x)
            if low:
                kept.append(low)
            x = high
        partials = kept + [x]
    return float(sum(partials))


def _math_prod(values, start=1):
    for value in values:
        start = start * value
    return start


def _math_hypot(*values):
    return sum([value * value for value in values]) ** 0.5


def _math_dist(a, b):
    return sum([(x - y) ** 2 for x, y in zip(a, b)]) ** 0.5
