"""What is done with an executor in an interpreter of its own: this end of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ...contract.finding import Finding
from ..instruments import patience
from ..subject.exceptions import CouldNotRun, NotApplicable, RuleViolation
from ..subject.kept import Kept
from ..subject.subject import Subject
from .interpreter import Fresh
from .killed_host import killed_host

#: Seconds for what ends at the same time; it decides nothing.
_GRACE: Final = 1.0

#: Seconds for the check of one rule: a guard, far beyond all that it waits for itself.
_FOR_A_RULE = 900.0


def in_fresh_process(subject: Subject, text: str) -> dict[str, Any]:
    """Rehydrate in an interpreter of its own, and run a task there: see `rehydrated`.

    What other rules will ask of one is done at the same time: on a slow backend, for one wait.
    """
    fresh, other = Fresh(subject, "rehydrated", text=text), _main_thread.of(subject)
    doomed = killed_host(subject)
    with subject.elsewhere():
        answer = fresh.answer
        other.give_up_after(_GRACE + 2 * subject.preflight().seconds)
        if doomed is not None:
            doomed.kill_within(_GRACE + 2 * subject.preflight().seconds)
    return answer


def on_event_loops_of_a_fresh_process(subject: Subject, loops: int) -> dict[str, Any]:
    """Run a task on so many event loops of another process, one after the other."""
    return _ask(subject, "rehydrated", loops=loops)


_main_thread: Final = Kept(lambda subject: Fresh(subject, "rehydrated", main_thread=True))


def in_main_thread_of_a_fresh_process(subject: Subject) -> dict[str, Any]:
    """Run tasks from the main thread of another process, and see what of it they have changed."""
    begun = _main_thread.of(subject)
    if begun.is_given_up:
        return _ask(subject, "rehydrated", main_thread=True)
    with subject.elsewhere():
        return begun.answer


def judge_in_fresh_process(subject: Subject, function: Callable[[Subject], None]) -> None:
    """Judge by the subject's rule where nobody has broken anything, and end as that ends.

    Args:
        subject: who is judged.
        function: decides it; of a module, not within another function.
    """
    assert subject.rule is not None
    found = _ask(
        subject,
        "apart",
        _FOR_A_RULE,
        rule=subject.rule.id,
        module=function.__module__,
        function=function.__name__,
        profile=subject.profile,
        strength=subject.strength,
        contract=subject.contract.version,
        patience={name: value for name, value in vars(patience).items() if name.isupper()},
    )
    if found.get("outcome") == "passed":
        return
    if found.get("outcome") == "failed":
        raise RuleViolation(subject.rule, Finding.from_json(found["finding"]))
    if found.get("outcome") == "not_applicable":
        raise NotApplicable(found["message"], found["lacking"])
    if found.get("outcome") == "could_not_run":
        raise CouldNotRun(found["message"])
    raise CouldNotRun(f"in a process of its own it could not be judged: {found['error']}")


def _ask(
    subject: Subject, other_end: str, limit: float | None = None, **wanted: Any
) -> dict[str, Any]:
    with subject.elsewhere():
        return Fresh(subject, other_end, limit, **wanted).answer
