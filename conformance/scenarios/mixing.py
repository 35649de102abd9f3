"""Tasks that are held together and end in the opposite order, on one instance and on several."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from ..instruments.beacon import Address, Attempt
from ..instruments.history import History
from ..instruments.probes import report_home
from ..instruments.seen import Seen, finish
from ..subject.kept import Kept
from ..subject.subject import Subject

#: Where the tasks are that meet.
Among = Literal["one instance", "several instances"]

#: So many of each kind.
TASKS: Final = 4

#: The nodes of each dispatch; the tasks of the second one fail.
_NODES: Final = (1, -1)

#: Seconds, beyond what a task takes to begin, to wait for the next one before those that have
#: begun are let go. It decides nothing: an executor that queues is right, it is only judged
#: without having them all at once.
_GRACE: Final = 0.3

#: How the problem of a task begins whose error did not arrive.
LOST: Final = "its error is lost"


@dataclass(frozen=True, slots=True)
class Mixed:
    """A task to which another one has done something."""

    which: str
    problem: str
    history: History


@dataclass(slots=True, eq=False)
class _Task:
    among: Among
    executor: Any
    dispatch: str
    node: int
    #: Whether its function is one of its own that looks like others, or gets its own arguments.
    looks_alike: bool

    @property
    def name(self) -> str:
        return f"{self.dispatch}-{self.node}"


class _Meeting(NamedTuple):
    """What became of all these tasks."""

    mixed: dict[Among, Mixed]
    #: How many were under way before any of them was let go.
    at_once: int


def mixed(subject: Subject, among: Among) -> Mixed | None:
    """The first of some tasks at once that was not as if it were alone; they run once for both."""
    return _held_together.of(subject).mixed.get(among)


def is_known_to_queue(subject: Subject, tasks: int) -> bool:
    """Whether so many tasks at once were seen not to begin together; False where none were held."""
    known = _held_together.known(subject)
    return known is not None and known.at_once < tasks


def _hold_together(subject: Subject) -> _Meeting:
    tasks = [*_tasks(subject, "one instance"), *_tasks(subject, "several instances")]
    at_once = 0

    async def story() -> list[Seen | None]:
        nonlocal at_once
        with subject.beacon() as beacon:
            executing = [
                asyncio.ensure_future(
                    subject.execute(
                        task.executor,
                        *_work(task, beacon.address),
                        dispatch_id=task.dispatch,
                        node_id=task.node,
                    )
                )
                for task in tasks
            ]
            # All of them have begun, where the executor lets them, before any goes on.
            everyone = asyncio.gather(*executing, return_exceptions=True)
            grace = _GRACE + 3 * subject.preflight().seconds
            for number in range(1, len(tasks) + 1):
                begun = asyncio.ensure_future(beacon.reported(number, everyone))
                done, _ = await asyncio.wait({begun}, timeout=grace)
                if not done:
                    begun.cancel()
                    break
            # They print before any of them ends, and end in the order opposite to that of their
            # beginning; who begins later, because the executor queues, is served on arrival.
            held = beacon.answer_with(_finish_task)
            at_once = len(held)
            for attempt in held:
                _print(attempt)
            for attempt in reversed(held):
                _end(attempt)
            return [await finish(task) for task in executing]

    with subject.recording(tasks[0].executor) as history:
        outcomes = subject.drive(story)

    captures = subject.preflight().captures_streams
    # Of methods that no class has, those of a proxy for one, nothing is recorded.
    recorded = history.count("run") > 0
    names = {task.name for task in tasks}
    found: dict[Among, Mixed] = {}
    for task, seen in zip(tasks, outcomes, strict=True):
        its_own = history.of(task.dispatch)
        problem = _problem(task, seen, names - {task.name}, captures)
        if not problem and recorded:
            problem = _misled(task, its_own)
        if problem and task.among not in found:
            found[task.among] = Mixed(f"node {task.node} of {task.dispatch}", problem, its_own)
    return _Meeting(found, at_once)


_held_together: Final = Kept(_hold_together)


def _tasks(subject: Subject, among: Among) -> list[_Task]:
    # What tells them apart is both ids together: of either, some of them have the same. And of the
    # dispatches it is a sign that the name of a job may not have.
    base = subject.new_dispatch()
    dispatches = [f"{base}{sign}0" for sign in "._"]
    shared = subject.build() if among == "one instance" else None
    return [
        _Task(
            among,
            subject.build() if shared is None else shared,
            dispatch,
            node,
            looks_alike=dispatch == dispatches[1],
        )
        for dispatch, node in itertools.product(dispatches, _NODES)
    ]


def _work(task: _Task, address: Address) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """What a task runs: one function with its own arguments, or one that looks like another."""
    if not task.looks_alike:
        return report_home, (address, task.name)
    report, name = report_home, task.name

    def reporting() -> Any:
        return report(address, name)

    return reporting, ()


def _finish_task(attempt: Attempt, number: int) -> None:
    _print(attempt)
    _end(attempt)


def _print(attempt: Attempt) -> None:
    attempt.tell(do="print", text=f"printed by {attempt.hello['label']};")


def _end(attempt: Attempt) -> None:
    label = attempt.hello["label"]
    # Every other task fails, so that errors can be mixed up too.
    if label.endswith(f"-{_NODES[1]}"):
        attempt.tell(do="raise", type="ValueError", message=f"error of {label};")
    else:
        attempt.tell(do="return", value=f"result of {label};")


def _problem(task: _Task, seen: Seen | None, others: Collection[str], captures: bool) -> str:
    """What is wrong with the outcome of one task, or nothing."""
    name = task.name
    if seen is None:
        return "execute had not ended a minute after the task had"
    said = seen.everything_said + repr(seen.result)
    foreign = sorted(other for other in others if f"{other};" in said)
    if foreign:
        return f"it got what belongs to {foreign[0]}: {seen}"
    fails = task.node == _NODES[1]
    if fails and (seen.completed or f"error of {name};" not in seen.everything_said):
        return f"{LOST}: {seen}"
    if not fails and seen.result != f"result of {name};":
        return f"its result is lost: {seen}"
    if captures and not fails and f"printed by {name};" not in seen.stdout:
        return f"its output is lost: {seen}"
    return ""


def _misled(task: _Task, history: History) -> str:
    """Whether `run` worked for another task, or nothing."""
    runs: Sequence[Any] = history.metadata("run")
    if any(isinstance(given, dict) and given.get("node_id") == task.node for given in runs):
        return ""
    return f"`run` was given the metadata {runs}, and never that of node {task.node}"
