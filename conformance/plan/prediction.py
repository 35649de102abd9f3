"""The model: what has to be seen of a task of the plan, without a line of any executor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from . import values
from .conditions import (
    BREAKING,
    CANCELLED,
    CANCELLED_TWICE,
    RETURNS,
    TOO_LATE,
    Row,
)

End = Literal["completed", "failed", "timed out", "cancelled by its host"]

_CANCELLED: Final = (CANCELLED, CANCELLED_TWICE)


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
    #: What is returned as stdout and stderr, and found in the logs, where output is captured.
    stdout: str
    stderr: str


def predict(row: Row, own: str) -> Prediction:
    """What has to be seen of a task with these conditions.

    Args:
        row: the conditions.
        own: the text that no other task has.
    """
    end, attempts = ending(row)
    fails = int(row["fails"])
    text = values.printed(row["prints"], own)
    # The last error is the one that counts.
    message = ""
    if end == "failed":
        last_fails_first = attempts <= fails
        message = (
            f"{own} fails in attempt {attempts}"
            if last_fails_first
            else values.message(row["end"], own)
        )
    return Prediction(
        end,
        attempts,
        row["end"] not in (TOO_LATE, *_CANCELLED),
        message,
        text * attempts,
        values.to_stderr(row["prints"], own) * attempts,
    )


def ending(row: Row) -> tuple[End, int]:
    """How a task with these conditions ends, and after how many attempts."""
    fails, budget = int(row["fails"]), int(row["retries"]) + 1
    if row["end"] in _CANCELLED:
        return "cancelled by its host", 1
    if row["end"] == TOO_LATE:
        return "timed out", budget
    if row["end"] == RETURNS and fails < budget:
        return "completed", fails + 1
    assert row["end"] not in BREAKING or not fails
    return "failed", budget
