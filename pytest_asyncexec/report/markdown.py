"""Text as Markdown, as GitHub reads it: tables, and text in which nothing is markup by accident."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..contract.wording import one_line

# An underscore within a word is none.
_MARKUP = re.compile(r"[\\`*<>\[\]~&@#$]|(?<![^\W_])_|_(?![^\W_])")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its cells are Markdown themselves."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    # Taken back by the table itself, before anything else is read.
    return text.replace("|", r"\|")


def plain(text: str) -> str:
    """Text in which nothing is markup but what stands between backticks."""
    # A lone backtick would open what ends somewhere else.
    parts = text.split("`") if text.count("`") % 2 == 0 else [text]
    parts[::2] = [_MARKUP.sub(r"\\\g<0>", part) for part in parts[::2]]
    return "`".join(parts)


def code(text: str, limit: int) -> str:
    """Text in one line of at most `limit` characters as code, whatever stands in it."""
    line = one_line(text, limit) or "nothing"
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    # One space on either side belongs to the fence.
    space = " " if "`" in (line[0], line[-1]) else ""
    return f"{fence}{space}{line}{space}{fence}"
