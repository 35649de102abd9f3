"""The text that each task of the plan has, and no other task ever had."""

from __future__ import annotations

import re
import secrets
from typing import Final

_OWN: Final = re.compile(r"task\d+x[0-9a-f]{6}")
_PRINTED: Final = re.compile(rf"({_OWN.pattern}) to (stdout|stderr)")


def new_own(number: int) -> str:
    """A text that `owns_in` finds again."""
    return f"task{number}x{secrets.token_hex(3)}"


def owns_in(text: str) -> set[str]:
    """The tasks whose text stands in a longer one."""
    return set(_OWN.findall(text))


def printed_in(text: str) -> dict[str, str]:
    """The tasks whose output stands in a text, and the stream that they had printed it to."""
    return dict(_PRINTED.findall(text))
