"""Names of executors as parts of file names and of addresses on a page."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

#: File systems take names of 255 bytes, endings included.
_LONGEST = 50


def stems(names: Iterable[str]) -> dict[str, str]:
    """For each name one that every file system takes, and keeps apart from the others."""
    found: dict[str, str] = {}
    for name in names:
        plain = stem = re.sub(r"[^\w.-]+", "-", name)[:_LONGEST]
        taken = {other.casefold() for other in found.values()}
        numbers = itertools.count(2)
        while stem.casefold() in taken:
            stem = f"{plain}-{next(numbers)}"
        found[name] = stem
    return found
