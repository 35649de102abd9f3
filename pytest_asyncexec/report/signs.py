"""How outcomes and verdicts are shown: by a sign and a word, and never by a colour alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..contract.verdict import Outcome, VerdictWord
from .text import TITLES


@dataclass(frozen=True, slots=True)
class Sign:
    """One way to end: its sign on a page and on GitHub, its word, and its class of colour."""

    glyph: str
    mark: str
    word: str
    colour: str


#: From the best to the worst.
OUTCOMES: Mapping[Outcome, Sign] = {
    "passed": Sign("\N{CHECK MARK}", "✅", "passed", "good"),
    "not_applicable": Sign("\N{EN DASH}", "➖", TITLES["not_applicable"], "idle"),
    "waived": Sign("~", "🩹", TITLES["waived"], "warn"),
    "could_not_run": Sign("!", "❔", TITLES["could_not_run"], "warn"),
    "not_run": Sign("?", "⬜", TITLES["not_run"], "warn"),
    "failed": Sign("\N{MULTIPLICATION X}", "❌", TITLES["failed"], "bad"),
}

#: Of a SHOULD that is broken, where it is compared with a MUST.
WARNED = Sign("(\N{MULTIPLICATION X})", "⚠️", "failed a SHOULD", "warn")

VERDICTS: Mapping[VerdictWord, Sign] = {
    "conformant": Sign("\N{CHECK MARK}", "✅", "conformant", "good"),
    "incomplete": Sign("?", "❔", "incomplete", "warn"),
    "nonconformant": Sign("\N{MULTIPLICATION X}", "❌", "nonconformant", "bad"),
}
