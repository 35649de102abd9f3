"""From a verdict to a certificate, an in-toto statement, and back. Knows nothing of pytest.

The statement is of type https://in-toto.io/Statement/v1 with the predicate
https://in-toto.io/attestation/test-result/v0.1, whose tests are the rules of the contract. What
that predicate has no place for stands under one key of its own, `EXTENSION`.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from ..contract.catalogue import contract_of
from ..contract.frozen import digest_of as digest_of_contract
from ..contract.rule import Level
from ..contract.verdict import Outcome, RuleOutcome, Verdict, VerdictWord
from ..contract.wording import printable
from .artifact import Artifact
from .environment import DISTRIBUTION
from .record import RunRecord, TargetRecord

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"

#: The key of what this package adds to the predicate.
EXTENSION = "pytest_asyncexec"

UNSIGNED = (
    "This certificate is not signed: its digest would show damage, and does not show who made it. "
    "Trust it as far as the place you have it from."
)

Result = Literal["PASSED", "WARNED", "FAILED"]

#: Under which key of the extension the rules stand that have this outcome, with their reasons.
REASONED: Mapping[Outcome, str] = {
    "not_applicable": "notApplicable",
    "could_not_run": "couldNotRun",
    "not_run": "notRun",
    "waived": "waived",
}


def statement(
    run: RunRecord,
    target: TargetRecord,
    subject: Sequence[Artifact],
    configuration: Sequence[Artifact] = (),
) -> dict[str, Any]:
    """What is certified of one target, as JSON values.

    Args:
        run: the run that judged it.
        target: the target.
        subject: what the verdict is bound to.
        configuration: what else took part in the judgement, besides the kit.
    """
    verdict, made = target.verdict, run.environment
    kit = Artifact(
        f"{DISTRIBUTION}-{made.kit}",
        {"dirHash": made.kit_digest},
        f"pkg:pypi/{DISTRIBUTION}@{made.kit}",
    )
    ids = {outcome: [o.rule_id for o in verdict.of(outcome)] for outcome in verdict.counts}
    broken = verdict.of("failed")
    duties = sorted(o.rule_id for o in broken if o.rule.obligation == "MUST")
    others = sorted(o.rule_id for o in broken if o.rule.obligation == "SHOULD")
    predicate: dict[str, Any] = {
        "result": result_of(verdict),
        "configuration": [artifact.to_json() for artifact in (kit, *configuration)],
        **({"url": made.url} if made.url else {}),
        "passedTests": sorted(ids["passed"]),
        "warnedTests": sorted([*others, *ids["waived"]]),
        "failedTests": duties,
        EXTENSION: {
            "contract": run.contract,
            "contractDigest": {"sha256": digest_of_contract(contract_of(run.contract))},
            "kit": made.to_json()["kit"],
            "target": target.name,
            "spec": target.spec,
            "executor": target.facts.executor,
            "subject": [artifact.to_json() for artifact in subject],
            "verdict": verdict.verdict,
            "level": verdict.level,
            "demanded": run.demanded,
            "needs": list(target.facts.needs),
            "declared": list(target.facts.declared),
            "lacking": {
                outcome.rule_id: list(outcome.lacking)
                for outcome in sorted(verdict.of("not_applicable"), key=lambda one: one.rule_id)
            },
            **{key: _reasons(verdict, outcome) for outcome, key in REASONED.items()},
            "inherited": sorted(o.rule_id for o in verdict.outcomes if o.inherited),
            "python": made.python,
            "platform": made.platform,
            "profile": run.profile,
            "hypothesis": made.hypothesis,
            "finished": made.finished,
            "signature": UNSIGNED,
        },
    }
    predicate[EXTENSION]["digest"] = {"sha256": digest_of(predicate)}
    return {
        "_type": STATEMENT_TYPE,
        "subject": signable([artifact.to_json() for artifact in subject]),
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }


#: What tools that sign know of the digests that in-toto has names for.
_SIGNED = ("sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512")


def signable(subject: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The subject for the outside of a statement, where no other digest may stand.

    sigstore-python refuses a statement with any other: a `dirHash` or a `gitCommit` beside what it
    knows, too. Inside the predicate all of them stand.
    """
    outside = []
    for one in subject:
        digest = {name: value for name, value in one["digest"].items() if name in _SIGNED}
        if digest:
            outside.append({**one, "digest": digest})
    return outside


def result_of(verdict: Verdict) -> Result:
    """The verdict in the three words that the predicate has for it."""
    if verdict.verdict != "conformant" or verdict.level is None or verdict.below_demand:
        return "FAILED"
    return "WARNED" if verdict.of("failed", "waived") else "PASSED"


def _reasons(verdict: Verdict, outcome: Outcome) -> dict[str, str]:
    found = sorted(verdict.of(outcome), key=lambda one: one.rule_id)
    return {one.rule_id: printable(one.waiver or one.message) or "no reason given" for one in found}


def digest_of(predicate: Mapping[str, Any]) -> str:
    """The SHA-256, in hexadecimal, of a predicate without its own digest, as canonical JSON.

    Of the predicate alone: tools that sign make a statement of their own around it.
    """
    bare = copy.deepcopy(dict(predicate))
    bare[EXTENSION].pop("digest", None)
    text = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a statement says, read back."""

    statement: Mapping[str, Any]
    #: What it says of each rule.
    outcomes: tuple[RuleOutcome, ...]

    @property
    def predicate(self) -> Mapping[str, Any]:
        """The test-result predicate."""
        return cast(Mapping[str, Any], self.statement["predicate"])

    @property
    def extension(self) -> Mapping[str, Any]:
        """What this package added to the predicate."""
        return cast(Mapping[str, Any], self.predicate[EXTENSION])

    @property
    def verdict(self) -> VerdictWord:
        """The verdict that it states."""
        return cast(VerdictWord, self.extension["verdict"])

    @property
    def level(self) -> Level | None:
        """The level that it states."""
        return cast("Level | None", self.extension["level"])

    @property
    def demanded(self) -> Level | None:
        """The level that was demanded of the run."""
        return cast("Level | None", self.extension["demanded"])


def read(told: Mapping[str, Any]) -> Certificate:
    """The certificate in a statement that fulfils its schema."""
    predicate = told["predicate"]
    extension = predicate[EXTENSION]
    waived = extension["waived"]
    outcomes = [RuleOutcome(rule_id, "passed") for rule_id in predicate["passedTests"]]
    outcomes += [RuleOutcome(rule_id, "failed") for rule_id in predicate["failedTests"]]
    outcomes += [
        RuleOutcome(rule_id, "failed")
        for rule_id in predicate["warnedTests"]
        if rule_id not in waived
    ]
    for outcome, key in REASONED.items():
        for rule_id, reason in extension[key].items():
            waiver = reason if outcome == "waived" else ""
            outcomes.append(RuleOutcome(rule_id, outcome, reason, waiver=waiver))
    return Certificate(told, tuple(outcomes))
