"""The executor contract: all rules of all chapters, and how one is found.

Markers, header, verdicts and reports are made of it, and so are `pytest --asyncexec-rules` and
docs/rules.md. Whoever adds a rule adds an entry to its chapter, and nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .chapters import (
    cancellation,
    concurrency,
    construction,
    context,
    hygiene,
    lifecycle,
    results,
    retries,
    security,
    serialization,
    streams,
    time_limits,
)
from .rule import Chapter, Rule
from .spelling import near

CONTRACT_VERSION = "1.0"

#: In the order of the contract.
_CHAPTERS = (
    construction,
    serialization,
    lifecycle,
    results,
    streams,
    time_limits,
    retries,
    context,
    cancellation,
    concurrency,
    hygiene,
    security,
)

CHAPTERS: Mapping[str, Chapter] = MappingProxyType(
    {module.CHAPTER.letters: module.CHAPTER for module in _CHAPTERS}
)

RULES: Mapping[str, Rule] = MappingProxyType(
    {rule.id: rule for module in _CHAPTERS for rule in module.RULES}
)


class UnknownContract(LookupError):
    """A version of the contract that this catalogue does not hold; the message helps."""


def rules_of(version: str) -> Mapping[str, Rule]:
    """The rules of one version of the contract, by id.

    Raises:
        UnknownContract: the catalogue does not hold that version.
    """
    known = sorted({rule.since for rule in RULES.values()} | {CONTRACT_VERSION}, key=_number)
    if version not in known:
        raise UnknownContract(f"this kit has no contract {version!r}; it knows {', '.join(known)}")
    return {i: rule for i, rule in RULES.items() if _number(rule.since) <= _number(version)}


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


class UnknownRule(LookupError):
    """A word that is neither the id of a rule nor of a chapter; the message helps."""


def look_up(word: str) -> list[Rule]:
    """The rule with this id, or the rules of this chapter.

    Raises:
        UnknownRule: there is neither.
    """
    wanted = word.strip().upper()
    found = [rule for rule in RULES.values() if wanted in (rule.id, rule.chapter)]
    if not found:
        chapters = dict.fromkeys(rule.chapter for rule in RULES.values())
        hint = near(word, [*RULES, *chapters]) or f"The chapters are {', '.join(chapters)}."
        raise UnknownRule(f"the contract has no rule and no chapter {word!r}.\n  {hint}")
    return found
