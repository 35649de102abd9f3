"""Judges a target without pytest: every check, or some of them, one after the other."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Collection

from ..contract.catalogue import Contract, contract_of
from ..contract.rule import Profile
from ..contract.verdict import RuleOutcome
from ..targets.target import Target
from . import CHECK_MODULES
from .check import checks_of
from .subject.subject import Subject


def judge_target(
    target: Target,
    only: Collection[str] | None = None,
    profile: Profile = "default",
    strength: int | None = None,
    contract: Contract | None = None,
) -> dict[str, RuleOutcome]:
    """Run the suite's checks on `target` and return what was found, by rule id.

    Args:
        target: what `load_target` returns.
        only: the ids of the rules to judge; all of the contract, and the candidates, by default.
        profile: how much each check tries.
        strength: how many values meet in the tasks of the plan; None for what the profile says.
        contract: by which it is judged; the newest by default.
    """
    contract = contract or contract_of()
    # All of them first: what a task has left must not end while a module is compiled.
    modules = [importlib.import_module(f".{name}", __package__) for name in CHECK_MODULES]
    subject = Subject(target, profile, strength, contract)
    try:
        for module in modules:
            for check in checks_of(module):
                rule_id = check.rule.id  # type: ignore[attr-defined]
                if rule_id in (contract.judged if only is None else only):
                    # How it ended is in the findings; pytest is who needs the exception.
                    with contextlib.suppress(Exception):
                        check(subject)
    finally:
        subject.close()
    return dict(subject.findings)
