"""Runs a check so that nothing an executor does in it can end more than that one check."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable
from typing import NoReturn

from ..instruments.guard import Guard, guarded
from ..instruments.loop import Hang
from .blame import explain, raised_at, raised_outside
from .exceptions import CouldNotRun, NotApplicable, RuleViolation
from .subject import Subject


def supervise(subject: Subject, function: Callable[[Subject], None]) -> None:
    """Call the check `function`, and end as it ended.

    Raises:
        RuleViolation: also where the check itself did not see what the executor did to its host.
    """
    driving = subject.driving
    subject.followed = None
    try:
        with guarded() as guard:
            error = driving.call(lambda: function(subject))
    except Hang as hang:
        driving.note_hang()
        error = hang
    if guard.exits:
        subject.fail(
            seen=guard.harm,
            required="the host's process goes on, whatever becomes of a task",
            cause="os._exit() is for the child after a fork; an error is to be raised",
        )
    if isinstance(error, asyncio.CancelledError):
        subject.fail(
            seen="a call of the executor's methods ended in CancelledError, and nobody had "
            "cancelled it",
            required="the outcome of the task, or its error; a CancelledError of a backend's "
            "own is told as TaskCancelledError, or with the status CANCELLED",
            cause="the executor cancels the very task of its host: with "
            "asyncio.current_task().cancel(), or, before Python 3.13, with a TaskGroup in "
            "which a task failed after the body of `async with` had ended",
        )
    if isinstance(error, Hang):
        subject.fail(
            seen=f"the check never ended: {error}",
            required="every call of the executor's methods ends",
            cause="the line named above waits for something that never happens",
        )
    if error is not None:
        _end_in(subject, error, guard, function)


def _end_in(
    subject: Subject, error: BaseException, guard: Guard, function: Callable[[Subject], None]
) -> NoReturn:
    """End the check as it ended itself; what no check foresaw is a finding or our own crash."""
    if isinstance(error, RuleViolation | NotApplicable | CouldNotRun):
        raise error
    lost = isinstance(error, AttributeError) and type(error.obj) is subject.cls
    checks = os.path.dirname(inspect.getfile(function))
    if guard.replaced or lost or raised_outside(error, checks):
        harm = f"; {guard.harm}" if guard.harm else ""
        subject.fail(
            seen=f"the check was ended by {explain(error)}{raised_at(error)}{harm}",
            required="an executor keeps its methods and attributes, leaves the host's modules "
            "alone, and raises errors where its caller can expect them",
            cause="the line named above; or an attribute that was deleted while a task ran",
        )
    if isinstance(error, Exception):
        raise error
    # Not even by these may an executor end more than the check of one rule.
    raise RuntimeError(f"the check ended in {error!r}") from error
