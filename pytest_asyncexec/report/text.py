"""The words of a report on one verdict, as plain lines."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby

from ..contract.catalogue import RULES
from ..contract.rule import Level, Profile
from ..contract.verdict import Outcome, RuleOutcome, Verdict

#: What the outcomes that are no pass are called.
TITLES: dict[Outcome, str] = {
    "failed": "failed",
    "waived": "waived",
    "could_not_run": "could not run",
    "not_run": "not run",
    "not_applicable": "not applicable",
}

_NO_BREAK = "\N{NO-BREAK SPACE}"

#: So many rules with the same reason are told in one sentence.
_MANY = 4


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """The text in lines of at most `width`; continued lines are indented further."""
    lines = textwrap.wrap(
        text,
        max(width - 1, 40),
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
        break_long_words=False,
    )
    return [line.replace(_NO_BREAK, " ") for line in lines]


def first_line(message: str) -> str:
    """The line of a message that says what happened."""
    for line in message.splitlines():
        text = line.strip()
        if text and not any(text.startswith(f"{rule_id} (") for rule_id in RULES):
            return " ".join(text.removeprefix("seen:").split())
    return ""


def demand_line(verdict: Verdict) -> str:
    """Which level was demanded, which was reached, and because of what."""
    missed: dict[Outcome, list[str]] = {}
    for outcome in verdict.missed:
        missed.setdefault(outcome.outcome, []).append(outcome.rule_id)
    because = [f"{', '.join(spans(ids))} ({TITLES[how]})" for how, ids in missed.items()]
    return (
        f"level {verdict.demanded} was demanded, {verdict.level or 'none'} was reached: because "
        f"of {', '.join(because)}"
    )


def warning_title(outcome: RuleOutcome, demanded: Level | None) -> str:
    """Under which title a finding stands that does not fail the run."""
    if outcome.outcome == "waived":
        return "waived rules"
    if outcome.rule.obligation == "SHOULD":
        return "broken SHOULD rules"
    return f"broken rules above level {demanded}"


def verdict_line(name: str, verdict: Verdict, *, narrowed: bool, profile: Profile) -> str:
    """One line: verdict, level reached, counts; to be broken between counts only."""
    word: str = verdict.verdict
    if word == "incomplete" and narrowed:
        word = "incomplete (selection)"
    failed = verdict.of("failed")
    must = sum(outcome.rule.obligation == "MUST" for outcome in failed)
    counts = verdict.counts
    parts = [f"{counts['passed']} passed", f"{counts['failed']} failed"]
    if failed:
        parts[1] += f" ({must} MUST, {len(failed) - must} SHOULD)"
    parts += [f"{counts[o]} {TITLES[o]}" for o in ("waived", "not_applicable") if counts[o]]
    parts += [f"{counts['could_not_run']} could not run", f"{counts['not_run']} not run"]
    parts = [part.replace(" ", _NO_BREAK) for part in parts]
    level = f"level {verdict.level or 'none'}"
    if profile != "default":
        level += f", profile {profile}"
    return f"{name}: {word}, {level}: {', '.join(parts)}"


def table(verdict: Verdict, selected: Collection[str], width: int, *, narrowed: bool) -> list[str]:
    """The rules that did not pass, by outcome, each with one line of reason."""
    lines: list[str] = []
    for outcome, title in TITLES.items():
        of_it = verdict.of(outcome)
        if narrowed:
            of_it = [row for row in of_it if row.rule_id in selected or row.outcome != "not_run"]
        if not of_it:
            continue
        lines += ["", f"  {title}"]
        for reason, same in by_reason(of_it):
            if len(same) < _MANY or outcome in ("failed", "waived"):
                lines += rows(same, width)
            else:
                lines += wrapped(f"{len(same)} rules: {reason}", width, "    ")
                lines += wrapped(f"({', '.join(spans(r.rule_id for r in same))})", width, "      ")
    return lines


def rows(outcomes: Iterable[RuleOutcome], width: int) -> list[str]:
    """Rules that did not pass, each with one line of reason."""
    return [line for outcome in outcomes for line in _row(outcome, width)]


def open_reasons(verdict: Verdict, width: int) -> list[str]:
    """Why rules could not be run, where no table is shown: a sentence for each reason."""
    lines: list[str] = []
    for reason, same in by_reason(verdict.of("could_not_run")):
        ids = ", ".join(spans(row.rule_id for row in same))
        lines += wrapped(f"{ids} could not run: {reason or 'no reason given'}", width, "  ")
    return lines


def by_reason(rows: Sequence[RuleOutcome]) -> Iterable[tuple[str, list[RuleOutcome]]]:
    """The rows by the line that says why, in the order in which the reasons come up."""
    order: dict[str, list[RuleOutcome]] = {}
    for row in rows:
        order.setdefault(first_line(row.message), []).append(row)
    return order.items()


def _row(row: RuleOutcome, width: int) -> list[str]:
    reason = first_line(row.message) or "no reason given"
    if row.inherited:
        reason = f"(inherited) {reason}"
    head = f"    {row.rule_id}  {row.rule.obligation:6}  "
    room = max(width - 1 - len(head), 24)
    lines = textwrap.wrap(row.waiver, room)
    if row.outcome in ("failed", "waived"):
        # The whole message stands further up.
        lines.append(textwrap.shorten(reason, room, placeholder=" ..."))
    else:
        lines += textwrap.wrap(reason, room)
    return [(" " * len(head) if number else head) + line for number, line in enumerate(lines)]


def spans(rule_ids: Iterable[str]) -> list[str]:
    """Ids in the order of the catalogue, neighbours drawn together: `LIF-01 to LIF-04`."""
    known = list(RULES)
    places = sorted(known.index(rule_id) for rule_id in rule_ids)
    found = []
    for _, run in groupby(enumerate(places), lambda pair: (known[pair[1]][:3], pair[1] - pair[0])):
        ids = [known[place] for _, place in run]
        found.append(ids[0] if len(ids) == 1 else f"{ids[0]} to {ids[-1]}")
    return found


def candidate_lines(outcomes: Sequence[RuleOutcome], width: int) -> list[str]:
    """What was found of rules that are of no contract yet."""
    if not outcomes:
        return []
    lines = ["", "  candidates, which are not counted"]
    passed = [row.rule_id for row in outcomes if row.outcome == "passed"]
    if passed:
        lines += wrapped(f"passed: {', '.join(spans(passed))}", width, "    ")
    for outcome, title in TITLES.items():
        same = [row for row in outcomes if row.outcome == outcome]
        lines += [f"    {title}:", *rows(same, width)] if same else []
    return lines


def what_next(
    verdict: Verdict, selected: Collection[str], option: str, *, narrowed: bool
) -> list[str]:
    """What to do about what is open."""
    lines = []
    failed, blocked = verdict.of("failed"), verdict.of("could_not_run")
    skipped = [row for row in verdict.of("not_run") if row.rule_id in selected or not narrowed]
    if skipped:
        lines.append("  What did not run has not passed: look for hooks, fixtures, crashes or -x.")
    first = next(iter(failed or blocked or skipped), None)
    if first is not None:
        target = f"--asyncexec-plugin={option} " if option else ""
        rule = f"-m \"asyncexec(rule='{first.rule_id}')\""
        lines += ["  To see one rule again:", f"    pytest {target}{rule}"]
        lines += ["  and all about it:", f"    pytest --asyncexec-rules={first.rule_id}"]
    elif narrowed and verdict.verdict == "incomplete":
        lines.append("  For a verdict run the whole suite: without -k, -m, ids and the like.")
    return ["", *lines] if lines else []
