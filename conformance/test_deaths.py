"""RET, where workers die: whether the death of one counts as the failed attempt that it is."""

from __future__ import annotations

from .check import check
from .scenarios.accidents import broke_something
from .scenarios.asking import ask_plan
from .scenarios.unbroken import settle
from .subject.exceptions import CouldNotRun, RuleViolation
from .subject.subject import Subject


@check("RET-10", working=False)
def test_RET_10_must_count_the_death_of_a_worker_as_a_failed_attempt(subject: Subject) -> None:
    subject.need_beacon()
    if broke_something(subject):
        settle(subject, _ask)
        return
    try:
        _ask(subject)
    except (RuleViolation, CouldNotRun) as found:
        settle(subject, _ask, found)


def _ask(subject: Subject) -> None:
    ask_plan(
        subject,
        "breaking",
        cause="a lost worker has a path of its own: `run`, or the backend behind it, hands its "
        "task to another one, or fails it for good, and `retries` is not asked. A backend that "
        'cannot do otherwise is declared: cannot = frozenset({"at-most-once"})',
    )
