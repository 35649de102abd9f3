"""The report as one page of HTML that needs nothing but itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from ..contract.catalogue import CHAPTERS
from ..contract.finding import numbered
from ..contract.rule import LEVELS
from ..contract.verdict import Outcome, RuleOutcome, Verdict, judge
from ..contract.wording import printable
from ..evidence.record import RunRecord, TargetRecord
from .signs import OUTCOMES, VERDICTS
from .stems import stems
from .templates import marked, render
from .text import demand_line, spans
from .timeline import timeline

#: In the order in which a reader asks for them.
_ORDER: Sequence[Outcome] = (
    "passed", "failed", "waived", "could_not_run", "not_run", "not_applicable",
)  # fmt: skip
_FIRST = {outcome: OUTCOMES[outcome] for outcome in _ORDER}


@dataclass(frozen=True, slots=True)
class Chapter:
    """The rules of a chapter with their outcomes, and in a few words how they ended."""

    title: str
    outcomes: Sequence[RuleOutcome]

    def calm(self, selection: bool) -> bool:
        """Whether nothing is wrong here, and nothing open that was to be judged."""
        fine = {"passed", "not_applicable", *(["not_run"] if selection else [])}
        return all(outcome.outcome in fine for outcome in self.outcomes)

    @property
    def counts(self) -> str:
        """How many ended how."""
        found = [outcome.outcome for outcome in self.outcomes]
        told = [f"{found.count(key)} {sign.word}" for key, sign in _FIRST.items() if key in found]
        return ", ".join(told)


def page(run: RunRecord) -> str:
    """The whole report."""
    return printable(
        render(
            "report.html.j2",
            run=run,
            version=run.contract,
            anchors=stems(target.name for target in run.targets),
            signs=_FIRST,
            verdicts=VERDICTS,
            meaning=meaning,
            demand_line=demand_line,
            chapters=chapters_of,
            reasons=reasons,
            spans=spans,
            marked=marked,
            next_level=next_level,
            duties=duties,
            timeline=timeline,
            numbered=numbered,
            linked=run.environment.url.startswith(("https://", "http://")),
        )
    )


def meaning(target: TargetRecord, run: RunRecord) -> str:
    """What a verdict says, in a sentence."""
    verdict = target.verdict
    up_to = f" up to level {run.demanded}" if run.demanded else ""
    if verdict.verdict == "nonconformant":
        return f"It breaks rules that an executor MUST keep{up_to}."
    if verdict.verdict == "incomplete":
        if run.selection:
            return "Only a selection of the rules was judged. What did not run has not passed."
        return "Not every rule could be judged. What did not run has not passed."
    if verdict.counts["waived"]:
        return f"It breaks no rule that an executor MUST keep{up_to}, but for those waived."
    return f"It breaks no rule that an executor MUST keep{up_to}."


def next_level(verdict: Verdict) -> str:
    """Why the level above the one reached is not reached; nothing where there is none."""
    higher = LEVELS[LEVELS.index(verdict.level) + 1 :] if verdict.level else LEVELS
    if not higher:
        return ""
    again = judge(verdict.outcomes, demanded=higher[0], rules=verdict.rules)
    because = demand_line(again).partition("because ")[2]
    return f"Level {higher[0]} is not reached because {because}"


def duties(verdict: Verdict) -> str:
    """How many of the broken rules are MUST, and how many SHOULD."""
    found = Counter(outcome.rule.obligation for outcome in verdict.of("failed"))
    return ", ".join(f"{many} {obligation}" for obligation, many in sorted(found.items()))


def chapters_of(verdict: Verdict) -> list[Chapter]:
    """The rules as the contract has them."""
    grouped = groupby(verdict.outcomes, lambda outcome: outcome.rule.chapter)
    return [Chapter(CHAPTERS[letters].title, list(found)) for letters, found in grouped]


def reasons(verdict: Verdict) -> list[tuple[Outcome, str, list[str]]]:
    """Why rules were not judged: the outcome, the reason, and the rules that share it."""
    found: dict[tuple[Outcome, str], list[str]] = {}
    for outcome in verdict.of("could_not_run", "not_run", "not_applicable"):
        reason = outcome.message.strip() or "no reason given"
        found.setdefault((outcome.outcome, reason), []).append(outcome.rule_id)
    order = list(_FIRST)
    return sorted(
        ((outcome, reason, ids) for (outcome, reason), ids in found.items()),
        key=lambda row: order.index(row[0]),
    )
