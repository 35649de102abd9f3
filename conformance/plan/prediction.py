"""The model: what has to be seen of a task of the plan, without a line of any executor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from . import values
from .conditions import (
    BREAKING,
    CANCELLATIONS,
    PLAIN_ERRORS,
    RETURNS,
    TOO_LATE,
    Row,
)

End = Literal["completed", "failed", "timed out", "cancelled by its host"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the contract lets be seen of one task."""

    end: End
    #: How often it is attempted, and whether fewer may be seen: one that is stopped early does not
    #: report.
    attempts: int
    exactly: bool
    #: What is found in the error, its notes or stderr, where the task failed; "" for nothing.
    message: str
    #: Whether its error comes out of the line that is looked for in the traceback.
    shows_line: bool
    #: What the attempts before the last one said when they failed: no outcome is told by it.
    earlier: tuple[str, ...]
    #: What the attempts print, in pieces: together it is returned as stdout and stderr, and found
    #: in the logs, where output is captured.
    to_stdout: tuple[str, ...]
    to_stderr: tuple[str, ...]

    @property
    def stdout(self) -> str:
        """What all attempts print to stdout."""
        return "".join(self.to_stdout)

    @property
    def stderr(self) -> str:
        """What all attempts print to stderr."""
        return "".join(self.to_stderr)


def predict(row: Row, own: str, *, made: int = 0) -> Prediction:
    """What has to be seen of a task with these conditions.

    Args:
        row: the conditions.
        own: the text that no other task has.
        made: how many attempts were made, where they are not as many as there have to be: what
            has to be seen after those.
    """
    end, attempts = ending(row, made)
    fails = int(row["fails"])
    text, error = values.printed(row["prints"], own), values.to_stderr(row["prints"], own)
    numbers = range(1, attempts + 1)
    # The last error is the one that counts.
    message, shows_line = "", False
    if end == "failed":
        last_fails_first = attempts <= fails
        shows_line = last_fails_first or row["end"] in PLAIN_ERRORS
        message = _failure(attempts, own) if last_fails_first else values.message(row["end"], own)
    return Prediction(
        end,
        attempts,
        row["end"] not in (TOO_LATE, *CANCELLATIONS),
        message,
        shows_line,
        tuple(_failure(number, own) for number in range(1, min(fails + 1, attempts))),
        _printed(text, own, numbers if fails else [0] * attempts),
        _printed(error, own, numbers if fails else [0] * attempts),
    )


def _printed(text: str, own: str, numbers: Iterable[int]) -> tuple[str, ...]:
    pieces = [[text, values.ends_attempt(number, own)] if text else [] for number in numbers]
    return tuple(piece for both in pieces for piece in both if piece)


def _failure(number: int, own: str) -> str:
    return f"{own} fails in attempt {number}"


def ending(row: Row, made: int = 0) -> tuple[End, int]:
    """How a task with these conditions ends, and after how many attempts.

    Args:
        row: the conditions.
        made: as for `predict`.
    """
    fails, budget = int(row["fails"]), made or int(row["retries"]) + 1
    if row["end"] in CANCELLATIONS:
        return "cancelled by its host", 1
    if row["end"] == TOO_LATE:
        return "timed out", budget
    if row["end"] == RETURNS and fails < budget:
        return "completed", fails + 1
    assert row["end"] not in BREAKING or not fails
    return "failed", budget
