"""The name that somebody meant who wrote another one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near(word: str, known: Iterable[str]) -> str:
    """A question with the names closest to `word`, or an empty string."""
    by_folded = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word.casefold(), list(by_folded), n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(by_folded[name] for name in found)}?" if found else ""
