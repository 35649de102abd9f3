"""Certificates: what they say, and that others than we can read them."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

from pytest_asyncexec.contract.catalogue import RULES
from pytest_asyncexec.contract.rule import LEVELS, Level
from pytest_asyncexec.contract.verdict import Outcome, judge
from pytest_asyncexec.evidence import certificate, schemas
from pytest_asyncexec.evidence.artifact import Artifact
from pytest_asyncexec.evidence.certificate import EXTENSION
from runs import run, target

WHEEL = Artifact("mypkg-1.0-py3-none-any.whl", {"sha256": "a" * 64}, "pkg:pypi/mypkg@1.0")


def certified(demanded: Level | None = None, **odd: Outcome) -> dict[str, Any]:
    """The statement about an executor all of whose rules passed but these."""
    judged = target(demanded=demanded, **odd)
    return certificate.statement(run(judged), judged, [WHEEL])


def test_the_official_bindings_read_it() -> None:
    told = certified(CON_06="failed", RET_02="failed", TIM_02="waived", RES_13="not_applicable")

    # What in-toto does not know it ignores, by its own rules of parsing.
    statement = json_format.Parse(
        json.dumps(told), statement_pb2.Statement(), ignore_unknown_fields=True
    )
    Statement.copy_from_pb(statement).validate()
    assert statement.subject[0].digest == {"sha256": "a" * 64}
    predicate = json_format.ParseDict(
        told["predicate"], test_result_pb2.TestResult(), ignore_unknown_fields=True
    )
    assert predicate.result == "FAILED"
    assert list(predicate.failed_tests) == ["RET-02"]
    assert list(predicate.warned_tests) == ["CON-06", "TIM-02"]
    assert len(predicate.passed_tests) == len(RULES) - 4
    assert predicate.configuration[0].uri == "pkg:pypi/pytest-asyncexec@0.1.0"


def test_besides_the_extension_there_is_nothing_that_in_toto_does_not_know() -> None:
    told = certified()
    extension = told["predicate"].pop(EXTENSION)

    json_format.ParseDict(told, statement_pb2.Statement())
    json_format.ParseDict(told["predicate"], test_result_pb2.TestResult())
    assert extension["contract"] == "1.1"


@pytest.mark.parametrize(
    ("odd", "demanded", "result"),
    [
        ({}, None, "PASSED"),
        ({"CON_06": "failed"}, None, "WARNED"),
        ({"SEC_01": "waived"}, None, "WARNED"),
        ({"CON_01": "waived"}, None, "FAILED"),
        ({"SEC_01": "waived"}, "hardened", "FAILED"),
        ({"RES_13": "not_applicable"}, None, "PASSED"),
        ({"RET_02": "failed"}, None, "FAILED"),
        ({"RET_02": "failed"}, "core", "WARNED"),
        ({"RET_02": "could_not_run"}, None, "FAILED"),
        ({"CON_06": "not_run"}, None, "FAILED"),
    ],
)
def test_the_result_is_the_verdict(
    odd: dict[str, Outcome], demanded: Level | None, result: str
) -> None:
    assert certified(demanded, **odd)["predicate"]["result"] == result


def test_reasons_stand_beside_what_did_not_pass() -> None:
    told = certified(
        RES_13="not_applicable", CAN_02="could_not_run", SEC_01="not_run", TIM_09="waived"
    )
    extension = told["predicate"][EXTENSION]

    assert extension["notApplicable"] == {"RES-13": "the reason of RES-13"}
    assert extension["couldNotRun"] == {"CAN-02": "the reason of CAN-02"}
    assert extension["notRun"] == {"SEC-01": "the reason of SEC-01"}
    assert extension["waived"] == {"TIM-09": "issue 17, mended in 2.0"}
    assert extension["signature"].startswith("This certificate is not signed")


@pytest.mark.parametrize("level", [None, *LEVELS])
def test_what_is_read_back_makes_the_same_verdict(level: Level | None) -> None:
    odd: dict[str, Outcome] = {
        "CON_06": "failed",
        "RET_02": "failed",
        "TIM_02": "waived",
        "RES_13": "not_applicable",
        "CAN_02": "could_not_run",
        "SEC_01": "not_run",
    }
    judged = target(demanded=level, **odd)
    told = certificate.statement(run(judged), judged, [WHEEL])

    again = judge(certificate.read(told).outcomes, demanded=level)
    assert (again.verdict, again.level) == (judged.verdict.verdict, judged.verdict.level)
    assert again.counts == judged.verdict.counts


def test_it_fulfils_its_schema_for_another_validator_too() -> None:
    told = certified(CON_06="failed", TIM_02="waived")

    schemas.validate("certificate", told)
    jsonschema.Draft7Validator(schemas.schema("certificate")).validate(told)


@pytest.mark.parametrize("name", ["report", "certificate", "badge"])
def test_the_schemas_are_schemas(name: schemas.Name) -> None:
    jsonschema.Draft7Validator.check_schema(schemas.schema(name))


def test_hostile_reasons_do_not_break_it() -> None:
    judged = target(RES_13="not_applicable")
    outcomes = [
        outcome
        if outcome.rule_id != "RES-13"
        else type(outcome)("RES-13", "not_applicable", "nul \0, escape \x1b[31m, half \udc80")
        for outcome in judged.verdict.outcomes
    ]
    judged = type(judged)("MyExecutor", "mypkg:MyExecutor", judge(outcomes))
    told = certificate.statement(run(judged), judged, [WHEEL])

    text = json.dumps(told, ensure_ascii=False).encode()
    assert json.loads(text) == told
    reason = told["predicate"][EXTENSION]["notApplicable"]["RES-13"]
    assert reason == "nul \\x00, escape \\x1b[31m, half \\udc80"
