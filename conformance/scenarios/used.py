"""The executors on which the tasks of the plan ran, and which tasks left something on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..plan.conditions import CANCELLED, Row, in_words, row, unusual
from ..plan.script import script
from ..plan.small import blamed, shrunk
from ..subject.subject import Subject
from .batch import Instance, observe
from .description import written
from .observations import plan_of

#: So many sets of conditions are tried by a task alone.
_TRIED_ALONE = 4


@dataclass(frozen=True, slots=True)
class Trace:
    """What one executor shows of the tasks that it has run."""

    mark: str
    #: The tasks in words, and the conditions of one that leaves the mark.
    after: str
    conditions: Mapping[str, str]
    instance: Instance

    def reproduction(self, look: str = "") -> str:
        """Lines that run such a task, and one that looks at the executor before and after it."""
        return script(self.conditions, look=look)


@dataclass(frozen=True, slots=True)
class Used:
    """Executors that have run tasks."""

    instances: list[Instance]
    #: Whether a task was cancelled on one of them.
    cancelled: bool
    #: Why some tasks were not tried; empty where all were.
    untried: str


def used_executors(subject: Subject) -> Used:
    """Those of the plan, but for tasks that break their backend.

    Raises:
        CouldNotRun: the tasks did not come to an end, which other rules tell.
    """
    plan = plan_of(subject)
    parts = [plan.part(part, excused=True) for part in ("ordinary", "stopped")]
    return Used(
        [instance for part in parts for instance in part.sight.instances],
        any(seen.row["end"] == CANCELLED for seen in parts[1].sight.observations),
        next((part.untried for part in parts if part.untried), ""),
    )


def trace(subject: Subject, used: Used, mark_of: Callable[[Instance], str]) -> Trace | None:
    """What shows on one of them, with the fewest conditions of a task by which it does.

    Args:
        subject: whose they are.
        used: the executors.
        mark_of: what shows on one of them, in words; nothing where all is as it should be.
    """
    marks = [(instance, mark) for instance in used.instances if (mark := mark_of(instance))]
    if not marks:
        return None
    marked = [instance for instance, _ in marks]
    fine = [each for instance in used.instances if instance not in marked for each in instance.rows]

    def alone(conditions: Mapping[str, str]) -> Trace | None:
        sight = observe(subject, [{**row(**conditions), "instance": "its own"}], at_once=1)
        for instance in sight.instances:
            if mark := mark_of(instance):
                return Trace(mark, in_words(conditions), conditions, instance)
        return None

    def marking(rows: Sequence[Row]) -> list[bool]:
        sight = observe(subject, [{**each, "instance": "its own"} for each in rows])
        found = [instance.rows for instance in sight.instances if mark_of(instance)]
        return [[{**each, "instance": "its own"}] in found for each in rows]

    for conditions in blamed([instance.rows for instance in marked], fine)[:_TRIED_ALONE]:
        if found := alone(conditions):
            return found
    first, mark = marks[0]
    for each in first.rows[:_TRIED_ALONE]:
        whole = {name: value for name, value in unusual(each).items() if name != "instance"}
        if alone(whole):
            return alone(shrunk(whole, marking))
    words = f"{len(first.rows)} tasks at once, one of them {in_words(first.rows[0])}"
    return Trace(mark, words, first.rows[0], first)


def trace_of_cancelling(
    executor: Any, cancel: Callable[[Any], None], mark_of: Callable[[Instance], str]
) -> Trace | None:
    """What shows on an executor after a task on it was cancelled.

    Args:
        executor: a fresh one.
        cancel: runs a task on it and cancels it.
        mark_of: as for `trace`.
    """
    instance = Instance(executor, row(), {}, {}, written_before=written(executor))
    cancel(executor)
    instance.written_after = written(executor)
    mark = mark_of(instance)
    conditions = {"end": CANCELLED}
    return Trace(mark, in_words(conditions), conditions, instance) if mark else None
