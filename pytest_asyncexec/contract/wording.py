"""Values and errors in few words, for findings that a person reads."""

from __future__ import annotations

import re
import traceback
from typing import Any

_LONG = 1000

# Controls but for line ends and tabs, half characters, what XML forbids, and what turns the
# direction of the text after it.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)

_OF_A_TRACEBACK = re.compile(r"\s*(Traceback \(most recent call last\)|File \".*\", line \d)")


def short(value: Any, limit: int = 200) -> str:
    """The repr of `value`, cut where it is long."""
    try:
        text = repr(value)
    except Exception as error:
        text = f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text):,} characters)"


def printable(text: str) -> str:
    """The text with everything escaped that steers a screen instead of being read.

    Messages quote what executors say, which may be anything; surrogates, for one, can neither be
    sent from an xdist worker to its controller nor be written to a file.
    """
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str, limit: int) -> str:
    """The text in one printable line of at most `limit` characters."""
    line = " ".join(printable(text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}\N{HORIZONTAL ELLIPSIS}"


def short_text(text: str, limit: int = 120) -> str:
    """The repr of a text, or of its end where it is long: errors say last what happened."""
    return repr(text) if len(text) <= limit else f"...{text[-limit:]!r} ({len(text):,} characters)"


def said_by(error: BaseException) -> str:
    """The message of an error, which its class may make in any way."""
    try:
        return str(error)
    except BaseException as inner:  # not even one that would end the process
        return f"(its message raises {type(inner).__name__})"


def short_error(error: BaseException) -> str:
    """Type and message of an error; of a traceback its last line, and of another long message its
    beginning and its end.
    """
    try:
        lines = str(error).strip().splitlines()
    except Exception as inner:
        return f"{type(error).__name__} (whose message raises {type(inner).__name__})"
    if not lines:
        return type(error).__name__
    if any(_OF_A_TRACEBACK.match(line) for line in lines):
        lines = lines[-1:]
    if len(lines) > 4:
        lines = [*lines[:3], "...", lines[-1]]
    said = " ".join(line.strip() for line in lines)
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
