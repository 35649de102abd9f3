"""Whether a value is what it was before it travelled. It is asked on both sides of a journey."""

from __future__ import annotations

from typing import Any


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal and of the same types all the way down.

    Unlike `==` it tells 1 from True and 1.0 and 0.0 from -0.0, and takes NaN for itself. Classes
    that are carried by value are the same when their names are.
    """
    import math
    import sys

    # Where there is a Decimal there is its module; to import it costs each fresh worker some time.
    decimal = sys.modules.get("decimal")
    if type(left) is not type(right):
        # A class that was carried by value is another one, of the same name.
        alike = type(left).__name__ == type(right).__name__
        return alike and hasattr(left, "__dict__") and same(vars(left), vars(right))
    if isinstance(left, float):
        return (math.isnan(left) and math.isnan(right)) or (
            left == right and math.copysign(1, left) == math.copysign(1, right)
        )
    if isinstance(left, complex):
        return same(left.real, right.real) and same(left.imag, right.imag)
    if decimal is not None and isinstance(left, decimal.Decimal):
        # A signalling NaN cannot be compared, and 1.0 is not 1.00.
        return bool(left.as_tuple() == right.as_tuple())
    if isinstance(left, BaseException):
        return same(left.args, right.args) and same(vars(left), vars(right))
    if isinstance(left, dict):
        return len(left) == len(right) and all(
            same(k1, k2) and same(v1, v2)
            for (k1, v1), (k2, v2) in zip(left.items(), right.items(), strict=True)
        )
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, set | frozenset):
        # NaN is equal to nothing, so that membership cannot tell.
        key = lambda value: (type(value).__name__, repr(value))  # noqa: E731
        return sorted(map(key, left)) == sorted(map(key, right))
    if bool(left == right):
        return True
    try:
        return repr(left) == repr(right)
    except Exception:
        return False
