"""The fixed array of tasks: every pair of values, or every triple, meets in at least one of them.

The rows lie in files beside this module, so that they are the same whatever is installed. They were
made by `scripts/covering_array.py` with covertable, and a test counts that nothing is missing.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from ...contract.rule import Profile
from .conditions import CONDITIONS, Row, single_rows, unusual

#: How many values meet in the rows of each profile.
STRENGTH: Final[Mapping[Profile, int]] = {"quick": 2, "default": 2, "thorough": 3}

_FILES: Final = {1: "ones.txt", 2: "pairs.txt", 3: "triples.txt"}


@cache
def rows(strength: int) -> tuple[Row, ...]:
    """The crossed rows in which every `strength` values meet, then one for each single value."""
    text = (importlib.resources.files(__package__) / _FILES[strength]).read_text(encoding="ascii")
    crossed = [_read(line) for line in text.splitlines() if line and not line.startswith("#")]
    return (*crossed, *single_rows())


def _read(line: str) -> Row:
    places = zip(CONDITIONS.values(), line.split(), strict=True)
    return {condition.name: condition.crossed[int(place)] for condition, place in places}


def written(crossed: Sequence[Row]) -> str:
    """The lines of a file of rows."""
    lines = []
    for row in crossed:
        places = (condition.crossed.index(row[name]) for name, condition in CONDITIONS.items())
        lines.append(" ".join(map(str, places)))
    return "\n".join(lines) + "\n"


def table(strength: int) -> str:
    """The rows for people, one line each, with what is unusual in them."""
    lines = []
    for number, row in enumerate(rows(strength), 1):
        told = "; ".join(f"{name}: {value}" for name, value in unusual(row).items())
        lines.append(f"{number:>4}  {told or 'nothing unusual'}")
    return "\n".join(lines)
