"""A whole run as data: what every report is made of, and what report.json holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..contract.catalogue import CONTRACT_VERSION, Contract, UnknownContract, contract_of
from ..contract.finding import Finding
from ..contract.rule import Level, Profile
from ..contract.verdict import RuleOutcome, Verdict, VerdictWord, judge, of_all
from ..contract.wording import printable
from . import strict_json
from .environment import Environment
from .schemas import SchemaError, validate

FILE = "report.json"


class RecordError(Exception):
    """A file that is no usable report: which, what is wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out about an executor before it was judged."""

    #: What it can do, in words.
    summary: str = ""
    #: The needs of rules that it meets, see `rule.NEEDS`.
    needs: tuple[str, ...] = ()
    #: The class that was built, as `module:name`; empty where none could be.
    executor: str = ""
    #: What it declares that it cannot do, in its attribute `cannot`.
    declared: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "needs": list(self.needs), "declared": list(self.declared)}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Facts:
        """What `to_json` gave."""
        declared = tuple(facts.get("declared", ()))
        return cls(facts["summary"], tuple(facts["needs"]), facts["executor"], declared)


@dataclass(frozen=True, slots=True)
class TargetRecord:
    """One executor that was judged."""

    name: str
    spec: str
    verdict: Verdict
    facts: Facts = Facts()
    #: What failed the run besides the verdict, in sentences.
    objections: tuple[str, ...] = ()
    #: What was found of rules that are of no contract yet.
    candidates: tuple[RuleOutcome, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As it stands in report.json."""
        return {
            "target": self.name,
            "spec": self.spec,
            **self.facts.to_json(),
            **({"objections": list(self.objections)} if self.objections else {}),
            "verdict": self.verdict.verdict,
            "level": self.verdict.level,
            "rules": [_rule_to_json(outcome) for outcome in self.verdict.outcomes],
            **(
                {"candidates": [_rule_to_json(o) for o in self.candidates]}
                if self.candidates
                else {}
            ),
        }


@dataclass(frozen=True, slots=True)
class RunRecord:
    """All that a run found."""

    targets: tuple[TargetRecord, ...]
    environment: Environment
    profile: Profile = "default"
    demanded: Level | None = None
    #: Whether less than the whole suite was asked for.
    selection: bool = False
    #: The version by which it judged.
    contract: str = CONTRACT_VERSION

    @property
    def verdict(self) -> VerdictWord:
        """The worst verdict on any target."""
        return of_all([target.verdict for target in self.targets])[0]

    @property
    def level(self) -> Level | None:
        """The lowest level of any target."""
        return of_all([target.verdict for target in self.targets])[1]

    def to_json(self) -> dict[str, Any]:
        """The content of report.json."""
        return {
            "contract": self.contract,
            **self.environment.to_json(),
            "profile": self.profile,
            "demanded": self.demanded,
            "selection": self.selection,
            "verdict": self.verdict,
            "level": self.level,
            "targets": [target.to_json() for target in self.targets],
        }


def read_record(path: Path) -> RunRecord:
    """The run that a report.json tells of; `path` is the file or the folder it lies in.

    Raises:
        RecordError: there is none, or it is not as it was written.
    """
    file = path
    try:
        file = path / FILE if path.is_dir() else path
        found = strict_json.loads(file.read_bytes())
        validate("report", found)
    except FileNotFoundError:
        raise RecordError(
            f"{file} is not there.\n  Expected is a folder that --asyncexec-report=DIR has written."
        ) from None
    except OSError as error:
        raise RecordError(f"{file} cannot be read: {error.strerror}.") from None
    except SchemaError as error:
        raise RecordError(f"{file} is no {FILE} of pytest-asyncexec: {error}.") from None
    except ValueError as error:
        raise RecordError(
            f"{file} is no JSON: {error}.\n  Perhaps it was cut short; make the report again."
        ) from None
    try:
        contract = contract_of(found["contract"])
    except UnknownContract as error:
        raise RecordError(
            f"{file}: {error}.\n  Make the report again with this kit, or read it with the one "
            "that made it."
        ) from None
    targets = tuple(
        _target_from_json(target, found["demanded"], contract, file) for target in found["targets"]
    )
    run = RunRecord(
        targets,
        Environment.from_json(found),
        found["profile"],
        found["demanded"],
        found["selection"],
        contract.version,
    )
    if (run.verdict, run.level) != (found["verdict"], found["level"]):
        raise RecordError(
            f"{file} says {found['verdict']}, level {found['level']}, and its executors are "
            f"{run.verdict}, level {run.level}: it was changed after it was written."
        )
    return run


def _target_from_json(
    found: Mapping[str, Any], demanded: Level | None, contract: Contract, file: Path
) -> TargetRecord:
    name = found["target"]
    ids = [rule["id"] for rule in found["rules"]]
    rules = contract.rules
    if ids != list(rules):
        wrong = ", ".join(sorted(set(ids) ^ set(rules))) or "some stand twice, or in another order"
        raise RecordError(
            f"{file}: the rules of {name} are not those of contract {contract.version}: {wrong}."
        )
    outcomes = [_rule_from_json(rule) for rule in found["rules"]]
    verdict = judge(outcomes, demanded=demanded, rules=rules)
    said = (found["verdict"], found["level"])
    if said != (verdict.verdict, verdict.level):
        raise RecordError(
            f"{file}: of {name} it says {said[0]}, level {said[1]}, and its rules make it "
            f"{verdict.verdict}, level {verdict.level}: it was changed after it was written."
        )
    objections = tuple(found.get("objections", ()))
    return TargetRecord(name, found["spec"], verdict, Facts.from_json(found), objections)


def _rule_to_json(outcome: RuleOutcome) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": outcome.rule_id,
        "outcome": outcome.outcome,
        "message": printable(outcome.message),
        "seconds": round(outcome.seconds, 3),
    }
    if outcome.inherited:
        told["inherited"] = True
    if outcome.waiver:
        told["waiver"] = outcome.waiver
    if outcome.lacking:
        told["lacking"] = list(outcome.lacking)
    if outcome.told_by:
        told["told_by"] = outcome.told_by
    if outcome.finding is not None:
        told["finding"] = outcome.finding.to_json()
    return told


def _rule_from_json(found: Mapping[str, Any]) -> RuleOutcome:
    finding = found.get("finding")
    return RuleOutcome(
        found["id"],
        found["outcome"],
        found["message"],
        found.get("inherited", False),
        found["seconds"],
        found.get("waiver", ""),
        None if finding is None else Finding.from_json(finding),
        found.get("told_by", ""),
        tuple(found.get("lacking", ())),
    )
