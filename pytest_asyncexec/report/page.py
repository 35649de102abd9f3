"""The report as one page of HTML that needs nothing but itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup, escape

from ..conformance.finding import numbered
from ..conformance.rules import CHAPTERS, CONTRACT_VERSION, LEVELS
from ..conformance.wording import printable
from ..record import RunRecord, TargetRecord
from ..verdict import Outcome, RuleOutcome, Verdict, VerdictWord, judge
from .templates import render
from .text import TITLES, demand_line, spans
from .timeline import timeline

#: Beside each word a sign and a class for its colour: nothing is told by colour alone.
WORDS: dict[Outcome, tuple[str, str, str]] = {
    "passed": ("\N{CHECK MARK}", "passed", "good"),
    "failed": ("\N{MULTIPLICATION X}", TITLES["failed"], "bad"),
    "waived": ("~", TITLES["waived"], "warn"),
    "could_not_run": ("!", TITLES["could_not_run"], "warn"),
    "not_run": ("?", TITLES["not_run"], "warn"),
    "not_applicable": ("\N{EN DASH}", TITLES["not_applicable"], "idle"),
}
VERDICTS: dict[VerdictWord, tuple[str, str]] = {
    "conformant": ("\N{CHECK MARK}", "good"),
    "incomplete": ("?", "warn"),
    "nonconformant": ("\N{MULTIPLICATION X}", "bad"),
}


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
        told = [f"{found.count(key)} {word}" for key, (_, word, _) in WORDS.items() if key in found]
        return ", ".join(told)


def page(run: RunRecord) -> str:
    """The whole report."""
    return printable(
        render(
            "report.html.j2",
            run=run,
            version=CONTRACT_VERSION,
            anchors=anchors(target.name for target in run.targets),
            words=WORDS,
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


def anchors(names: Iterable[str]) -> dict[str, str]:
    """For each target how the ids of its rules on the page begin, each different."""
    found: dict[str, str] = {}
    for name in names:
        anchor = plain = re.sub(r"[^\w.-]+", "-", name)
        number = 1
        while anchor in found.values():
            number += 1
            anchor = f"{plain}-{number}"
        found[name] = anchor
    return found


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
    because = demand_line(judge(verdict.outcomes, demanded=higher[0])).partition("because ")[2]
    return f"Level {higher[0]} is not reached because {because}"


def duties(verdict: Verdict) -> str:
    """How many of the broken rules are MUST, and how many SHOULD."""
    found = Counter(outcome.rule.obligation for outcome in verdict.of("failed"))
    return ", ".join(f"{many} {obligation}" for obligation, many in sorted(found.items()))


def marked(text: str) -> Markup:
    """The text with what stands in backticks as code."""
    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(text))))


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
    order = list(WORDS)
    return sorted(
        ((outcome, reason, ids) for (outcome, reason), ids in found.items()),
        key=lambda row: order.index(row[0]),
    )
