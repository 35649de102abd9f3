"""The commands of `python -m pytest_asyncexec`, one module each.

Each has `add_to`, which adds its parser, and `run`, which returns the exit status.
"""

from __future__ import annotations

import sys

from ..conformance.wording import printable


def told(problem: object) -> int:
    """Print what the user has to know, and return the exit status that stands for it."""
    print(f"error: {printable(str(problem))}", file=sys.stderr)
    return 2
