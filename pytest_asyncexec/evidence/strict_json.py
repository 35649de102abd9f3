"""JSON that every reader reads alike: no key twice, no NaN, UTF-8 without a mark, not too deep."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn

#: Deeper than anything that this package writes, and far from what Python can follow.
_DEEPEST = 60


def loads(content: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, or one that different readers take for different values.
    """
    try:
        value = json.loads(
            content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if _depth(value) > _DEEPEST:
        raise ValueError("it is nested too deeply")
    return value


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice in one object")
        found[key] = value
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level:
        depth += 1
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return depth
