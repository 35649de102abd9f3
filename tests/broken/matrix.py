"""The kill matrix: every wrong executor, judged by the rule that it breaks."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from unittest import mock

from pytest_asyncexec.conformance.instruments import patience
from pytest_asyncexec.conformance.runner import judge_target
from pytest_asyncexec.reference_executor import LocalExecutor

from pytest_asyncexec.contract.catalogue import RULES
from pytest_asyncexec.contract.rule import Profile, Rule
from pytest_asyncexec.contract.verdict import RuleOutcome
from pytest_asyncexec.report.text import first_line

from . import Wrong, all_wrong


@dataclass(frozen=True, slots=True)
class Trial:
    """One wrong executor, and what the check of its rule found."""

    wrong: Wrong
    finding: RuleOutcome

    @property
    def killed(self) -> bool:
        """Whether the rule was found broken, and its author told what is expected here."""
        return self.finding.outcome == "failed" and self.wrong.says in self.finding.message

    @property
    def words(self) -> str:
        """What the finding says; of a survivor also what became of it instead."""
        if self.killed:
            return self.wrong.says
        became = first_line(self.finding.message) or "no message"
        return f"{self.finding.outcome}: {became} (expected: {self.wrong.says})"


def near_guards() -> contextlib.AbstractContextManager[object]:
    """Within this block the guards are near, which are far away for right executors."""
    return mock.patch.multiple(
        patience,
        PAST_LIMIT=3.0,
        SHORTLY=1.0,
        RESCUE=2.0,
        TURN=2.0,
        LEFTOVERS=2.0,
        OUTCOME=15.0,
        FAILURE=20.0,
        RECOVERY=10.0,
    )


def try_out(wrong: Wrong) -> Trial:
    """Judge a wrong executor by the rule that it breaks."""
    with _quietly(), _elsewhere(), near_guards():
        for warm, profile, strength in _ways(wrong):
            with workers(warm):
                found = judge_target(wrong.target, {wrong.rule}, profile, strength)
            never = RuleOutcome(wrong.rule, "not_run", "this rule has no check")
            trial = Trial(wrong, found.get(wrong.rule, never))
            if trial.killed:
                break
    return trial


def _ways(wrong: Wrong) -> Iterator[tuple[bool, Profile, int | None]]:
    """Whether workers are kept warm, the profile, and the strength of the plan: the cheapest first.

    Most are found by the few tasks in which each value occurs once, the others by pairs. A worker
    that serves many tasks costs a tenth of one for each, and most mistakes are made in the host.
    """
    can_be_warm = isinstance(wrong.executor, type) and issubclass(wrong.executor, LocalExecutor)
    for warm in (True, False) if can_be_warm else (False,):
        yield warm, "quick", 1
        yield warm, "default", None


@contextlib.contextmanager
def workers(warm: bool) -> Iterator[None]:
    """Within this block a `LocalExecutor` that is not told otherwise keeps its workers warm."""
    defaults = LocalExecutor.__init__.__kwdefaults__
    with mock.patch.dict(defaults, warm=warm):
        yield


@contextlib.contextmanager
def _elsewhere() -> Iterator[None]:
    """Keep what wrong executors leave in the working directory from the user's."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        yield


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep what wrong executors and their processes print from the terminal."""
    with contextlib.ExitStack() as undo:
        # A real file: some ask for its number.
        nowhere = undo.enter_context(open(os.devnull, "w", encoding="utf-8"))
        for descriptor, stream in ((1, sys.stdout), (2, sys.stderr)):
            stream.flush()
            kept = os.dup(descriptor)
            undo.callback(os.close, kept)
            undo.callback(os.dup2, kept, descriptor)
            os.dup2(nowhere.fileno(), descriptor)
        undo.enter_context(contextlib.redirect_stdout(nowhere))
        undo.enter_context(contextlib.redirect_stderr(nowhere))
        yield


def in_order(rules: Collection[str] = ()) -> list[Wrong]:
    """The wrong executors of these rules, or all of them, in the order of the catalogue."""
    order = {rule_id: place for place, rule_id in enumerate(RULES)}
    known = [wrong for wrong in all_wrong() if not rules or wrong.rule in rules]
    return sorted(known, key=lambda wrong: order.get(wrong.rule, len(order)))


def wanted(rule: Rule) -> int:
    """How many wrong executors a rule should have, of different subtlety."""
    return 2 if rule.obligation == "MUST" else 1


def gaps(wrongs: Sequence[Wrong]) -> list[str]:
    """What is missing for every rule to be shown to be able to fail, in sentences."""
    by_rule: dict[str, set[object]] = defaultdict(set)
    for wrong in wrongs:
        by_rule[wrong.rule].add(wrong.executor)
    return [
        f"{wrong.spec} breaks {wrong.rule}, and there is no such rule"
        for wrong in wrongs
        if wrong.rule not in RULES
    ] + [
        f"{rule.id} ({rule.obligation}) should have wrong executors: {wanted(rule)}, and has "
        f"{len(by_rule[rule.id])}"
        for rule in RULES.values()
        if len(by_rule[rule.id]) < wanted(rule)
    ]
