"""What becomes of tasks, as the contract has it: small, and without a line of any executor.

The model knows what a host did to a task, and says what the host has to see.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from ..instruments.history import History, Method
from ..instruments.seen import Seen
from ..instruments.sweep import unbalanced

Ending = Literal["succeeds", "fails", "is cancelled", "is out of time"]


@dataclass(slots=True)
class ModelTask:
    """One task: how it ends, and what it prints before that."""

    name: str
    instance: str
    node: int
    #: Whether it has a limit that only a task which ends at once is sure to keep.
    limited: bool = False
    end: Ending | Literal["is held"] = "is held"
    printed: list[str] = field(default_factory=list)

    @property
    def result(self) -> str:
        """What it returns where it succeeds."""
        return f"result of {self.name};"

    @property
    def message(self) -> str:
        """What its error says where it fails."""
        return f"error of {self.name};"

    def print(self) -> str:
        """It prints another line, which is returned."""
        self.printed.append(f"line {len(self.printed) + 1} of {self.name};")
        return self.printed[-1]


def mismatch(
    task: ModelTask,
    seen: Seen | None,
    *,
    others: Collection[ModelTask],
    captures: bool,
    begun: bool,
) -> str:
    """How an outcome differs from the model's, or nothing.

    Args:
        seen: what the host saw; None if `execute` ended in CancelledError.
        others: all other tasks, nothing of which may be found here.
        captures: whether what tasks print is returned.
        begun: whether the task was seen to run.
    """
    if task.end == "is cancelled":
        # Where it was over before the cancellation came, nobody is to blame.
        if seen is None or (task.limited and seen.timed_out):
            return ""
        return f"it was cancelled, and {seen}"
    if seen is None:
        return "execute ended in CancelledError, and nobody had cancelled it"
    said = seen.everything_said + repr(seen.result)
    for other in others:
        for text in (other.result, other.message, *other.printed):
            if text in said:
                return f"it got {text!r}, which belongs to {other.name}: {seen}"
    # A limit may be over before a task has begun: the machine may be as slow as it likes.
    if task.limited and seen.timed_out and task.message not in said:
        return ""
    if task.end == "is out of time":
        return f"it went on past its time limit, and {seen}"
    if task.end == "succeeds" and not (seen.completed and seen.result == task.result):
        return f"it should return {task.result!r}: {seen}"
    if task.end == "fails" and (seen.completed or task.message not in said):
        return f"it should raise {task.message!r}: {seen}"
    lines = "".join(task.printed)
    # With an error that is raised, no output is returned.
    if captures and begun and seen.error is None and lines not in seen.stdout:
        return f"it printed {lines!r}, and its stdout is {seen.stdout!r}"
    return ""


def misdone(
    task: ModelTask,
    history: History,
    has: Collection[Method],
    awaited: Collection[Method],
    *,
    attempts: int,
    begun: bool,
) -> str:
    """How a history differs from the model's, or nothing; one attempt is all there may be."""
    if attempts > 1:
        return f"it was attempted {attempts} times without a retry"
    wrong = unbalanced(history, has, awaited)
    if wrong:
        return wrong
    expected = [method for method in ("setup", "run", "teardown") if method in has]
    # Of methods that no class has, those of a proxy for one, nothing is recorded.
    if begun and history.events and history.beginnings() != expected:
        return f"the methods were called in the order {history.beginnings()}"
    for event in history.events:
        node = event.metadata.get("node_id") if isinstance(event.metadata, dict) else None
        if node != task.node:
            return f"{event.method} was given the metadata {event.metadata}; node {task.node} is it"
    return ""
