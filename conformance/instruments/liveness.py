"""Whether attempts of a task still do what they are told: a dead one cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from . import patience
from .beacon import Attempt


async def answered(attempt: Attempt, executing: asyncio.Future[Any], **command: Any) -> bool:
    """Have a command acknowledged; False if the attempt or `executing` was over before."""
    answer = asyncio.wrap_future(attempt.ask(**command))
    await asyncio.wait({answer, executing}, return_when=asyncio.FIRST_COMPLETED)
    if answer.done():
        return answer.result() is not None
    answer.cancel()
    return False


async def living(attempts: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """Whoever of these does what it is told: a dead one cannot, and its end of file says so.

    The guard is for what is neither: a process that is stopped, but not ended.
    """
    if not attempts:
        return ()
    asked = {attempt: asyncio.wrap_future(attempt.ask(do="answer")) for attempt in attempts}
    await asyncio.wait(asked.values(), timeout=patience.PAST_LIMIT)
    alive = []
    for attempt, answer in asked.items():
        if not answer.done():
            answer.cancel()
        elif answer.result() is not None:
            alive.append(attempt)
    return tuple(alive)


async def still_alive(attempts: Sequence[Attempt]) -> tuple[str, ...]:
    """The same in words: `task (process 123)`."""
    return tuple(name_of(attempt) for attempt in await living(attempts))


def name_of(attempt: Attempt) -> str:
    """Who it is that may still run: its task, or a child of that, and the number of its process."""
    who = "child" if "child" in str(attempt.hello["label"]) else "task"
    return f"{who} (process {attempt.hello['pid']})"


def still_running(alive: Sequence[str]) -> str:
    """What `still_alive` has found, in words: `its task still runs (process 123)`."""
    words = [each.replace(" (", " still runs (", 1) for each in alive]
    return f"its {' and its '.join(words)}"
