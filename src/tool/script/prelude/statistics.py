# Module statistics.
def _statistics_data(data):
    data = list(data)
    if not data:
        raise ValueError('no data points: at least one is required')
    return data


def _statistics_whole(value):
    return int(value) if isinstance(value, float) and value == int(value) else value


def _statistics_mean(data):
    data = _statistics_data(data)
    mean = sum(data) / len(data)
    if all([isinstance(x, int) for x in data]):
        return _statistics_whole(mean)
    return mean


def _statistics_fmean(data, weights=None):
    data = _statistics_data(data)
    if weights is not None:
        weights = list(weights)
        return sum([x * w for x, w in zip(data, weights)]) / sum(weights)
    return sum(data) / len(data)


def _statistics_median(data):
    data = sorted(_statistics_data(data))
    middle = len(data) // 2
    return data[middle] if len(data) % 2 else (data[middle - 1] + data[middle]) / 2


def _statistics_median_low(data):
    data = sorted(_statistics_data(data))
    return data[(len(data) - 1) // 2]


def _statistics_median_high(data):
    data = sorted(_statistics_data(data))
    return data[len(data) // 2]


def _statistics_multimode(data):
    counts = {}
    for item in data:
        counts[item] = counts.get(item, 0) + 1
    most = max(counts.values(), default=0)
    return [item for item, count in counts.items() if count == most]


def _statistics_mode(data):
    return _statistics_multimode(_statistics_data(data))[0]


def _statistics_squares(data, lost):
    data = _statistics_data(data)
    if len(data) <= lost:
        raise ValueError('variance requires at least two data points')
    mean = sum(data) / len(data)
    return sum([(x - mean) ** 2 for x in data]) / (len(data) - lost)


def _statistics_variance(data, xbar=None):
    return _statistics_squares(data, 1)


def _statistics_pvariance(data, mu=None):
    return _statistics_squares(data, 0)


def _statistics_stdev(data, xbar=None):
    return _statistics_squares(data, 1) ** 0.5


def _statistics_pstdev(data, mu=None):
    return _statistics_squares(data, 0) ** 0.5


def _statistics_quantiles(data, n=4, method='exclusive'):
    data = sorted(data)
    cuts = []
    size = len(data)
    m = size - 1 if method == 'inclusive' else size + 1
    for i in range(1, n):
        if method == 'inclusive':
            j, delta = divmod(i * m, n)
            cuts.append((data[j] * (n - delta) + data[min(j + 1, size - 1)] * delta) / n)
        else:
            j = min(max(i * m // n, 1), size - 1)
            delta = i * m - j * n
            cuts.append((data[j - 1] * (n - delta) + data[j] * delta) / n)
    return cuts


class _mod_statistics:
    StatisticsError = ValueError
    mean = _statistics_mean
    fmean = _statistics_fmean
    median = _statistics_median
    median_low = _statistics_median_low
    median_high = _statistics_median_high
    mode = _statistics_mode
    multimode = _statistics_multimode
    variance = _statistics_variance
    pvariance = _statistics_pvariance
    stdev = _statistics_stdev
    pstdev = _statistics_pstdev
    quantiles = _statistics_quantiles

    def geometric_mean(data):
        data = _statistics_data(data)
        product = 1.0
        for x in data:
            product = product * x ** (1 / len(data))
        return product

    def harmonic_mean(data):
        data = _statistics_data(data)
        return len(data) / sum([1 / x for x in data])
