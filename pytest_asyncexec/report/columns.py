"""Many executors beside each other, as data: how each stands in every chapter and rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..contract.rule import Rule
from ..contract.verdict import RuleOutcome
from ..contract.wording import printable
from ..evidence.record import RunRecord, TargetRecord
from .signs import OUTCOMES, WARNED, Sign

#: From the worst to the best; a chapter is shown as the worst of its rules.
ORDER: Sequence[Sign] = (
    OUTCOMES["failed"],
    OUTCOMES["not_run"],
    OUTCOMES["could_not_run"],
    WARNED,
    OUTCOMES["waived"],
    OUTCOMES["not_applicable"],
    OUTCOMES["passed"],
)


@dataclass(frozen=True, slots=True)
class Column:
    """One executor of the comparison, under a name that no other one has."""

    name: str
    run: RunRecord
    target: TargetRecord

    @property
    def level(self) -> str:
        """The level that was reached and, where one was, the one that was demanded."""
        demanded = f" ({self.run.demanded} demanded)" if self.run.demanded else ""
        return f"{self.target.verdict.level or 'none'}{demanded}"

    @property
    def how(self) -> str:
        """How much was tried."""
        return f"{self.run.profile}, a selection" if self.run.selection else self.run.profile

    def sign(self, rule_id: str) -> Sign:
        """How one rule ended."""
        return next(_sign(o) for o in self.target.verdict.outcomes if o.rule_id == rule_id)

    def chapter(self, chapter: str) -> tuple[Sign, str]:
        """How the rules of a chapter ended: the worst, and how many of them did so."""
        signs = [_sign(o) for o in self.target.verdict.outcomes if o.rule.chapter == chapter]
        worst = min(signs, key=ORDER.index)
        many = "" if worst == OUTCOMES["passed"] else f"{signs.count(worst)}/{len(signs)}"
        return worst, many


def _sign(outcome: RuleOutcome) -> Sign:
    broken = outcome.outcome == "failed" and outcome.rule.obligation == "SHOULD"
    return WARNED if broken else OUTCOMES[outcome.outcome]


def columns(runs: Iterable[tuple[Path, RunRecord]]) -> list[Column]:
    """Every executor of these reports; those that share a name go by their folders, too."""
    found = [(folder, run, target) for folder, run in runs for target in run.targets]
    names = [target.name for _, _, target in found]
    told = []
    for folder, run, target in found:
        name = target.name
        if names.count(name) > 1:
            rivals = [where for where, _, other in found if other.name == name]
            name = f"{name} ({_ending(folder, rivals)})"
        told.append(Column(printable(" ".join(name.split())), run, target))
    return told


def _ending(folder: Path, rivals: Sequence[Path]) -> str:
    """So much of the end of a path as tells it from the others."""
    for length in range(1, len(folder.parts)):
        ending = folder.parts[-length:]
        if sum(rival.parts[-length:] == ending for rival in rivals) == 1:
            return "/".join(ending)
    return str(folder)


def open_rules(compared: Sequence[Column]) -> list[Rule]:
    """The rules that at least one of the executors did not pass; one that was left out counts not.

    A selection leaves out nearly every rule, which says nothing of the executor.
    """
    return [rule for rule in rules(compared) if any(_is_open(column, rule) for column in compared)]


def rules(compared: Sequence[Column]) -> list[Rule]:
    """All rules of the contract by which all of them were judged."""
    return list(compared[0].target.verdict.rules.values())


def _is_open(column: Column, rule: Rule) -> bool:
    left_out = column.run.selection and column.sign(rule.id) == OUTCOMES["not_run"]
    return not left_out and column.sign(rule.id) != OUTCOMES["passed"]


def notes(compared: Sequence[Column]) -> list[str]:
    """What keeps the comparison from being quite fair."""
    lines = []
    partial = [column.name for column in compared if column.run.selection]
    if partial:
        lines.append(
            f"Of {', '.join(partial)} only a selection of the rules was judged: what was not run "
            "has not passed."
        )
    for what, of, because in (
        ("profiles", lambda c: c.run.profile, "a thorough run tries more than a quick one"),
        (
            "demanded levels",
            lambda c: c.run.demanded or "none",
            "a verdict speaks of the rules up to the level that was demanded",
        ),
        (
            "kits",
            lambda c: c.run.environment.build,
            "their checks may differ",
        ),
    ):
        groups = _groups(compared, of)
        if len(groups) > 1:
            each = "; ".join(f"{value}: {', '.join(names)}" for value, names in groups.items())
            lines.append(f"Not quite a fair comparison: different {what} ({each}), and {because}.")
    return lines


def _groups(compared: Iterable[Column], of: Callable[[Column], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for column in compared:
        groups.setdefault(of(column), []).append(column.name)
    return groups
