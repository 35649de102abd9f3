"""What a check is: a function that judges one rule on one subject."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from ..contract.catalogue import RULES
from .subject.judging import judge
from .subject.subject import Subject


def check(
    rule_id: str, *, working: bool = True
) -> Callable[[Callable[[Subject], None]], Callable[..., None]]:
    """Make a function the check of the rule `rule_id`.

    The function takes the subject and returns when the rule is kept; otherwise it ends in
    `subject.fail(...)`, `subject.not_applicable(...)` or `subject.could_not_run(...)`.

    Args:
        rule_id: of the catalogue.
        working: whether it can only be judged while ordinary tasks work, see `unbroken.settle`
            for checks that know better.
    """
    rule = RULES[rule_id]

    def decorate(function: Callable[[Subject], None]) -> Callable[..., None]:
        # Not functools.wraps: pytest would follow __wrapped__ and look for a fixture "subject".
        def judged(asyncexec_subject: Subject) -> None:
            __tracebackhide__ = True
            judge(asyncexec_subject, rule, function, working=working)

        functools.update_wrapper(judged, function, updated=())
        del judged.__wrapped__  # type: ignore[attr-defined]
        judged.__annotations__ = {}
        judged.rule = rule  # type: ignore[attr-defined]
        return pytest.mark.asyncexec(rule=rule_id)(judged)

    return decorate


def checks_of(module: Any) -> list[Callable[..., None]]:
    """The checks that `module` defines, in the order of their definition."""
    return [item for item in vars(module).values() if hasattr(item, "rule")]
