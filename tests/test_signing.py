"""What the field's own tools make of certificates: they sign them, and what they sign holds.

Offline, with keys made here: to sign with an identity sigstore asks two services on the network.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement as OfficialStatement
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner
from sigstore import dsse
from sigstore.errors import Error, VerificationError

from pytest_asyncexec.commands import verify
from pytest_asyncexec.contract.catalogue import RULES
from pytest_asyncexec.evidence import certificate
from pytest_asyncexec.evidence.artifact import Artifact, installed
from pytest_asyncexec.evidence.environment import Environment
from runs import outcome, run, target_of

WHEEL = Artifact("mypkg-1.0-py3-none-any.whl", {"sha256": "a" * 64}, "pkg:pypi/mypkg@1.0")
KINDS = ("of a wheel", "of what is installed")

#: All that an executor lacks that does not capture what its tasks print.
STREAMLESS = [
    dataclasses.replace(outcome(rule.id, "not_applicable"), lacking=("streams",))
    for rule in RULES.values()
    if "streams" in rule.needs
]

Told = dict[str, Any]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Environment, "here", classmethod(lambda cls: run().environment))


@pytest.fixture(params=KINDS)
def told(request: pytest.FixtureRequest) -> Told:
    """A certificate with something of everything in it."""
    judged = target_of(outcome("CON-06", "failed"), outcome("TIM-09", "waived"), *STREAMLESS)
    judged_of = [WHEEL]
    if request.param != KINDS[0]:
        # The commit, as there is one where the code lies in a repository, all of it committed.
        judged_of = [
            installed("pytest_asyncexec")[0],
            Artifact("x (source)", {"gitCommit": "c" * 40}),
        ]
    return certificate.statement(run(judged), judged, judged_of)


def _holds(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> bool:
    """Whether `verify` accepts it."""
    path = folder / "MyExecutor.intoto.json"
    path.write_text(text, encoding="utf-8")
    status = verify.run(argparse.Namespace(certificate=path, artifact=None, level=None))
    assert capsys.readouterr().out.startswith("refused" if status else "holds: MyExecutor")
    return status == 0


def test_sigstore_signs_it_and_verifies_it(
    told: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())

    # What its Signer and its Verifier do, between the services that they ask.
    envelope = dsse._sign(key, dsse.Statement(json.dumps(told).encode()))
    payload = dsse._verify(key.public_key(), envelope)

    assert json.loads(payload) == told
    assert _holds(envelope.to_json(), tmp_path, capsys)
    with pytest.raises(VerificationError, match="invalid signature"):
        dsse._verify(ec.generate_private_key(ec.SECP256R1()).public_key(), envelope)


def test_a_statement_that_sigstore_builds_from_its_parts_holds(
    told: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built = dsse.StatementBuilder(
        [dsse.Subject(name=one["name"], digest=one["digest"]) for one in told["subject"]],
        told["predicateType"],
        told["predicate"],
    ).build()
    envelope = dsse._sign(ec.generate_private_key(ec.SECP256R1()), built)

    assert _holds(envelope.to_json(), tmp_path, capsys)


@pytest.mark.parametrize("digest", ["dirHash", "gitCommit"])
@pytest.mark.parametrize("beside", [{}, {"sha256": "a" * 64}])
def test_sigstore_takes_no_digest_that_it_does_not_know(
    digest: str, beside: dict[str, str], told: Told
) -> None:
    # The reason why those stand inside the predicate alone: the day it takes them, this fails.
    told["subject"] = [{"name": "mypkg", "digest": {**beside, digest: "b" * 40}}]

    with pytest.raises(Error, match="malformed in-toto statement"):
        dsse.Statement(json.dumps(told).encode())


def test_all_digests_stand_inside(told: Told) -> None:
    inner = told["predicate"][certificate.EXTENSION]["subject"]
    names = {name for one in inner for name in one["digest"]}

    assert names in ({"sha256"}, {"sha256", "dirHash", "gitCommit"})
    assert {name for one in told["subject"] for name in one["digest"]} == {"sha256"}


def test_what_is_installed_has_the_digest_of_a_list_that_can_be_written() -> None:
    found = installed("pytest_asyncexec")[0]

    assert found.digest["sha256"] == hashlib.sha256(found.listing.encode()).hexdigest()
    assert "  pytest_asyncexec/__init__.py\n" in found.listing


def test_any_key_signs_it(told: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signer = CryptoSigner.generate_ed25519()
    envelope = Envelope(json.dumps(told).encode(), "application/vnd.in-toto+json", {})
    envelope.sign(signer)

    received = Envelope.from_dict(json.loads(json.dumps(envelope.to_dict())))
    received.verify([signer.public_key], 1)
    assert _holds(json.dumps(received.to_dict()), tmp_path, capsys)


# ---- the official bindings ---------------------------------------------------------------------


def _by_the_bindings(told: Told) -> Told:
    """A statement as it comes out of what protobuf made of it."""
    read = json_format.ParseDict(told, statement_pb2.Statement())
    OfficialStatement.copy_from_pb(read).validate()
    again: Told = json_format.MessageToDict(read)
    return again


def _numbers(value: Any) -> Iterator[int | float]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def test_nothing_depends_on_a_number_that_the_bindings_would_change(
    told: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(_numbers(told)) == []

    again = _by_the_bindings(told)
    assert again == told
    assert _holds(json.dumps(again), tmp_path, capsys)


def test_the_bindings_do_change_numbers(told: Told) -> None:
    told["predicate"]["number"] = 2**53 + 1

    found = _by_the_bindings(told)["predicate"]["number"]

    assert isinstance(found, float)
    assert found != 2**53 + 1
