"""Waivers: rules that a project knows its executor breaks, each with a reason, from configuration.

A line reads `RULE-ID: reason` or `RULE-ID until 2027-01-31: reason`; with the name of an executor
in front of it, it is for that one alone.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from .spelling import near

_LINE = re.compile(
    r"(?:(?P<target>\S*[^\s:])\s+)??(?P<rule>[^\s:]+)"
    r"(?P<end>\s+until\b[^:]*)?\s*:(?P<reason>|\s.*)"
)
_FORM = "A waiver reads RULE-ID: reason, or RULE-ID until YYYY-MM-DD: reason."


class Named(Protocol):
    """An executor that is judged, under the name of the report and that of the command line."""

    @property
    def name(self) -> str: ...

    @property
    def spec(self) -> str: ...


class WaiverError(Exception):
    """A waiver that waives nothing: what is wrong with it, and what to do."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """One rule that an executor, or every executor, may break for a reason."""

    rule_id: str
    reason: str
    until: date | None = None
    target: str | None = None

    def covers(self, target: Named) -> bool:
        """Whether it is for this target, named as in the report or as on the command line."""
        return self.target in (None, target.name, target.spec)

    def __str__(self) -> str:
        return f"{self.reason} (until {self.until})" if self.until else self.reason


@dataclass(frozen=True, slots=True)
class Waivers:
    """All waivers of a run."""

    waivers: tuple[Waiver, ...] = ()

    def of(self, target: Named, rule_id: str) -> Waiver | None:
        """The waiver of this rule for this target; one for the target alone comes first."""
        found = [w for w in self.waivers if w.rule_id == rule_id and w.covers(target)]
        return min(found, key=lambda waiver: waiver.target is None, default=None)


def parse_waivers(
    lines: Iterable[str],
    rules: Collection[str],
    today: date,
    why_not: Callable[[str], str] = lambda rule_id: "",
) -> Waivers:
    """Read the waivers of a configuration, one from each line.

    Args:
        lines: the waivers.
        rules: the ids of the rules that can be waived.
        today: on which no waiver may have ended.
        why_not: says why another rule cannot be waived, see `Contract.why_no_waiver`.

    Raises:
        WaiverError: a line cannot be read, names no rule, gives no reason, or has expired.
    """
    waivers: list[Waiver] = []
    for line in lines:
        try:
            waiver = _parse(line, rules, today, why_not)
        except ValueError as error:
            raise WaiverError(f"{line!r}: {error}") from None
        if any((waiver.target, waiver.rule_id) == (w.target, w.rule_id) for w in waivers):
            raise WaiverError(f"{line!r}: {waiver.rule_id} is waived twice.\n  Remove one of them.")
        waivers.append(waiver)
    return Waivers(tuple(waivers))


def _parse(line: str, rules: Collection[str], today: date, why_not: Callable[[str], str]) -> Waiver:
    found = _LINE.fullmatch(line.strip())
    if found is None:
        raise ValueError(f"this cannot be read.\n  {_FORM}")
    rule_id, reason, until = found["rule"], found["reason"].strip(), None
    if why := why_not(rule_id):
        raise ValueError(
            f"{why}.\n  Remove the waiver, or judge by the contract that has the rule: "
            "--asyncexec-contract."
        )
    if rule_id not in rules:
        hint = near(rule_id, rules) or f"Ids run from {min(rules)} to {max(rules)}."
        raise ValueError(f"the contract has no rule {rule_id!r}.\n  {hint}")
    if not reason:
        raise ValueError(f"there is no reason.\n  {_FORM}")
    if found["target"] in rules:
        raise ValueError("two rules are named.\n  Write a line for each, with a reason of its own.")
    if found["end"]:
        until = _date(found["end"].split("until", 1)[1].strip())
        if until < today:
            raise ValueError(
                f"it ended on {until}.\n  Mend the executor and remove the waiver, or decide anew "
                "how long it is to last."
            )
    return Waiver(rule_id, reason, until, found["target"])


def _date(text: str) -> date:
    # The form first: date.fromisoformat also takes 20270131 and 2027-W04-7.
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        with contextlib.suppress(ValueError):
            return date.fromisoformat(text)
    raise ValueError(f"{text!r} is no date.\n  {_FORM}")
