"""All tasks that a host ends by `cancel`, at once where there are places enough for them."""

from __future__ import annotations

import asyncio
from typing import Final

from ..subject.kept import Kept
from ..subject.subject import Subject
from .handles import Revoked, look
from .revoking import Told, telling, told_alone


def answered(subject: Subject) -> Told:
    """What `cancel` answered for tasks of all kinds, and what became of them."""
    together = _together.of(subject)
    return together[0] if together else told_alone(subject)


def revoked(subject: Subject) -> Revoked:
    """What became of the tasks of which one was cancelled by its handle."""
    together = _together.of(subject)
    return together[1] if together else look_alone(subject)


def _tell_together(subject: Subject) -> tuple[Told, Revoked] | None:
    """What came of all of them; None where anything was wrong, which condemns nobody.

    A `cancel` that ends too much is to be told of by the rule that forbids it, and by no other.
    """
    if "stop" in subject.preflight().cannot or subject.most_at_once < _PLACES:
        return None
    try:
        with telling(subject) as (told, tell):
            found = look(subject, tell)
    except (Exception, asyncio.CancelledError):
        return None
    is_right = found.ended and not (found.wrong or found.hit or any(told.wrong))
    return (told, found) if is_right and told.wrong else None


#: So many tasks have to find a place at once: those that are held must not keep the others waiting.
_PLACES: Final = 11

_together: Final = Kept(_tell_together)
look_alone: Final = Kept(look).of
