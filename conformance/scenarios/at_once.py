"""Runs a few tasks at the same time, and those that went wrong again, alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ..instruments.seen import Seen
from ..subject.subject import Subject
from .batch import AT_ONCE

#: So many that went wrong among others are run again.
_TRIED_ALONE: Final = 8


@dataclass(frozen=True, slots=True)
class Errand:
    """One task, and what is wrong with what is seen of it, in words."""

    function: Callable[..., Any]
    args: Sequence[Any]
    judge: Callable[[Seen], str]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    by_value: bool = True


def run_at_once(subject: Subject, errands: Sequence[Errand]) -> list[Seen]:
    """What comes of tasks that run at the same time, each on an instance of its own."""
    executors = [subject.build() for _ in errands]
    over: list[Errand] = []

    async def story() -> list[Seen]:
        free = asyncio.Semaphore(AT_ONCE)

        async def run(executor: Any, errand: Errand) -> Seen:
            async with free:
                seen = await subject.execute(
                    executor,
                    errand.function,
                    errand.args,
                    errand.kwargs,
                    by_value=errand.by_value,
                )
            over.append(errand)
            return seen

        return await asyncio.gather(*map(run, executors, errands))

    return subject.drive(story, progress=lambda: len(over))


def wrong_alone(subject: Subject, errands: Sequence[Errand]) -> Iterator[tuple[Errand, str]]:
    """The tasks with which something is wrong, also when nothing runs at the same time.

    What goes wrong only among others is for CNC-01 and CNC-02 to tell.
    """
    return wrong_again(subject, zip(errands, run_at_once(subject, errands), strict=True))


def wrong_again(
    subject: Subject, done: Iterable[tuple[Errand, Seen]]
) -> Iterator[tuple[Errand, str]]:
    """The same, of tasks that have been run at the same time."""
    wrong = [errand for errand, seen in done if errand.judge(seen)]
    for errand in wrong[:_TRIED_ALONE]:
        seen = subject.run(
            subject.build(),
            errand.function,
            *errand.args,
            kwargs=errand.kwargs,
            by_value=errand.by_value,
        )
        found = errand.judge(seen)
        if found:
            yield errand, found
