"""What an error is called, and whose line raised it: the suite's or the executor's."""

from __future__ import annotations

import traceback
from pathlib import Path

from ...contract.wording import said_by
from ..instruments.effects import SUITE, of_library


def explain(error: BaseException) -> str:
    """Type and whole message of an error."""
    message = said_by(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def raised_outside(error: BaseException, checks: str) -> bool:
    """Whether code that is neither the suite's nor a library's raised it.

    Args:
        checks: the folder of the check that ran, which may be one of somebody's own.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = (SUITE, checks)
    last = max((i for i, frame in enumerate(frames) if frame.filename.startswith(own)), default=-1)
    return any(
        not of_library(frame.filename) and "hypothesis" not in Path(frame.filename).parts
        for frame in frames[last + 1 :]
    )


def of_the_users(name: str) -> bool:
    """Whether a file is neither the suite's, nor a library's, nor pytest's own."""
    return not of_library(name) and "_pytest" not in Path(name).parts


def raised_at(error: BaseException) -> str:
    """The innermost line that is not a library's, as a line of its own; or nothing."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not of_library(frame.filename)]
    return f'\nat {own[-1].filename}:{own[-1].lineno}: "{own[-1].line}"' if own else ""
