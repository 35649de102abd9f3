"""The executor contract: all rules of all chapters, its versions, and how a rule is found.

Markers, header, verdicts and reports are made of it, and so are `pytest --asyncexec-rules` and
docs/rules.md. Whoever adds a rule adds an entry to its chapter, and nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .chapters import (
    cancellation,
    concurrency,
    construction,
    context,
    hygiene,
    isolation,
    lifecycle,
    results,
    retries,
    security,
    serialization,
    streams,
    time_limits,
)
from .rule import CANDIDATE, Chapter, Rule
from .spelling import near

#: From the oldest to the newest. What one holds never changes: a change is a new one.
VERSIONS = ("1.0", "1.1")

#: By which executors are judged where none is asked for.
CONTRACT_VERSION = VERSIONS[-1]

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
    isolation,
    hygiene,
    security,
)

CHAPTERS: Mapping[str, Chapter] = MappingProxyType(
    {module.CHAPTER.letters: module.CHAPTER for module in _CHAPTERS}
)

#: The rules of all versions, and the candidates.
RULES: Mapping[str, Rule] = MappingProxyType(
    {rule.id: rule for module in _CHAPTERS for rule in module.RULES}
)


class UnknownContract(LookupError):
    """A version of the contract that this catalogue does not hold; the message helps."""


@dataclass(frozen=True, slots=True)
class Contract:
    """One version of the contract: what a run judges, counts and tells."""

    version: str
    #: In the order of the catalogue.
    rules: Mapping[str, Rule]
    #: Rules of no version yet, which are judged and told with the newest, and never counted.
    candidates: Mapping[str, Rule] = field(default_factory=dict)

    @property
    def judged(self) -> Mapping[str, Rule]:
        """The rules whose checks are run."""
        return {**self.rules, **self.candidates}

    def why_not(self, rule_id: str) -> str:
        """Why a rule of the catalogue is none of this contract; nothing for any other word."""
        rule = RULES.get(rule_id)
        if rule is None or rule_id in self.judged:
            return ""
        if rule.since == CANDIDATE:
            return f"{rule_id} is a candidate, and none are judged with contract {self.version}"
        return f"{rule_id} came with contract {rule.since}, and this is contract {self.version}"

    def why_no_waiver(self, rule_id: str) -> str:
        """Why a rule of the catalogue cannot be waived; nothing for any other word."""
        if rule_id in self.candidates:
            return f"{rule_id} is a candidate, which is not counted: nothing is to be waived"
        return self.why_not(rule_id)


def contract_of(version: str = CONTRACT_VERSION) -> Contract:
    """One version of the contract.

    Raises:
        UnknownContract: the catalogue does not hold that version.
    """
    if version not in VERSIONS:
        raise UnknownContract(
            f"this kit has no contract {version!r}; it knows {', '.join(VERSIONS)}"
        )
    known = VERSIONS[: VERSIONS.index(version) + 1]
    rules = {rule_id: rule for rule_id, rule in RULES.items() if rule.since in known}
    candidates = {
        rule_id: rule
        for rule_id, rule in RULES.items()
        if rule.since == CANDIDATE and version == VERSIONS[-1]
    }
    return Contract(version, MappingProxyType(rules), MappingProxyType(candidates))


class UnknownRule(LookupError):
    """A word that is neither the id of a rule nor of a chapter; the message helps."""


def look_up(word: str, contract: Contract | None = None) -> list[Rule]:
    """The rule with this id, or the rules of this chapter.

    Args:
        word: an id, or the three letters of a chapter.
        contract: in which version; by default in the newest.

    Raises:
        UnknownRule: there is neither.
    """
    wanted, contract = word.strip().upper(), contract or contract_of()
    found = [rule for rule in contract.judged.values() if wanted in (rule.id, rule.chapter)]
    if found:
        return found
    of_others = [rule.id for rule in RULES.values() if wanted in (rule.id, rule.chapter)]
    if of_others:
        why = contract.why_not(of_others[0]).replace(of_others[0], wanted, 1)
        raise UnknownRule(f"{why}.\n  Ask without naming a contract, or name one that has it.")
    chapters = dict.fromkeys(rule.chapter for rule in contract.judged.values())
    hint = near(word, [*contract.judged, *chapters]) or f"The chapters are {', '.join(chapters)}."
    raise UnknownRule(f"the contract has no rule and no chapter {word!r}.\n  {hint}")
