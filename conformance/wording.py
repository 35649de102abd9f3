"""Values and errors in few words, for findings that a person reads."""

from __future__ import annotations

from typing import Any


def short(value: Any, limit: int = 200) -> str:
    """The repr of `value`, cut where it is long."""
    try:
        text = repr(value)
    except Exception as error:
        text = f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text):,} characters)"


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
    return f"{type(error).__name__}: {lines[-1] if len(lines) > 3 else ' '.join(lines)}"
