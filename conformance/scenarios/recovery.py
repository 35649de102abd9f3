"""Tasks that go wrong in bad ways, and whether an ordinary one works after them."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from ..instruments import patience
from ..instruments.probes import echo
from ..instruments.seen import Seen, finish
from ..subject.subject import Subject


def no_end(seconds: float) -> Seen:
    """What is seen of a task that was given up."""
    return Seen(malformed=f"{_NO_END} after {seconds:g} s")


def has_no_end(seen: Seen) -> bool:
    """Whether a task was given up."""
    return seen.malformed.startswith(_NO_END)


_NO_END = "execute had not ended"


def is_failure(seen: Seen) -> bool:
    """Whether the host was told that the task failed, in one of the two ways there are."""
    return not seen.malformed and (seen.error is not None or seen.status == "FAILED")


def works(subject: Subject, executor: Any) -> Seen | None:
    """What comes of an ordinary task, if that is anything but its result."""
    word = secrets.token_hex(4)

    async def story() -> Seen:
        executing = asyncio.ensure_future(subject.execute(executor, echo, (word,)))
        seen = await finish(executing, patience.RECOVERY)
        if seen is None:
            executing.cancel()
            await asyncio.wait({executing}, timeout=5)
            return no_end(patience.RECOVERY)
        return seen

    with subject.following(executor):
        seen = subject.drive(story)
    return None if seen.completed and seen.result == word else seen


NEXT = "on the same instance the next task, an ordinary one: {}"
