"""The report in short, as GitHub's Markdown: for the page of a run in CI, or a comment.

What executors say stands in code spans: nothing in them is markup, a mention or a link.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..contract.verdict import Outcome, RuleOutcome, VerdictWord
from ..evidence.record import RunRecord, TargetRecord
from .markdown import code, plain, table
from .signs import VERDICTS
from .text import TITLES, by_reason, demand_line, first_line, spans

#: So many rules, or reasons, are told of each executor under each title; of the others the ids.
_MOST = 15
_LONG = 240
_NAME = 100

_COUNTED: Sequence[Outcome] = ("passed", "failed", "waived", "could_not_run", "not_run")
_BROKEN: Sequence[Outcome] = ("failed", "waived")
_OPEN: Sequence[Outcome] = ("could_not_run", "not_run")


def summary(run: RunRecord) -> str:
    """The whole text."""
    blocks = [
        f"## Executor contract {run.contract}: {_word(run.verdict, run)}",
        table(
            ("executor", "verdict", "level", *(TITLES.get(key, key) for key in _COUNTED)),
            (_row(target, run) for target in run.targets),
        ),
    ]
    for target in run.targets:
        blocks += _details(target)
    made = run.environment
    told = f"pytest-asyncexec {made.kit}, Python {made.python}, {made.platform}"
    blocks.append(
        f"{code(told, _LONG)}, profile {run.profile}, finished {code(made.finished, _LONG)}"
    )
    return "\n\n".join(blocks) + "\n"


def _word(verdict: VerdictWord, run: RunRecord) -> str:
    selected = " (selection)" if verdict == "incomplete" and run.selection else ""
    return f"{VERDICTS[verdict].glyph} {verdict}{selected}"


def _row(target: TargetRecord, run: RunRecord) -> Sequence[str]:
    verdict = target.verdict
    counts = (str(verdict.counts[key]) for key in _COUNTED)
    word = _word(verdict.verdict, run)
    return (code(target.name, _NAME), word, verdict.level or "none", *counts)


def _details(target: TargetRecord) -> list[str]:
    """What is to be told of one executor, besides its line in the table."""
    verdict = target.verdict
    blocks = []
    if verdict.below_demand:
        blocks.append(f"**Too low:** {demand_line(verdict)}.")
    blocks += [f"**Not in order:** {plain(objection)}" for objection in target.objections]
    for outcome in _BROKEN:
        blocks += _listed(TITLES[outcome], [_broken(row) for row in verdict.of(outcome)])
    for outcome in _OPEN:
        groups = by_reason(verdict.of(outcome))
        blocks += _listed(TITLES[outcome], [_same(reason, rows) for reason, rows in groups])
    return [f"### {code(target.name, _NAME)}", *blocks] if blocks else []


def _listed(title: str, items: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """A title and its items, which are texts with the rules they tell of."""
    if not items:
        return []
    lines = [text for text, _ in items[:_MOST]]
    rest = [rule_id for _, ids in items[_MOST:] for rule_id in ids]
    if rest:
        lines.append(f"- and {len(rest)} more: {', '.join(spans(rest))}")
    return [f"**{title}**", "\n".join(lines)]


def _broken(row: RuleOutcome) -> tuple[str, list[str]]:
    rule = row.rule
    seen = row.finding.seen if row.finding is not None else first_line(row.message)
    inherited = ", inherited" if row.inherited else ""
    lines = [f"- **{rule.id}** ({rule.obligation}, {rule.level}{inherited}) {plain(rule.sentence)}"]
    lines += [f"  <br>seen: {code(seen, _LONG)}"]
    if row.waiver:
        lines.append(f"  <br>waived: {code(row.waiver, _LONG)}")
    return "\n".join(lines), [rule.id]


def _same(reason: str, rows: Sequence[RuleOutcome]) -> tuple[str, list[str]]:
    ids = [row.rule_id for row in rows]
    return f"- {', '.join(spans(ids))}: {code(reason or 'no reason given', _LONG)}", ids
