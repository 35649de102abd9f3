"""Very many small tasks at once on one instance."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ..instruments import patience
from ..instruments.history import History
from ..instruments.probes import echo
from ..instruments.seen import Seen
from ..subject.subject import Subject


@dataclass(frozen=True, slots=True)
class Wrong:
    """A task that did not come to its own outcome."""

    which: str
    problem: str
    history: History


def first_wrong(subject: Subject, tasks: int) -> Wrong | None:
    """The first of so many tasks at once that does not return what it was given, if any."""
    if not tasks:
        return None
    executor = subject.build()
    dispatches = [subject.new_dispatch() for _ in range(tasks)]
    ended, guard = 0, patience.PAST_LIMIT + 3 * subject.preflight().seconds

    async def one(number: int) -> Seen:
        nonlocal ended
        try:
            return await subject.execute(
                executor, echo, (f"task {number}",), dispatch_id=dispatches[number]
            )
        finally:
            ended += 1

    async def story() -> list[Seen | None]:
        executing = [asyncio.ensure_future(one(number)) for number in range(tasks)]
        pending, known = set(executing), -1
        while pending and ended > known:
            known = ended
            _, pending = await asyncio.wait(pending, timeout=guard)
        for each in pending:
            each.cancel()
        if pending:
            await asyncio.wait(pending, timeout=5)
        return [None if each in pending else each.result() for each in executing]

    with subject.recording(executor) as history:
        seen = subject.drive(story, longer=guard, progress=lambda: ended)
    for number, outcome in enumerate(seen):
        if outcome is None or not outcome.completed or outcome.result != f"task {number}":
            problem = f"it came to nothing, when no other ended for {guard:.0f} s"
            told = problem if outcome is None else str(outcome)
            return Wrong(f"task {number + 1}", told, history.of(dispatches[number]))
    return None
