# Module decimal, and the operators over it: the interpreter has no operators of classes, so a script that
# imports decimal has its operators rewritten into the functions at the end.
class _Decimal:
    def __init__(self, value='0'):
        if isinstance(value, _Decimal):
            self._int = value._int
            self._exp = value._exp
        elif isinstance(value, int):
            self._int = int(value)
            self._exp = 0
        else:
            self._parse(str(value).strip().replace('_', ''))

    def _parse(self, text):
        digits, mark, exponent = text.lower().partition('e')
        whole, point, fraction = digits.partition('.')
        plain = (whole + fraction).lstrip('+-')
        if not plain.isdigit():
            raise ValueError("[<class 'decimal.ConversionSyntax'>]: '" + text + "' is not a decimal number")
        self._int = int(plain) * (-1 if whole.startswith('-') else 1)
        self._exp = (int(exponent) if mark else 0) - len(fraction)

    def __str__(self):
        sign = '-' if self._int < 0 else ''
        digits = str(abs(self._int))
        if self._exp >= 0:
            return sign + digits + '0' * self._exp
        digits = digits.rjust(1 - self._exp, '0')
        return sign + digits[:self._exp] + '.' + digits[self._exp:]

    def __repr__(self):
        return "Decimal('" + str(self) + "')"

    def __eq__(self, other):
        return _is_number(other) and _op_eq(self, other)

    def __hash__(self):
        return hash(self._float())

    def _float(self):
        return float(str(self))

    def _at(self, exp):
        return self._int * 10 ** (self._exp - exp)

    def quantize(self, exp, rounding=None):
        return _dec_round(self, -exp._exp, rounding or 'ROUND_HALF_EVEN')

    def to_integral_value(self, rounding=None):
        return _dec_round(self, 0, rounding or 'ROUND_HALF_EVEN')

    def normalize(self):
        digits, exp = self._int, self._exp
        while digits and digits % 10 == 0:
            digits, exp = digits // 10, exp + 1
        return _dec_make(digits, exp if digits else 0)

    def sqrt(self):
        scale = 2 * (28 - self._exp)
        root = _dec_root(self._at(-scale))
        return _dec_make(root, -scale // 2).normalize()

    def copy_abs(self):
        return _dec_make(abs(self._int), self._exp)

    def is_zero(self):
        return self._int == 0

    def is_signed(self):
        return self._int < 0

    def as_tuple(self):
        return (1 if self._int < 0 else 0, tuple([int(digit) for digit in str(abs(self._int))]), self._exp)


def _dec_root(n):
    guess = 1 << (len(bin(n)) // 2 + 1)
    while True:
        better = (guess + n // guess) // 2
        if better >= guess:
            return guess
        guess = better


def _dec_make(digits, exp):
    made = _Decimal(0)
    made._int = digits
    made._exp = exp
    return made


def _dec(value):
    return value if isinstance(value, _Decimal) else _Decimal(value)


def _is_number(value):
    return isinstance(value, (int, float, _Decimal))


def _dec_round(value, places, rounding):
    drop = -value._exp - places
    if drop <= 0:
        return _dec_make(value._int * 10 ** -drop, -places)
    unit = 10 ** drop
    sign = -1 if value._int < 0 else 1
    whole, rest = divmod(abs(value._int), unit)
    up = {
        'ROUND_UP': rest > 0,
        'ROUND_DOWN': False,
        'ROUND_CEILING': rest > 0 and sign > 0,
        'ROUND_FLOOR': rest > 0 and sign < 0,
        'ROUND_HALF_UP': rest * 2 >= unit,
        'ROUND_HALF_DOWN': rest * 2 > unit,
        'ROUND_HALF_EVEN': rest * 2 > unit or rest * 2 == unit and whole % 2 == 1,
    }[rounding]
    return _dec_make(sign * (whole + 1 if up else whole), -places)


def _dec_both(a, b):
    return isinstance(a, _Decimal) or isinstance(b, _Decimal)


def _dec_short(value):
    # 28 digits, as the default context keeps.
    extra = len(str(abs(value._int))) - 28
    return value if extra <= 0 else _dec_round(value, -value._exp - extra, 'ROUND_HALF_EVEN')


def _op_add(a, b):
    if not _dec_both(a, b):
        return a + b
    a, b = _dec_checked(a, b)
    exp = min(a._exp, b._exp)
    return _dec_short(_dec_make(a._at(exp) + b._at(exp), exp))


def _op_sub(a, b):
    return _op_add(a, _op_neg(b)) if _dec_both(a, b) else a - b


def _op_mul(a, b):
    if not _dec_both(a, b):
        return a * b
    a, b = _dec_checked(a, b)
    return _dec_short(_dec_make(a._int * b._int, a._exp + b._exp))


def _op_div(a, b):
    if not _dec_both(a, b):
        return a / b
    a, b = _dec_checked(a, b)
    if b._int == 0:
        raise ZeroDivisionError("[<class 'decimal.DivisionByZero'>]")
    ideal = a._exp - b._exp
    shift = max(0, len(str(abs(b._int))) - len(str(abs(a._int))) + 30)
    sign = -1 if (a._int < 0) != (b._int < 0) else 1
    whole, rest = divmod(abs(a._int) * 10 ** shift, abs(b._int))
    exp = ideal - shift
    if rest:
        whole, exp = whole * 10 + 1, exp - 1
    while not rest and exp < ideal and whole % 10 == 0:
        whole, exp = whole // 10, exp + 1
    return _dec_short(_dec_make(sign * whole, exp))


def _op_floordiv(a, b):
    if not _dec_both(a, b):
        return a // b
    a, b = _dec_checked(a, b)
    exp = min(a._exp, b._exp)
    quotient = abs(a._at(exp)) // abs(b._at(exp))
    return _dec_make(quotient if (a._int < 0) == (b._int < 0) else -quotient, 0)


def _op_mod(a, b):
    if not _dec_both(a, b):
        return _mod(a, b)
    if isinstance(a, str):
        return _mod(a, b)
    return _op_sub(a, _op_mul(_op_floordiv(a, b), b))


def _op_pow(a, b):
    if not _dec_both(a, b):
        return a ** b
    if isinstance(b, int) and b >= 0:
        result = _Decimal(1)
        for _ in range(b):
            result = _op_mul(result, a)
        return result
    return _Decimal(_op_float(a) ** _op_float(b))


def _op_neg(a):
    return _dec_make(-a._int, a._exp) if isinstance(a, _Decimal) else -a


def _dec_checked(a, b):
    if isinstance(a, float) or isinstance(b, float):
        raise TypeError("unsupported operand type(s): 'decimal.Decimal' and 'float'; use Decimal(str(x))")
    return _dec(a), _dec(b)


def _dec_sign(a, b):
    a, b = _dec(a), _dec(b)
    exp = min(a._exp, b._exp)
    return a._at(exp) - b._at(exp)


def _op_lt(a, b):
    return _dec_sign(a, b) < 0 if _dec_both(a, b) else a < b


def _op_le(a, b):
    return _dec_sign(a, b) <= 0 if _dec_both(a, b) else a <= b


def _op_gt(a, b):
    return _dec_sign(a, b) > 0 if _dec_both(a, b) else a > b


def _op_ge(a, b):
    return _dec_sign(a, b) >= 0 if _dec_both(a, b) else a >= b


def _op_eq(a, b):
    if _dec_both(a, b):
        return _is_number(a) and _is_number(b) and _dec_sign(a, b) == 0
    return a == b


def _op_ne(a, b):
    return not _op_eq(a, b)


def _op_sum(values, start=0):
    total = start
    for value in values:
        total = _op_add(total, int(value) if isinstance(value, bool) else value)
    return total


def _dec_mark(value):
    # Decimals as whole numbers of the same tiny unit, which the interpreter can compare.
    if isinstance(value, (_Decimal, int)):
        return _dec(value)._at(-40)
    if isinstance(value, float):
        return _Decimal(value)._at(-400) // 10 ** 360
    if isinstance(value, (tuple, list)):
        return tuple([_dec_mark(item) for item in value])
    return _ordered(value)


def _op_sorted(iterable, key=None, reverse=False):
    return _sorted(iterable, key=lambda item: _dec_mark(item if key is None else key(item)), reverse=reverse)


def _op_min(*args, key=None, default=_none):
    return _best(min, args, lambda item: _dec_mark(item if key is None else key(item)), default)


def _op_max(*args, key=None, default=_none):
    return _best(max, args, lambda item: _dec_mark(item if key is None else key(item)), default)


def _op_abs(value):
    return value.copy_abs() if isinstance(value, _Decimal) else abs(value)


def _op_round(value, places=None):
    if not isinstance(value, _Decimal):
        return round(value) if places is None else round(value, places)
    rounded = _dec_round(value, places or 0, 'ROUND_HALF_EVEN')
    return rounded._at(0) if places is None else rounded


def _op_int(value=0, *base):
    return _dec_round(value, 0, 'ROUND_DOWN')._at(0) if isinstance(value, _Decimal) else int(value, *base)


def _op_float(value=0.0):
    return value._float() if isinstance(value, _Decimal) else float(value)


def _op_shown(value):
    return value._float() if isinstance(value, _Decimal) else value


def _decimal_getcontext():
    return _decimal_context


class _decimal_Context:
    def __init__(self):
        self.prec = 28
        self.rounding = 'ROUND_HALF_EVEN'


_decimal_context = _decimal_Context()


class _mod_decimal:
    Decimal = _Decimal
    InvalidOperation = ValueError
    DivisionByZero = ZeroDivisionError
    getcontext = _decimal_getcontext
    ROUND_UP = 'ROUND_UP'
    ROUND_DOWN = 'ROUND_DOWN'
    ROUND_CEILING = 'ROUND_CEILING'
    ROUND_FLOOR = 'ROUND_FLOOR'
    ROUND_HALF_UP = 'ROUND_HALF_UP'
    ROUND_HALF_DOWN = 'ROUND_HALF_DOWN'
    ROUND_HALF_EVEN = 'ROUND_HALF_EVEN'
