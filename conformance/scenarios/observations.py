"""The tasks of the plan, run once for a subject, and what every rule can say of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest
from typing import Final, Literal

from ...contract.catalogue import RULES
from ..plan.array import STRENGTH, rows
from ..plan.attribution import breakable_rules, broken_rule
from ..plan.conditions import BREAKING, DIES, SECOND, STOPPED, USUAL, Row, row, unusual
from ..plan.observation import (
    ASPECTS,
    FOREIGN,
    HIDING,
    OF_OUTPUT,
    Aspect,
    Deviation,
    Observation,
    deviations,
)
from ..plan.prediction import predict
from ..plan.small import Cause, causes, covers, shrunk
from ..subject.exceptions import CouldNotRun
from ..subject.kept import Kept
from ..subject.subject import Subject
from .batch import NEVER_BEGAN, Sight, observe, possible
from .unbroken import require_unbroken

#: Tasks that end by themselves; that are stopped; and that take their worker along.
Part = Literal["ordinary", "stopped", "breaking"]

#: So many tasks that never end are waited for by themselves.
_HUNG_ALONE: Final = 2

#: So many causes are looked at by running a task alone.
_TRIED_ALONE: Final = 8

#: So many tasks that deviate among others are run again, one after the other: in a plan of pairs,
#: all of them.
_ONE_BY_ONE: Final = 600

#: Of these it is by the other conditions which one a task shows.
_COUNTED: Final[tuple[Aspect, ...]] = ("more attempts", "attempts twice", "attempts")


@dataclass(frozen=True, slots=True)
class Broken:
    """One cause, and the rule that it breaks."""

    rule_id: str
    cause: Cause
    #: Whether it shows only while other tasks run.
    among_others: bool = False


@dataclass(slots=True)
class Findings:
    """What one part of the plan has shown."""

    sight: Sight
    broken: list[Broken] = field(default_factory=list)
    #: Why some tasks say nothing; empty where all were tried.
    untried: str = ""
    #: Why some tasks say nothing of these rules, by their ids.
    unsure: dict[str, str] = field(default_factory=dict)

    def silent_on(self, rule_id: str) -> str:
        """Why some tasks say nothing of a rule; empty where all do."""
        return self.untried or self.unsure.get(rule_id, "")


class Plan:
    """The observations of one subject, made when they are first asked for.

    Get it from `plan_of`.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._rows = rows(subject.strength or STRENGTH[subject.profile])
        self._found: dict[Part, Findings | BaseException] = {}
        #: How many tasks that ran alone have not ended.
        self._hung = 0
        #: Whether one that was to be stopped had to be let go.
        self._one_stood = False
        #: Whether the backend itself runs a task again whose worker has died: each costs several.
        self._runs_again = False
        #: The ends, of those that are not to return, with which one of them had to be let go or did
        #: not end.
        self._endless: set[str] = set()
        self._blamed: set[Part] = set()
        #: In what tasks that ran alone deviate, by their conditions.
        self._known_alone: dict[tuple[str, ...], list[Deviation]] = {}

    def part(self, part: Part, *, excused: bool = False) -> Findings:
        """What the tasks of one part have shown; they run when it is first asked for.

        Args:
            part: of the plan.
            excused: whether the rule that asks has nothing to do with tasks that never end.

        Raises:
            Hang: they could not be run to an end; it is raised for one rule that is not excused.
            CouldNotRun: likewise, for all others.
        """
        if part not in self._found:
            try:
                self._found[part] = self._look(part)
            except BaseException as error:
                self._found[part] = error
        known = self._found[part]
        if isinstance(known, Findings):
            return known
        if not excused and part not in self._blamed:
            self._blamed.add(part)
            raise known
        raise CouldNotRun(f"the tasks of the plan did not come to an end: {known}")

    def broken(self, rule_id: str, parts: Iterable[Part]) -> list[Broken]:
        """What breaks a rule: first what one task shows alone, by few conditions, and often."""
        found = [each for part in parts for each in self.part(part).broken]
        ordinary = self._found.get("ordinary")
        if isinstance(ordinary, Findings):
            # What ordinary tasks show is not told again of those that are stopped.
            known = {_evidence(each) for each in ordinary.broken}
            found = [f for f in found if f in ordinary.broken or _evidence(f) not in known]
        mine = [each for each in found if each.rule_id == rule_id]
        return sorted(
            mine,
            key=lambda each: (each.among_others, len(each.cause.conditions), -each.cause.tasks),
        )

    def shows(self, aspect: Aspect, part: Part) -> bool:
        """Whether tasks of one part differ in this aspect, whatever rule that breaks."""
        return any(each.cause.deviation.aspect == aspect for each in self.part(part).broken)

    # ---- how it is found -------------------------------------------------------------------

    def _look(self, part: Part) -> Findings:
        wanted = [each for each in self._rows if part_of(each) == part]
        if self._subject.apart:
            wanted = [each for each in wanted if self._is_of_its_rule(each)]
        asked = list(possible(self._subject, wanted))
        sight = observe(self._subject, asked)
        self._one_stood = self._one_stood or any(seen.let_go for seen in sight.observations)
        self._runs_again = self._runs_again or any(map(_is_run_again, sight.observations))
        if part != "ordinary" and self._subject.rule is not None:
            self._subject.interrupted = self._subject.interrupted or self._subject.rule.id
        findings = Findings(sight)
        found = all_deviations(sight)
        if part == "breaking" and any(each.aspect == "no end" for each in found):
            require_unbroken(self._subject)
        # Where tasks get what belongs to others, all that is seen of them may be for that.
        mixed = [d for d in found if d.aspect in FOREIGN and part != "breaking"]
        crowd = list(self._explain(findings, part, mixed or found))
        spent = [each for each in findings.broken if serves_one_task(each)]
        if spent and not self._subject.one_task_each:
            self._subject.one_task_each = True
            crowd = list(self._look_at_fresh_instances(findings, part))
        if crowd:
            self._look_one_by_one(findings, part)
        findings.broken += [each for each in spent[:1] if each not in findings.broken]
        reasons = [why for why in sight.untried if not self._is_known_why(why, sight)]
        findings.untried = reasons[0] if reasons else ""
        return findings

    def _is_known_why(self, why: str, sight: Sight) -> bool:
        """Whether tasks never began for what ordinary ones show as well, and others did begin.

        What is told of those is not told again of all that these would have shown.
        """
        if not why.startswith(NEVER_BEGAN):
            return False
        with contextlib.suppress(CouldNotRun):
            known = [
                each.cause.conditions.items()
                for each in self.part("ordinary", excused=True).broken
                if not each.among_others
            ]
            begun = {seen.row["end"] for seen in sight.observations}
            return all(
                each["end"] in begun and any(cause and cause <= each.items() for cause in known)
                for each in sight.untried[why]
            )
        return False

    def _is_of_its_rule(self, conditions: Row) -> bool:
        """Whether a task cannot break a backend but for the rule that is judged apart."""
        if part_of(conditions) != "breaking":
            return True
        assert self._subject.rule is not None
        end = {"end": conditions["end"]}
        return self._subject.rule.id in {
            broken_rule(aspect, end, among_others=False) for aspect in ("completed", "attempts")
        }

    def _explain(
        self, findings: Findings, part: Part, found: Sequence[Deviation], *, alone: bool = False
    ) -> Iterator[Deviation]:
        """Add what breaks a rule; yield the deviations that show only while other tasks run."""
        tried = 0
        known_before = [each for each in findings.broken if not each.among_others]
        # In what later tasks of an instance differ, where it is for the first one.
        spoilt: set[Aspect] = set()
        for kind in by_kind(found):
            same = [each for each in kind if not _is_told(each, findings.broken)]
            together: list[Broken] = []
            for cause in causes(same, findings.sight.observations):
                if any(_is_of(known, cause.deviation) for known in together):
                    continue
                if _is_explained(cause.deviation, known_before):
                    continue
                aspect = cause.deviation.aspect
                rule = broken_rule(aspect, cause.conditions, among_others=False)
                if rule not in self._subject.contract.judged:
                    continue  # no rule of this contract says anything of it
                hangs = self._hangs_as_known(cause.deviation)
                if hangs and any(e.cause.deviation.aspect == "no end" for e in findings.broken):
                    continue  # of what never ends either nobody knows for what, and one is told
                confirmed: Cause | None = replace(cause, alone=None)
                if tried < _TRIED_ALONE and not hangs:
                    tried += 1
                    # Where no executor is left to try it alone, what was seen is told.
                    with contextlib.suppress(CouldNotRun):
                        confirmed = self._confirmed(cause)
                if confirmed is None and cause.deviation.aspect in spoilt:
                    continue
                if confirmed is None and alone:
                    confirmed = replace(cause, alone=None)
                if confirmed is None and part == "breaking":
                    continue  # of neighbours that took its worker along it is no rule's to tell
                if confirmed is None:
                    yield from (d for d in same if d.observation is cause.deviation.observation)
                    conditions = cause.conditions
                    if cause.deviation.aspect in FOREIGN and _of_other_instances(findings, same):
                        conditions = {**conditions, "instance": "its own"}
                    rule = broken_rule(cause.deviation.aspect, conditions, among_others=True)
                    findings.broken.append(Broken(rule, cause, among_others=True))
                    continue
                if "turn" in confirmed.conditions:
                    spoilt.add(confirmed.deviation.aspect)
                rule = broken_rule(
                    confirmed.deviation.aspect, confirmed.conditions, among_others=False
                )
                findings.broken.append(Broken(rule, confirmed))
                if len(confirmed.conditions) > 1:
                    together.append(findings.broken[-1])

    def _hangs_as_known(self, deviation: Deviation) -> bool:
        """Whether to wait for such a task by itself would be to wait for what is known by now."""
        never_ends = deviation.aspect == "no end" and self._hung >= _HUNG_ALONE
        return never_ends or deviation.observation.row["end"] in self._endless

    def _confirmed(self, cause: Cause) -> Cause | None:
        """The cause as one task alone shows it, with the fewest conditions; None if none does."""
        if cause.deviation.aspect in FOREIGN:
            return None
        found = self._shown_alone(cause) or self._confirmed_after_another(cause)
        if found is not None and found.conditions:
            # What is seen of an ordinary task as well is not for what is unusual in others.
            with contextlib.suppress(CouldNotRun):
                plain = self._alone(row(), found.deviation.aspect)
                found = replace(found, deviation=plain, conditions={}) if plain else found
        if found is not None and found.deviation.aspect == "message":
            return self._failing_anyway(found) or found
        return found

    def _shown_alone(self, cause: Cause) -> Cause | None:
        aspect, whole = cause.deviation.aspect, cause.deviation.observation.row
        if whole["end"] == DIES and aspect in _COUNTED:
            # Few tasks end so: what else they have in common is chance, but for their retries.
            for retries in dict.fromkeys((USUAL["retries"], whole["retries"])):
                plain = row(end=DIES, instance="its own", retries=retries)
                counted = self._alone(plain, aspect)
                if counted is not None:
                    return Cause(counted, unusual(plain), cause.tasks, alone=True)
        alone = self._alone(cause.row, aspect)
        if alone is not None:
            return replace(cause, deviation=alone, alone=True)
        if self._runs_again and whole["end"] in BREAKING:
            return None  # no worker more is worth the fewest conditions
        if whole == cause.row or self._alone(whole, aspect) is None:
            return None
        if aspect == "no end":
            # To make it small would be to wait as long for each condition.
            return Cause(cause.deviation, unusual_of(whole), cause.tasks, alone=True)
        conditions = shrunk(unusual_of(whole), lambda tried: self._each_alone(tried, aspect))
        deviation = self._alone(row(**conditions), aspect) or cause.deviation
        return Cause(deviation, conditions, cause.tasks, alone=True)

    def _failing_anyway(self, cause: Cause) -> Cause | None:
        """The cause as a task shows it that would return; None where that does."""
        own = {n: v for n, v in cause.conditions.items() if n not in ("end", "fails")}
        failed = self._alone(row(**own), "failed") if own else None
        return None if failed is None else Cause(failed, own, cause.tasks, alone=True)

    def _confirmed_after_another(self, cause: Cause) -> Cause | None:
        """The cause as the second task of an instance shows it; None if it does not."""
        of_others = cause.deviation.observation.row["instance"] == USUAL["instance"]
        if not of_others or "turn" in cause.conditions:
            return None
        conditions = {**cause.conditions, "turn": SECOND}
        second = self._alone(row(**conditions), cause.deviation.aspect)
        return None if second is None else Cause(second, conditions, cause.tasks, alone=True)

    def _alone(self, conditions: Row, aspect: Aspect) -> Deviation | None:
        """How one task with these conditions, and no other beside it, deviates in this aspect.

        Raises:
            CouldNotRun: it could not be tried.
        """
        alone = {**conditions, "instance": "its own"}
        key = tuple(alone[name] for name in USUAL)
        if key not in self._known_alone:
            sight = observe(self._subject, [alone], at_once=1, one_stood=self._one_stood)
            if not sight.observations:
                raise CouldNotRun(next(iter(sight.untried), "the task could not be followed"))
            self._known_alone[key] = all_deviations(sight)
            self._hung += any(each.aspect == "no end" for each in self._known_alone[key])
            if alone["end"] in (*STOPPED, *BREAKING) and any(
                each.let_go or each.stood for each in sight.observations
            ):
                self._endless.add(alone["end"])
        return next((d for d in self._known_alone[key] if _is_like(d, aspect)), None)

    def _each_alone(self, rows: Sequence[Row], aspect: Aspect) -> list[bool]:
        """Whether tasks with these conditions deviate in this aspect, each on its own instance.

        One is run by itself. Several are run at the same time, for the time that a backend takes:
        what they show is only where to look.
        """
        if len(rows) == 1:
            return [self._alone(rows[0], aspect) is not None]
        alone = [{**each, "instance": "its own"} for each in rows]
        sight = observe(self._subject, alone, one_stood=self._one_stood)
        found = [d.observation.row for d in all_deviations(sight) if _is_like(d, aspect)]
        return [{**each, "instance": "its own"} in found for each in rows]

    def _look_at_fresh_instances(self, findings: Findings, part: Part) -> Iterator[Deviation]:
        """Run what deviated again, each on an instance of its own, so that it is judged fairly."""
        wrong = {id(d.observation): d.observation for d in all_deviations(findings.sight)}
        again = [seen.row for seen in wrong.values()]
        sight = observe(self._subject, list(possible(self._subject, again)))
        right = [seen for seen in findings.sight.observations if id(seen) not in wrong]
        findings.sight.observations = right + sight.observations
        findings.broken = []
        yield from self._explain(findings, part, all_deviations(sight))

    def _look_one_by_one(self, findings: Findings, part: Part) -> None:
        """Run the tasks again that deviated among others, so that other rules are judged fairly.

        What tasks show alone as well is known, and needs no second look.
        """
        found = all_deviations(findings.sight)
        known = [each for each in findings.broken if each.cause.alone]
        doubtful = [each for each in found if not _is_explained(each, known)]
        by_turns = chain.from_iterable(zip_longest(*by_kind(doubtful)))
        wrong = list({id(d.observation): d.observation for d in by_turns if d is not None}.values())
        tried = wrong[:_ONE_BY_ONE]
        sight = observe(self._subject, [seen.row for seen in tried], at_once=1)
        left = {id(seen): _NOT_ONE_BY_ONE for seen in wrong[_ONE_BY_ONE:]}
        for reason, rows_left in sight.untried.items():
            left |= {id(seen): reason for seen in tried if seen.row in rows_left}
        for each in doubtful:
            if id(each.observation) in left:
                reason = left[id(each.observation)]
                findings.unsure |= dict.fromkeys(_rules_of(each), reason)
        again = {id(seen) for seen in wrong}
        right = [seen for seen in findings.sight.observations if id(seen) not in again]
        findings.sight.observations = right + sight.observations
        among_others = {e.rule_id: e for e in reversed(findings.broken) if e.among_others}
        findings.broken = [*among_others.values(), *known]
        list(self._explain(findings, part, all_deviations(findings.sight), alone=True))


_NOT_ONE_BY_ONE: Final = (
    "tasks at once are mixed up or refused, and one after the other not all were tried"
)


def _rules_of(deviation: Deviation) -> Iterable[str]:
    """All rules of which a deviation leaves it open whether the task keeps them."""
    aspect, conditions = deviation.aspect, deviation.observation.row
    if aspect in HIDING:
        return RULES
    aspects = (aspect, *OF_OUTPUT) if aspect in FOREIGN else (aspect,)
    return {rule_id for each in aspects for rule_id in breakable_rules(each, conditions)}


def _is_explained(deviation: Deviation, known: Iterable[Broken]) -> bool:
    """Whether a task deviates for what others have shown by themselves."""
    return any(
        _is_like(each.cause.deviation, deviation.aspect) and _is_of(each, deviation)
        for each in known
    )


def _is_told(deviation: Deviation, broken: Iterable[Broken]) -> bool:
    """Whether the loss of a message is that of the tasks which fail under the same conditions.

    Where the executor itself fails, a task that fails anyway has its error instead of its own.
    """
    return deviation.aspect in ("message", "line") and any(
        each.cause.deviation.aspect == "failed"
        and each.cause.conditions.items() <= deviation.observation.row.items()
        for each in broken
    )


def _is_of(known: Broken, deviation: Deviation) -> bool:
    """Whether a task deviates for what is known: another value of its conditions, the same rule."""
    names, whole = known.cause.conditions, deviation.observation.row
    if not covers(names, whole):
        return False
    conditions = {name: whole[name] for name in names}
    return broken_rule(deviation.aspect, conditions, among_others=False) == known.rule_id


def _is_like(deviation: Deviation, aspect: Aspect) -> bool:
    return deviation.aspect in (_COUNTED if aspect in _COUNTED else (aspect,))


def _is_run_again(seen: Observation) -> bool:
    """Whether a task that takes its worker along was attempted more often than `run` was called."""
    calls = seen.history.count("run")
    return seen.row["end"] in BREAKING and 0 < calls < (seen.attempts or 0)


def _of_other_instances(findings: Findings, foreign: Iterable[Deviation]) -> bool:
    """Whether what tasks got of others is always of those on other instances."""
    instances = {seen.own: seen.instance for seen in findings.sight.observations}
    owners = (
        (deviation.observation, own)
        for deviation in foreign
        for own in instances
        if own in deviation.seen and own != deviation.observation.own
    )
    return all(instances[own] != seen.instance for seen, own in owners)


_plans: Final = Kept(Plan)


def plan_of(subject: Subject) -> Plan:
    """The plan of a subject, under the host that judges it now."""
    return _plans.of(subject)


def serves_one_task(broken: Broken) -> bool:
    """Whether it is that an instance is spent with its first task, whatever the tasks are like."""
    return broken.rule_id == "LIF-08" and set(broken.cause.conditions) == {"turn"}


def _evidence(broken: Broken) -> tuple[Aspect, str]:
    deviation = broken.cause.deviation
    return deviation.aspect, deviation.seen.replace(deviation.observation.own, "")


def part_of(conditions: Row) -> Part:
    """The part of the plan that a task belongs to."""
    if conditions["end"] in BREAKING:
        return "breaking"
    return "stopped" if conditions["end"] in STOPPED else "ordinary"


def all_deviations(sight: Sight) -> list[Deviation]:
    """Every way in which the tasks of a batch were not what the model predicts."""
    owns = {seen.own for seen in sight.observations}
    found: list[Deviation] = []
    for seen in sight.observations:
        found += deviations(seen, predict(seen.row, seen.own), owns - {seen.own})
    return found


def by_kind(found: Sequence[Deviation]) -> list[list[Deviation]]:
    """The deviations by what differs and how the task ends, what explains the others first."""
    kinds: dict[tuple[Aspect, str], list[Deviation]] = {}
    for each in found:
        conditions = each.observation.row
        end = "" if part_of(conditions) == "ordinary" else conditions["end"]
        kinds.setdefault((each.aspect, end), []).append(each)
    return [kinds[key] for key in sorted(kinds, key=lambda key: ASPECTS.index(key[0]))]


def unusual_of(conditions: Row) -> Mapping[str, str]:
    """The unusual conditions but for the instance, which is fresh where a task runs alone."""
    usual = row()
    return {n: v for n, v in conditions.items() if v != usual[n] and n != "instance"}
