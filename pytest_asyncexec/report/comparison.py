"""What differs between two runs, the worst first. Pure: two records in, differences out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ..contract.verdict import OUTCOMES, Outcome, RuleOutcome
from ..contract.wording import printable
from ..evidence.record import RunRecord, TargetRecord
from .text import first_line

#: In the order in which they are told.
Kind = Literal["regression", "improvement", "changed", "run"]
KINDS: tuple[Kind, ...] = ("regression", "improvement", "changed", "run")

#: The outcomes of a rule that nobody has to do anything about.
_SETTLED: tuple[Outcome, ...] = ("passed", "not_applicable", "waived")

_LONG = 160


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was."""

    kind: Kind
    text: str

    def __str__(self) -> str:
        # One line, whatever the names of executors in the reports are.
        return f"{self.kind:11}  {printable(' '.join(self.text.split()))}"


def compare(old: RunRecord, new: RunRecord) -> list[Difference]:
    """All differences, regressions first. Executors are the same that have the same name."""
    found = [*_between_targets(old, new), *_between_runs(old, new)]
    return sorted(found, key=lambda difference: KINDS.index(difference.kind))


def _between_targets(old: RunRecord, new: RunRecord) -> Iterator[Difference]:
    before = {target.name: target for target in old.targets}
    after = {target.name: target for target in new.targets}
    for name, target in before.items():
        if name in after:
            yield from _between_verdicts(target, after[name])
        else:
            yield Difference(
                "regression", f"{name}: is not judged any more; it was {_standing(target)}"
            )
    for name, target in after.items():
        if name not in before:
            yield Difference("changed", f"{name}: was not judged before; it is {_standing(target)}")


def _between_verdicts(old: TargetRecord, new: TargetRecord) -> Iterator[Difference]:
    was, now = old.verdict, new.verdict
    if was.verdict != now.verdict:
        yield Difference("changed", f"{new.name}: verdict {was.verdict} -> {now.verdict}")
    if was.level != now.level:
        yield Difference(
            "changed", f"{new.name}: level {was.level or 'none'} -> {now.level or 'none'}"
        )
    # Both have every rule of the contract, in its order.
    for one, other in zip(was.outcomes, now.outcomes, strict=True):
        if (one.outcome, one.inherited) != (other.outcome, other.inherited):
            yield Difference(_kind(one, other), f"{new.name}: {_told(one, other)}")


def _kind(old: RuleOutcome, new: RuleOutcome) -> Kind:
    was, now = OUTCOMES.index(old.outcome), OUTCOMES.index(new.outcome)
    if now > was and (old.outcome in _SETTLED or new.outcome == "failed"):
        return "regression"
    # A waiver mends nothing.
    if now < was and new.outcome in ("passed", "not_applicable"):
        return "improvement"
    return "changed"


def _told(old: RuleOutcome, new: RuleOutcome) -> str:
    head = f"{new.rule_id} {new.rule.obligation} {_word(old)} -> {_word(new)}"
    reason = textwrap.shorten(new.waiver or first_line(new.message), _LONG, placeholder=" ...")
    return f"{head}: {reason}" if reason and new.outcome != "passed" else head


def _word(outcome: RuleOutcome) -> str:
    word = outcome.outcome.replace("_", " ")
    return f"{word} (inherited)" if outcome.inherited else word


def _standing(target: TargetRecord) -> str:
    return f"{target.verdict.verdict}, level {target.verdict.level or 'none'}"


def _between_runs(old: RunRecord, new: RunRecord) -> Iterator[Difference]:
    was, now = old.environment, new.environment
    for name, before, after in (
        ("profile", old.profile, new.profile),
        ("level demanded", old.demanded or "none", new.demanded or "none"),
        ("kit", was.build, now.build),
        ("Python", was.python, now.python),
        ("platform", was.platform, now.platform),
        ("hypothesis", was.hypothesis, now.hypothesis),
    ):
        if before != after:
            yield Difference("run", f"{name} {before} -> {after}")
