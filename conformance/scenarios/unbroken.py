"""Judges where nothing is broken yet: here while ordinary tasks work, else in a fresh process."""

from __future__ import annotations

from collections.abc import Callable

from ..instruments.loop import Hang
from ..subject.exceptions import CouldNotRun, RuleViolation
from ..subject.needs import believe, clear_doubts
from ..subject.subject import Subject
from .fresh_process import judge_in_fresh_process
from .recovery import has_no_end, works


def settle(
    subject: Subject,
    function: Callable[[Subject], None],
    found: RuleViolation | CouldNotRun | None = None,
) -> None:
    """Judge by the subject's rule on a backend that no other check has broken.

    Args:
        subject: who is judged.
        function: decides it; a function of a module, for a fresh process to find.
        found: what it has come to here already. It counts if ordinary tasks work.

    Raises:
        RuleViolation, CouldNotRun: as `function` ends.
    """
    broken = "" if subject.apart else _broken(subject)
    if not broken:
        if found is not None:
            raise found
        function(subject)
    elif subject.preflight().is_local:
        try:
            judge_in_fresh_process(subject, function)
        except CouldNotRun as reason:
            raise CouldNotRun(f"{broken}; {reason}") from None
    else:
        subject.could_not_run(broken)


def judge_unbroken(subject: Subject, function: Callable[[Subject], None]) -> None:
    """Judge by the subject's rule here while ordinary tasks work, else in a fresh process.

    Unlike `settle`, it costs no task where all goes well.

    Args:
        subject: who is judged.
        function: decides it; a function of a module, for a fresh process to find.

    Raises:
        RuleViolation, CouldNotRun: as `function` ends.
    """
    try:
        clear_doubts(subject)
        try:
            function(subject)
        except RuleViolation:
            believe(subject)
            raise
    except CouldNotRun as reason:
        settle(subject, function, reason)


def require_unbroken(subject: Subject) -> None:
    """End the check if not even an ordinary task works any more; in a fresh process never.

    Raises:
        CouldNotRun: what an ordinary task came to.
    """
    broken = "" if subject.apart else _broken(subject)
    if broken:
        raise CouldNotRun(broken)


def _broken(subject: Subject) -> str:
    """Why an ordinary task on a fresh instance does not work any more; or nothing."""
    if subject.blocked:
        return subject.blocked
    try:
        executor = subject.build()
    except Exception as error:
        return f"blocked: no executor can be built any more: {error!r}"
    broken = "blocked: not even an ordinary task completes any more"
    try:
        seen = works(subject, executor)
    except Hang as hang:
        subject.blocked = f"{broken}: {hang}"
        return subject.blocked
    if seen is None:
        return ""
    broken += f": {seen}"
    if has_no_end(seen):
        subject.blocked = broken
    return broken
