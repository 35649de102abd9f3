"""From the outcomes of rules to a verdict and a level. Knows nothing of pytest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from .catalogue import RULES, contract_of
from .finding import Finding
from .rule import LEVELS, Level, Rule

#: From the best to the worst.
VerdictWord = Literal["conformant", "incomplete", "nonconformant"]

Outcome = Literal["passed", "failed", "waived", "not_applicable", "could_not_run", "not_run"]

#: From the best to the worst; of several outcomes of one rule the worst counts.
OUTCOMES: tuple[Outcome, ...] = (
    "passed",
    "not_applicable",
    "waived",
    "could_not_run",
    "not_run",
    "failed",
)

_NEVER_REPORTED = "no check of this rule reported anything"


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """How one rule ended for one executor."""

    rule_id: str
    outcome: Outcome
    message: str = ""
    inherited: bool = False
    seconds: float = 0.0
    #: Why the project lets the executor break the rule; only of one that is waived.
    waiver: str = ""
    #: The message in its parts, where a check found the rule broken.
    finding: Finding | None = None
    #: The rule whose finding is this one's, too, and is told there alone; or "".
    told_by: str = ""
    #: The needs for want of which it is not applicable, see `rule.NEEDS`.
    lacking: tuple[str, ...] = ()

    @property
    def rule(self) -> Rule:
        """The rule's entry in the catalogue."""
        return RULES[self.rule_id]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may be said of an executor, from every rule of a contract."""

    verdict: VerdictWord
    level: Level | None
    counts: Mapping[Outcome, int]
    outcomes: tuple[RuleOutcome, ...]
    demanded: Level | None = None

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The rules that it was made by, by id."""
        return {outcome.rule_id: outcome.rule for outcome in self.outcomes}

    @property
    def below_demand(self) -> bool:
        """Whether a level was demanded and not reached."""
        return self.demanded is not None and (
            self.level is None or LEVELS.index(self.level) < LEVELS.index(self.demanded)
        )

    @property
    def missed(self) -> list[RuleOutcome]:
        """The rules that keep the executor from the level that was demanded."""
        if not self.below_demand:
            return []
        return [
            outcome
            for outcome in self.outcomes
            if outcome.rule.obligation == "MUST"
            and is_required(outcome.rule, self.demanded)
            and not _counts(outcome.rule, outcome)
        ]

    def of(self, *wanted: Outcome) -> list[RuleOutcome]:
        """The rules that ended in one of these outcomes: what MUST hold first, then by id."""
        found = [outcome for outcome in self.outcomes if outcome.outcome in wanted]
        return sorted(found, key=lambda outcome: outcome.rule.obligation)


def of_all(verdicts: Sequence[Verdict]) -> tuple[VerdictWord, Level | None]:
    """The worst verdict and the lowest level of several executors."""
    word = max((v.verdict for v in verdicts), key=get_args(VerdictWord).index)
    levels = [v.level for v in verdicts]
    return word, min(levels, key=lambda level: -1 if level is None else LEVELS.index(level))


def worst(outcomes: Iterable[RuleOutcome]) -> RuleOutcome:
    """The outcome that counts when a rule was judged more than once."""
    return max(outcomes, key=lambda outcome: OUTCOMES.index(outcome.outcome))


def is_required(rule: Rule, demanded: Level | None) -> bool:
    """Whether a rule decides a verdict: all do, or those up to the level that was demanded."""
    return demanded is None or LEVELS.index(rule.level) <= LEVELS.index(demanded)


def judge(
    outcomes: Iterable[RuleOutcome],
    *,
    demanded: Level | None = None,
    rules: Mapping[str, Rule] | None = None,
) -> Verdict:
    """Judge an executor by the outcomes of its rules, by default those of the newest contract.

    A rule of the contract that is not among `outcomes` was not run, and what was not run did not
    pass. A waived rule does not make an executor nonconformant, and caps the level. Where a level
    is demanded, rules above it decide nothing.
    """
    rules = contract_of().rules if rules is None else rules
    seen: dict[str, list[RuleOutcome]] = {}
    for outcome in outcomes:
        seen.setdefault(outcome.rule_id, []).append(outcome)
    complete = told_once(
        worst(seen[rule_id])
        if rule_id in seen
        else RuleOutcome(rule_id, "not_run", _NEVER_REPORTED)
        for rule_id in rules
    )
    counts = Counter(outcome.outcome for outcome in complete)
    required = [outcome for outcome in complete if is_required(rules[outcome.rule_id], demanded)]
    verdict: VerdictWord = "conformant"
    if any(o.outcome == "failed" and rules[o.rule_id].obligation == "MUST" for o in required):
        verdict = "nonconformant"
    elif any(outcome.outcome in ("not_run", "could_not_run") for outcome in required):
        verdict = "incomplete"
    level = _level({outcome.rule_id: outcome for outcome in complete}, rules)
    return Verdict(verdict, level, {o: counts[o] for o in OUTCOMES}, complete, demanded)


def told_once(outcomes: Iterable[RuleOutcome]) -> tuple[RuleOutcome, ...]:
    """The outcomes, with each cause told by one rule alone; the others say where.

    A rule says no more than that where it presupposes another that is broken, where its finding is
    seen only because of that one, and where the very same was found for a rule before it.
    """
    complete = tuple(outcomes)
    found = [o for o in complete if o.outcome in ("failed", "waived")]
    # What fails the run tells it, where the same is waived or breaks a SHOULD.
    found.sort(key=lambda outcome: (outcome.outcome == "waived", outcome.rule.obligation))
    broken = {outcome.rule_id: outcome for outcome in found}
    tellers: dict[str, str] = {}
    first: dict[str, str] = {}
    for rule_id, outcome in broken.items():
        finding = outcome.finding
        wanted = (outcome.told_by, *outcome.rule.presupposes, finding.because if finding else "")
        able = (other for other in wanted if other in broken and _root(other, tellers) != rule_id)
        teller = next(able, "")
        if not teller and finding is not None:
            teller = first.setdefault(finding.seen, rule_id)
        # Who found it first tells it.
        tellers[rule_id] = "" if teller == rule_id else teller
    return tuple(_referring(o, _root(o.rule_id, tellers)) for o in complete)


def _root(rule_id: str, tellers: Mapping[str, str]) -> str:
    """The rule that tells the finding of another one, however many refer to each other."""
    root = rule_id
    while tellers.get(root):
        root = tellers[root]
    return root


def _referring(outcome: RuleOutcome, root: str) -> RuleOutcome:
    if root == outcome.rule_id:
        return outcome
    message = f"{outcome.rule}\n  broken by {root}, see there"
    return replace(outcome, message=message, finding=None, inherited=False, told_by=root)


def _level(outcomes: Mapping[str, RuleOutcome], rules: Mapping[str, Rule]) -> Level | None:
    reached: Level | None = None
    for level in LEVELS:
        duties = [r for r in rules.values() if r.level == level and r.obligation == "MUST"]
        if not all(_counts(rule, outcomes[rule.id]) for rule in duties):
            break
        reached = level
    return reached


def _counts(rule: Rule, outcome: RuleOutcome) -> bool:
    """Whether this outcome of a MUST rule lets its level be reached."""
    if outcome.outcome == "not_applicable":
        # Who says "I cannot stop a task" is honest, and still lacks what the level promises.
        return "stop" not in rule.needs
    return outcome.outcome == "passed"
