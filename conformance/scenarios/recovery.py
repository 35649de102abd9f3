"""Tasks that go wrong in bad ways, and whether an ordinary one works after them."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from ..instruments.probes import echo
from ..instruments.seen import Seen, finish
from ..subject.subject import Subject

#: Seconds for which a task may go on that fails at once: a guard, far beyond what that takes.
PATIENCE = 100.0

#: The same for one that decides nothing: what is judged after it waits for no backend that is gone.
LESS_PATIENCE = 30.0


def outcome_of(
    subject: Subject,
    executor: Any,
    function: Any,
    *args: Any,
    patience: float = PATIENCE,
    **named: Any,
) -> Seen:
    """What comes of one task; a `malformed` outcome if `execute` does not end."""

    async def story() -> Seen:
        executing = asyncio.ensure_future(subject.execute(executor, function, args, **named))
        seen = await finish(executing, patience)
        if seen is None:
            executing.cancel()
            await asyncio.wait({executing}, timeout=5)
            return no_end(patience)
        return seen

    with subject.following(executor):
        return subject.drive(story)


def no_end(patience: float) -> Seen:
    """What is seen of a task that was given up."""
    return Seen(malformed=f"{_NO_END} after {patience:g} s")


def has_no_end(seen: Seen) -> bool:
    """Whether a task was given up."""
    return seen.malformed.startswith(_NO_END)


_NO_END = "execute had not ended"


def is_failure(seen: Seen) -> bool:
    """Whether the host was told that the task failed, in one of the two ways there are."""
    return not seen.malformed and (seen.error is not None or seen.status == "FAILED")


def works(subject: Subject, executor: Any, patience: float = PATIENCE) -> Seen | None:
    """What comes of an ordinary task, if that is anything but its result."""
    word = secrets.token_hex(4)
    seen = outcome_of(subject, executor, echo, word, patience=patience)
    return None if seen.completed and seen.result == word else seen


NEXT = "on the same instance the next task, an ordinary one: {}"
