"""Values and errors in few words, for findings that a person reads."""

from __future__ import annotations

import traceback
import unicodedata
from typing import Any

_LONG = 1000


def short(value: Any, limit: int = 200) -> str:
    """The repr of `value`, cut where it is long."""
    try:
        text = repr(value)
    except Exception as error:
        text = f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text):,} characters)"


def printable(text: str) -> str:
    """The text with everything escaped that would harm a terminal or does not fit into UTF-8.

    Messages quote what executors say, which may be anything; surrogates, for one, can neither be
    sent from an xdist worker to its controller nor be written to a file.
    """
    return "".join(
        letter
        if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cs")
        else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def short_text(text: str, limit: int = 120) -> str:
    """The repr of a text, or of its end where it is long: errors say last what happened."""
    return repr(text) if len(text) <= limit else f"...{text[-limit:]!r} ({len(text):,} characters)"


def short_error(error: BaseException) -> str:
    """Type and message of an error; of a message that is a whole traceback, its last line."""
    try:
        lines = str(error).strip().splitlines()
    except Exception as inner:
        return f"{type(error).__name__} (whose message raises {type(inner).__name__})"
    if not lines:
        return type(error).__name__
    said = lines[-1] if len(lines) > 3 else " ".join(lines)
    if len(said) > _LONG:
        said = f"{said[:_LONG]}... ({len(said):,} characters)"
    return f"{type(error).__name__}: {said}"


def says(error: BaseException, text: str) -> bool:
    """Whether an error says so itself: in its message, its notes, or as a member of its group.

    An error that merely was being handled when another one was raised is hidden by that one.
    """
    members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    said = "".join(traceback.format_exception_only(error))
    return text in said or any(says(member, text) for member in members)
