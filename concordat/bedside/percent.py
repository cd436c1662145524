"""Probabilities as percentages, with as many decimals as they need to say what is true of them."""

from decimal import ROUND_HALF_EVEN, Decimal

_LEAST, _MOST = Decimal("0.1"), Decimal("99.9")


def percent(probability: str, threshold: str = "") -> str:
    """A decimal as a percentage, with one decimal place; what is neither nothing nor everything is never rounded to it.

    Beside a `threshold`, which is written out by :func:`exact`, it gets as many places as it takes to stand on the side
    of the threshold on which it is: `20.04 %` beside `20 %`, and neither `20.0 %` nor `20 %`.
    """
    value, places = 100 * Decimal(probability), 1
    if not threshold:
        return _ends(value) or _written(value, places)
    limit = 100 * Decimal(threshold)
    if (ends := _ends(value)) and _LEAST <= limit <= _MOST:
        return ends
    while True:
        rounded = _rounded(value, places)
        certain = rounded not in (0, 100) or rounded == value
        if certain and (rounded < limit, rounded > limit) == (value < limit, value > limit):
            return _written(value, places)
        places += 1


def exact(probability: str) -> str:
    """A decimal as a percentage, to its last digit."""
    return f"{(100 * Decimal(probability)).normalize():f} %"


def _ends(value: Decimal) -> str:
    if 0 < value < _LEAST:
        return "< 0.1 %"
    return "> 99.9 %" if _MOST < value < 100 else ""


def _written(value: Decimal, places: int) -> str:
    return f"{_rounded(value, places):f} %"


def _rounded(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)
