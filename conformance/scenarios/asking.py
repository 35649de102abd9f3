"""How a check asks the plan: whatever breaks its rule there ends it, with a finding."""

from __future__ import annotations

from typing import Final

from ..plan.conditions import CANCELLATIONS, chosen, in_words
from ..plan.observation import Aspect
from ..plan.script import script
from ..subject.subject import Subject
from .observations import Broken, Part, plan_of


def ask_plan(
    subject: Subject,
    *parts: Part,
    besides: tuple[Part, ...] = (),
    cause: str = "",
    also: tuple[str, ...] = (),
    at_once: str = "",
) -> None:
    """End the check if tasks of these parts of the plan break its rule.

    Args:
        subject: who is judged; its rule is the one that is asked for.
        parts: of the plan.
        besides: parts whose tasks may break the rule as well, and need not all have been tried.
        cause: the likely mistake in the executor, as a hint to its author.
        also: ids of rules, of an older contract perhaps, whose findings are told as this one's.
        at_once: lines that run several tasks at once, for what one by itself does not show.

    Raises:
        RuleViolation: they do; the fewest conditions under which they do are told.
        CouldNotRun: nothing breaks it, and not all tasks could be tried.
    """
    assert subject.rule is not None
    plan, asked = plan_of(subject), (*parts, *besides)
    found = [each for rule_id in (subject.rule.id, *also) for each in plan.broken(rule_id, asked)]
    if found:
        first = found[0]
        subject.fail(
            seen=told(first) + likewise(first, found[1:]),
            required=first.cause.deviation.required,
            cause=cause,
            history=first.cause.deviation.observation.history,
            reproduce=(first.among_others and at_once) or script(first.cause.conditions),
            because=_told_by(first),
        )
    for part in parts:
        untried = plan.part(part).silent_on(subject.rule.id)
        if untried:
            subject.could_not_run(f"not all tasks could be tried: {untried}")


def _told_by(broken: Broken) -> str:
    """The rule that is broken, too, where this is seen only because of that; or nothing."""
    aspect = broken.cause.deviation.aspect
    if aspect == "message":
        # Whose message is lost where a task fails loses it whatever else is unusual.
        return "RES-04"
    # Who does not run many tasks at once mixes nothing up.
    return "CNC-06" if broken.among_others and aspect in _NOT_SERVED else ""


_NOT_SERVED: Final[tuple[Aspect, ...]] = ("no end", "attempts", "failed")


def ask_cancelled(subject: Subject, cause: str) -> None:
    """End the check if cancelled tasks of the plan break its rule, or none could be cancelled.

    Raises:
        RuleViolation, CouldNotRun: they do, or none could.
    """
    ask_plan(subject, besides=("stopped",), cause=cause)
    sight = plan_of(subject).part("stopped").sight
    if not any(seen.row["end"] in CANCELLATIONS for seen in sight.observations):
        subject.could_not_run(
            f"no task could be cancelled: {next(iter(sight.untried), 'none ran')}"
        )


def told(broken: Broken) -> str:
    """A cause in words: the conditions, and what was seen under them."""
    conditions = broken.cause.conditions
    words = in_words(conditions)
    seen = f"{words}: {broken.cause.deviation.seen}"
    if broken.among_others:
        return f"{seen}; by itself it is right, so it is for what runs at the same time"
    if broken.cause.alone and len(chosen(conditions)) > 1:
        return f"{seen}; with less than all of these it is right"
    return seen


def likewise(first: Broken, others: list[Broken]) -> str:
    """The other causes of the same finding, in one line each."""
    told = dict.fromkeys(in_words(each.cause.conditions) for each in others)
    told.pop(in_words(first.cause.conditions), None)
    lines = [f"\nlikewise {words}" for words in list(told)[:6]]
    if len(told) > 6:
        lines.append(f"\nand {len(told) - 6} more of the kind")
    return "".join(lines)
