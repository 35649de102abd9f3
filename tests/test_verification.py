"""Verifying: certificates that hold, and twenty-odd ways in which one was tampered with."""

from __future__ import annotations

import argparse
import base64
import copy
import dataclasses
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

from pytest_asyncexec.commands import verify
from pytest_asyncexec.contract import catalogue
from pytest_asyncexec.contract.catalogue import RULES
from pytest_asyncexec.contract.rule import Level
from pytest_asyncexec.contract.verdict import Outcome
from pytest_asyncexec.evidence import certificate
from pytest_asyncexec.evidence.certificate import EXTENSION, digest_of
from pytest_asyncexec.evidence.environment import Environment
from pytest_asyncexec.evidence.wheel import open_wheel
from runs import run, target, target_of

Told = dict[str, Any]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    # The kit that verifies is the one that made the certificates of these tests.
    monkeypatch.setattr(Environment, "here", classmethod(lambda cls: run().environment))


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return _wheel(tmp_path / "mypkg-1.0-py3-none-any.whl", "class MyExecutor: pass")


def _wheel(path: Path, code: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mypkg/__init__.py", code)
        archive.writestr("mypkg/page.html", "<html>")
        archive.writestr("mypkg/py.typed", "")
        archive.writestr("mypkg-1.0.dist-info/METADATA", "Name: mypkg")
    return path


def certified(wheel: Path, demanded: Level | None = None, **odd: Outcome) -> Told:
    judged = target(demanded=demanded, **odd)
    subject = [open_wheel(wheel).artifact]
    return certificate.statement(run(judged), judged, subject)


def verified(
    told: Told | str, folder: Path, *, artifact: Path | None = None, level: Level | None = None
) -> int:
    path = folder / "MyExecutor.intoto.json"
    path.write_text(told if isinstance(told, str) else json.dumps(told), encoding="utf-8")
    return _verify(path, artifact, level)


def _verify(path: Path, artifact: Path | None = None, level: Level | None = None) -> int:
    return verify.run(argparse.Namespace(certificate=path, artifact=artifact, level=level))


# ---- those that hold ---------------------------------------------------------------------


def test_a_certificate_holds(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = certified(wheel, CON_06="failed", TIM_09="waived")

    assert verified(told, tmp_path, artifact=wheel, level="hardened") == 0

    out = capsys.readouterr().out
    assert "holds: MyExecutor is conformant to executor contract 1.1, level hardened" in out
    assert f"mypkg-1.0-py3-none-any.whl sha256:{told['subject'][0]['digest']['sha256']}" in out
    assert "the wheel given" in out
    assert "broken  CON-06 SHOULD" in out
    assert "waived  TIM-09 SHOULD: issue 17, mended in 2.0" in out
    assert "not signed" in out


def test_without_a_wheel_it_says_that_none_was_compared(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verified(certified(wheel), tmp_path) == 0
    assert "Not compared with any wheel" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("odd", "demanded", "asked", "status", "says"),
    [
        ({}, None, "hardened", 0, "level hardened"),
        ({"SEC_01": "failed"}, None, None, 1, "is nonconformant: level resilient is reached"),
        # The demand of who verifies counts, not that of the author.
        ({"SEC_01": "failed"}, None, "resilient", 0, "level resilient"),
        ({"SEC_01": "failed"}, "core", None, 0, "level resilient"),
        ({"SEC_01": "failed"}, "core", "hardened", 1, "nonconformant at level hardened"),
        (
            {"SEC_01": "waived"},
            None,
            "hardened",
            1,
            "MyExecutor does not reach level hardened: level resilient is reached; waived SEC-01",
        ),
        ({"SEC_01": "waived"}, None, None, 0, "waived  SEC-01 MUST: issue 17"),
        ({"CON_01": "waived"}, None, None, 1, "level none is reached; waived CON-01"),
        ({"SEC_01": "not_run"}, None, None, 1, "is incomplete: level resilient"),
        ({"SEC_01": "could_not_run"}, None, "core", 0, "level resilient"),
        ({"RET_02": "failed"}, None, None, 1, "level core is reached; failed RET-02"),
    ],
)
def test_the_level(
    odd: dict[str, Outcome],
    demanded: Level | None,
    asked: Level | None,
    status: int,
    says: str,
    wheel: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert verified(certified(wheel, demanded, **odd), tmp_path, level=asked) == status
    assert says in capsys.readouterr().out


def test_a_signed_envelope_is_opened(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    statement = json.dumps(certified(wheel)).encode()
    envelope = Envelope(statement, "application/vnd.in-toto+json", {})
    signer = CryptoSigner.generate_ed25519()
    envelope.sign(signer)
    envelope.verify([signer.public_key], 1)

    assert verified(json.dumps(envelope.to_dict()), tmp_path, artifact=wheel) == 0
    said = capsys.readouterr().out
    assert "in an envelope with 1 signature, which this command does not check" in said
    bundle = {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}
    bundle |= {"dsseEnvelope": envelope.to_dict()}
    assert verified(json.dumps(bundle), tmp_path, artifact=wheel) == 0


def test_a_statement_that_a_signing_tool_made_around_the_predicate_holds(
    wheel: Path, tmp_path: Path
) -> None:
    told = certified(wheel)
    digest = told["subject"][0]["digest"]
    told["subject"] = [{"name": "dist/mypkg-1.0-py3-none-any.whl", "digest": digest}]

    assert verified(told, tmp_path, artifact=wheel) == 0


def test_the_file_that_a_tool_was_given_to_sign_names_the_subject(tmp_path: Path) -> None:
    judged = target()
    digest = {"sha256": "c" * 64, "dirHash": "c" * 64}
    told = certificate.statement(
        run(judged), judged, [certificate.Artifact("mypkg-1.0", digest, "pkg:pypi/mypkg@1.0")]
    )
    told["subject"] = [{"name": "out/MyExecutor.sha256sums", "digest": {"sha256": "c" * 64}}]

    assert verified(told, tmp_path) == 0


# ---- what is not applicable --------------------------------------------------------------

#: All that an executor lacks that cannot stop its tasks, and has no cancel.
STOPLESS: dict[str, Outcome] = {
    rule.id.replace("-", "_"): "not_applicable"
    for rule in RULES.values()
    if {"stop", "cancel"} & {*rule.needs[:2]}
}


def _stopless(wheel: Path) -> Told:
    told = certified(wheel, **STOPLESS)
    extension = told["predicate"][EXTENSION]
    assert {"stop", "cancel"}.isdisjoint(extension["needs"])
    return told


def test_what_an_executor_lacks_makes_rules_not_applicable(wheel: Path, tmp_path: Path) -> None:
    told = _stopless(wheel)

    assert verified(told, tmp_path, level="core") == 0
    extension = told["predicate"][EXTENSION]
    assert extension["declared"] == ["stop"]
    assert extension["lacking"]["TIM-02"] == ["stop"]
    assert extension["lacking"]["CAN-04"] == ["cancel"]
    assert extension["lacking"].keys() == extension["notApplicable"].keys()


def _excuse(told: Told, rule: str, *needs: str) -> None:
    extension = told["predicate"][EXTENSION]
    told["predicate"]["passedTests"].remove(rule)
    extension["notApplicable"][rule] = "because"
    extension["lacking"][rule] = list(needs)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda told: _excuse(told, "RES-01"), "RES-01 is called not applicable, and nothing is"),
        (
            lambda told: _excuse(told, "RES-01", "stop"),
            "RES-01 is called not applicable for want of stop, which it does not need",
        ),
        (
            lambda told: _excuse(told, "RES-01", "run"),
            "RES-01 is called not applicable for want of run, which it does not need",
        ),
        (
            lambda told: _excuse(told, "RES-13", "streams"),
            "RES-13 is called not applicable for want of streams, and that was found",
        ),
        (
            lambda told: told["predicate"][EXTENSION]["declared"].clear(),
            "TIM-02 is called not applicable for want of stop, and that was not declared",
        ),
        (
            lambda told: told["predicate"][EXTENSION]["needs"].append("stop"),
            "TIM-02 is called not applicable for want of stop, and that was found",
        ),
        (
            lambda told: told["predicate"][EXTENSION]["lacking"].pop("CAN-04"),
            "CAN-04 is called not applicable, and nothing is said of what the executor lacks",
        ),
        (
            lambda told: told["predicate"][EXTENSION]["lacking"].update({"RES-13": ["streams"]}),
            "RES-13 is said to lack streams, and was judged",
        ),
        (
            lambda told: told["predicate"][EXTENSION]["needs"].remove("run"),
            "TIM-02 is called not applicable, and where no task runs it could not run",
        ),
        (
            lambda told: told["predicate"][EXTENSION]["needs"].remove("teardown"),
            "LIF-03 passed, which needs teardown, and that was not found",
        ),
        (
            lambda told: told["predicate"][EXTENSION]["contractDigest"].update(sha256="d" * 64),
            "its contract 1.1 is not the one that this kit knows: sha256 dddd",
        ),
        (
            lambda told: told["predicate"][EXTENSION]["declared"].append("streams"),
            "streams was found, and is declared to be lacking",
        ),
        (
            lambda told: told["predicate"][EXTENSION]["declared"].append("to\nfly"),
            "it declares 'to\\nfly', which no executor can",
        ),
        (
            lambda told: told["predicate"][EXTENSION]["needs"].remove("worker-process"),
            "local-process was found, and worker-process was not",
        ),
    ],
)
def test_what_does_not_follow_from_itself_is_refused(
    spoil: Callable[[Told], object],
    says: str,
    wheel: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = _stopless(wheel)
    spoil(told)
    told["predicate"][EXTENSION]["digest"]["sha256"] = digest_of(told["predicate"])

    assert verified(told, tmp_path) == 1
    assert says in capsys.readouterr().out


def _nearly_nothing_judged(told: Told, passed: int) -> None:
    """Call all rules not applicable but a few, with a reason for each."""
    predicate, extension = told["predicate"], told["predicate"][EXTENSION]
    rest = predicate["passedTests"][passed:]
    predicate["passedTests"] = predicate["passedTests"][:passed]
    extension["notApplicable"] |= dict.fromkeys(rest, "the executor declares that it cannot")
    if "lacking" in extension:
        extension["lacking"] |= {rule: list(RULES[rule].excuses) for rule in rest}
    predicate["result"] = "PASSED"
    extension |= {"verdict": "conformant", "level": "hardened"}
    extension["digest"]["sha256"] = digest_of(predicate)


def test_a_certificate_of_what_was_hardly_judged_is_refused(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = certified(wheel)
    _nearly_nothing_judged(told, 8)

    assert verified(told, tmp_path, level="core") == 1
    assert "SER-01 is called not applicable" in capsys.readouterr().out


# ---- made by the first kit ---------------------------------------------------------------

#: Made by 0.1.0: one of a class in a wheel, one of what was installed.
FIRST = Path(__file__).parent / "certificates"


def _of_the_first(name: str) -> Told:
    told: Told = json.loads((FIRST / f"{name}.intoto.json").read_text(encoding="utf-8"))
    return told


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    here = dataclasses.replace(run().environment, kit="0.2.0")
    monkeypatch.setattr(Environment, "here", classmethod(lambda cls: here))


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize(
    ("name", "level", "judged"),
    [
        ("MyExecutor", "core", "judged  mypkg-1.0-py3-none-any.whl sha256:268fa0"),
        ("LocalExecutor", "hardened", "judged  pytest-asyncexec-0.1.0 dirHash:00a546"),
    ],
)
def test_certificates_of_the_first_kit_hold(
    name: str,
    level: Level,
    judged: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = _of_the_first(name)
    wheel = FIRST / "mypkg-1.0-py3-none-any.whl" if name == "MyExecutor" else None

    assert _verify(FIRST / f"{name}.intoto.json", wheel, level) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"holds: {name} is conformant to executor contract 1.0, level {level}\n")
    assert judged in said
    assert "0.1.0" in said
    assert "contractDigest" not in told["predicate"][EXTENSION]


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda told: _nearly_nothing_judged(told, 8),
            "SER-01 is called not applicable, and needs nothing that was not found",
        ),
        (
            lambda told: told["predicate"][EXTENSION]["needs"].append("stop"),
            "TIM-02 is called not applicable, and needs nothing that was not found",
        ),
        (
            lambda told: told["predicate"][EXTENSION]["kit"].update(version="0.2.0"),
            "it does not say what the executor lacks, as those of pytest-asyncexec 0.2.0 do",
        ),
        (
            lambda told: told["subject"][0]["digest"].update(sha256="b" * 64),
            "its subject is not the one that was judged",
        ),
    ],
)
def test_what_does_not_follow_in_one_of_the_first_kit_is_refused(
    spoil: Callable[[Told], object],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = _of_the_first("MyExecutor")
    spoil(told)
    told["predicate"][EXTENSION]["digest"]["sha256"] = digest_of(told["predicate"])

    assert verified(told, tmp_path) == 1
    assert says in capsys.readouterr().out


@pytest.mark.usefixtures("later")
def test_a_later_contract_needs_what_the_first_kit_did_not_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = _of_the_first("MyExecutor")
    told["predicate"][EXTENSION]["contract"] = "1.1"

    assert verified(told, tmp_path) == 2
    assert "contractDigest" in capsys.readouterr().err


@pytest.fixture
def _one_rule_more(monkeypatch: pytest.MonkeyPatch) -> None:
    more = dataclasses.replace(RULES["RET-02"], id="RET-99", since="1.1")
    monkeypatch.setattr(catalogue, "RULES", {**RULES, "RET-99": more})


@pytest.mark.usefixtures("later", "_one_rule_more")
def test_certificates_are_verified_by_their_own_set(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _verify(FIRST / "LocalExecutor.intoto.json", None, "hardened") == 0

    earlier = run(target_of(contract="1.0"), contract="1.0")
    subject = [open_wheel(wheel).artifact]
    told = certificate.statement(earlier, earlier.targets[0], subject)
    assert verified(told, tmp_path, level="hardened") == 0
    assert "executor contract 1.0, level hardened" in capsys.readouterr().out

    told["predicate"][EXTENSION]["contract"] = "1.1"
    assert verified(told, tmp_path) == 1
    assert "says nothing of " in capsys.readouterr().out


# ---- tampered with -----------------------------------------------------------------------


def _move(told: Told, rule: str, source: str, goal: str) -> None:
    told["predicate"][f"{source}Tests"].remove(rule)
    told["predicate"][f"{goal}Tests"].append(rule)


def _claim_conformance(told: Told) -> None:
    told["predicate"]["result"] = "PASSED"
    told["predicate"][EXTENSION] |= {"verdict": "conformant", "level": "hardened"}


def _pass_what_failed(told: Told) -> None:
    _move(told, "RET-02", "failed", "passed")
    _claim_conformance(told)


#: What was done to a certificate of a nonconformant executor; and words of why it is refused even
#: where the digest was computed anew. Empty where then only a signature shows it.
TAMPERED: dict[str, tuple[Callable[[Told], object], str]] = {
    "a rule is removed": (
        lambda told: told["predicate"]["passedTests"].remove("CON-02"),
        "says nothing of CON-02",
    ),
    "the failed rule is removed": (
        lambda told: told["predicate"]["failedTests"].clear(),
        "says nothing of RET-02",
    ),
    "a rule is added": (
        lambda told: told["predicate"]["passedTests"].append("CON-99"),
        "has no CON-99",
    ),
    "a rule has two outcomes": (
        lambda told: told["predicate"]["passedTests"].append("RET-02"),
        "more than one outcome of RET-02",
    ),
    "a failed MUST becomes a warning": (
        lambda told: _move(told, "RET-02", "failed", "warned"),
        "RET-02 is a MUST",
    ),
    "a broken SHOULD becomes a failure": (
        lambda told: _move(told, "CON-06", "warned", "failed"),
        "CON-06 is a SHOULD",
    ),
    "a failed rule passes": (
        lambda told: _move(told, "RET-02", "failed", "passed"),
        "its verdict is nonconformant, and its rules make it conformant",
    ),
    "a failed rule passes, and so does all that follows from it": (_pass_what_failed, ""),
    "a passed rule fails": (
        lambda told: _move(told, "SEC-01", "passed", "failed"),
        "",
    ),
    "a broken rule is called waived": (
        lambda told: told["predicate"][EXTENSION]["waived"].update({"RET-02": "later"}),
        "RET-02 is waived and not among the warnings",
    ),
    "a waiver is removed": (
        lambda told: told["predicate"][EXTENSION]["waived"].clear(),
        "",
    ),
    "the verdict": (
        lambda told: told["predicate"][EXTENSION].update(verdict="conformant"),
        "its verdict is conformant, and its rules make it nonconformant",
    ),
    "the level": (
        lambda told: told["predicate"][EXTENSION].update(level="hardened"),
        "its level is hardened, and its rules make it core",
    ),
    "the result": (
        lambda told: told["predicate"].update(result="PASSED"),
        "its result is PASSED, and its rules make it FAILED",
    ),
    "verdict, level and result": (_claim_conformance, "its rules make it nonconformant"),
    "a rule that is kept is called inherited": (
        lambda told: told["predicate"][EXTENSION]["inherited"].append("SEC-02"),
        "SEC-02 is called inherited and is not broken",
    ),
    "a need": (
        lambda told: told["predicate"][EXTENSION]["needs"].remove("cancel"),
        "CAN-04 passed, which needs cancel, and that was not found",
    ),
    "the level demanded": (
        lambda told: told["predicate"][EXTENSION].update(demanded="core"),
        "its verdict is nonconformant, and its rules make it conformant",
    ),
    "the digest of the subject": (
        lambda told: told["subject"][0]["digest"].update(sha256="b" * 64),
        "its subject is not the one that was judged",
    ),
    "the name of the subject": (
        lambda told: told["subject"][0].update(name="other-1.0-py3-none-any.whl"),
        "its subject is not the one that was judged",
    ),
    "the address of the subject": (
        lambda told: told["subject"][0].update(uri="pkg:pypi/other@1.0"),
        "its subject is not the one that was judged",
    ),
    "another need": (
        lambda told: told["predicate"][EXTENSION]["needs"].remove("stop"),
        "TIM-02 passed, which needs stop, and that was not found",
    ),
    "one more subject": (
        lambda told: told["subject"].append({"name": "x.whl", "digest": {"sha256": "b" * 64}}),
        "its subject is not the one that was judged",
    ),
    "the kit": (
        lambda told: told["predicate"]["configuration"][0]["digest"].update(dirHash="b" * 64),
        "does not begin with the kit that judged",
    ),
    "another kit of the same version": (
        lambda told: [
            told["predicate"]["configuration"][0]["digest"].update(dirHash="b" * 64),
            told["predicate"][EXTENSION]["kit"]["digest"].update(dirHash="b" * 64),
        ],
        "that is not the one installed here",
    ),
    "the platform": (
        lambda told: told["predicate"][EXTENSION].update(platform="Windows 11 AMD64"),
        "",
    ),
    "the profile": (lambda told: told["predicate"][EXTENSION].update(profile="thorough"), ""),
    "the day": (
        lambda told: told["predicate"][EXTENSION].update(finished="2027-01-01T00:00:00Z"),
        "",
    ),
    "the reason of a waiver": (
        lambda told: told["predicate"][EXTENSION]["waived"].update({"TIM-09": "none of it"}),
        "",
    ),
    "what it says of its signature": (
        lambda told: told["predicate"][EXTENSION].update(signature="signed by the CEO"),
        "",
    ),
}


def _nonconformant(wheel: Path) -> Told:
    return certified(wheel, RET_02="failed", CON_06="failed", TIM_09="waived")


@pytest.mark.parametrize("how", TAMPERED)
def test_a_tampered_certificate_is_refused(
    how: str, wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = _nonconformant(wheel)
    before = copy.deepcopy(told)
    TAMPERED[how][0](told)
    assert told != before

    assert verified(told, tmp_path) == 1
    said = capsys.readouterr().out
    assert said.startswith("refused: ")
    assert "It is not as it was made" in said


@pytest.mark.parametrize("how", [how for how, (_, says) in TAMPERED.items() if says])
def test_a_tampered_certificate_with_a_new_digest_is_refused(
    how: str, wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = _nonconformant(wheel)
    TAMPERED[how][0](told)
    told["predicate"][EXTENSION]["digest"]["sha256"] = digest_of(told["predicate"])

    assert verified(told, tmp_path) == 1
    said = capsys.readouterr().out
    assert TAMPERED[how][1] in said
    assert "its digest" not in said


def test_a_forger_who_does_everything_right_is_found_by_a_signature_alone(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = _nonconformant(wheel)
    _pass_what_failed(told)
    told["predicate"]["result"] = "WARNED"
    told["predicate"][EXTENSION]["digest"]["sha256"] = digest_of(told["predicate"])

    assert verified(told, tmp_path) == 0
    assert "not signed" in capsys.readouterr().out


# ---- of something else, or nothing at all ------------------------------------------------


def test_another_wheel_is_refused(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = certified(wheel)
    other = _wheel(tmp_path / "mypkg-1.1-py3-none-any.whl", "VERSION = 1.1")

    assert verified(told, tmp_path, artifact=other) == 1
    assert "it speaks of mypkg-1.0-py3-none-any.whl, sha256" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("executor", "spec", "status"),
    [
        ("mypkg:MyExecutor", "mypkg:MyExecutor", 0),
        ("mypkg:MyExecutor", "tests.factories:make", 0),
        # Of a platform that loads plugins from files, under names of its own.
        ("plugin_0x1:MyExecutor", "mypkg:MyExecutor", 0),
        ("plugin_0x1:MyExecutor", "mypkg.MyExecutor", 0),
        # The module is there, and the class is not.
        ("mypkg:Other", "mypkg:Other", 1),
        ("mypkg:Other.MyExecutor", "mypkg:Other.MyExecutor", 1),
        ("otherpkg:MyExecutor", "otherpkg:MyExecutor", 1),
        ("mypkg.inner:MyExecutor", "otherpkg:make", 1),
        ("mypkgs:MyExecutor", "mypkgs:MyExecutor", 1),
        ("", "otherpkg:MyExecutor", 1),
        # What stands in front of a module's name does not hold it.
        ("mypkg.inner:MyExecutor", "mypkg.inner:MyExecutor", 1),
        ("mypkg.inner:MyExecutor", "mypkg.inner.MyExecutor", 1),
        ("plugin_0x1:MyExecutor", "mypkg.inner:MyExecutor", 1),
        # Files of other kinds are no modules.
        ("mypkg.page:MyExecutor", "otherpkg:MyExecutor", 1),
        ("mypkg.py:MyExecutor", "otherpkg:MyExecutor", 1),
        # What a factory of the wheel has built of another one.
        ("otherpkg:MyExecutor", "mypkg:make", 1),
    ],
)
def test_the_wheel_has_to_hold_the_class(
    executor: str,
    spec: str,
    status: int,
    wheel: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = certified(wheel)
    told["predicate"][EXTENSION] |= {"executor": executor, "spec": spec}
    told["predicate"][EXTENSION]["digest"]["sha256"] = digest_of(told["predicate"])

    assert verified(told, tmp_path, artifact=wheel) == status
    said = capsys.readouterr().out
    refusal = (
        f"it speaks of {executor or spec}, and {wheel.name} does not hold that; it holds mypkg"
    )
    assert (refusal in said) is bool(status)
    assert verified(told, tmp_path) == 0


@pytest.mark.parametrize(
    ("source", "held"),
    [
        ("class MyExecutor: pass", True),
        ("if True:\n    class MyExecutor: pass", True),
        ("def make():\n    class MyExecutor: pass\n    return MyExecutor", True),
        ("MyExecutor = type('MyExecutor', (), {})", True),
        ("def make(name):\n    return type(name, (), {})\nOTHERS = make('MyExecutor')", True),
        ("from .inner import MyExecutor", True),
        ("from .inner import *", True),
        ("def __getattr__(name): ...", True),
        ("for name in NAMES: globals()[name] = type(name, (), {})", True),
        ("this is of a Python to come", True),
        ("x = " + "-" * 100_000 + "1", True),
        ("# class MyExecutor was here", False),
        ("PATTERN = '\\d'", False),
        ("class MyExecutors: pass", False),
        ('"Has no MyExecutor any more."', False),
        ("", False),
    ],
)
def test_the_name_of_the_class_has_to_stand_in_the_code(
    source: str, held: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = _wheel(tmp_path / "mypkg-1.0-py3-none-any.whl", source)

    assert verified(certified(wheel), tmp_path, artifact=wheel) == (0 if held else 1)
    assert ("does not hold that" in capsys.readouterr().out) is not held


def test_the_class_of_an_extension_module_cannot_be_looked_for(tmp_path: Path) -> None:
    wheel = tmp_path / "mypkg-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("mypkg.cpython-311-x86_64-linux-gnu.so", b"")

    assert verified(certified(wheel), tmp_path, artifact=wheel) == 0


def test_a_certificate_of_a_wheel_speaks_of_nothing_else(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judged = target()
    digest = {"sha256": "c" * 64, "dirHash": "c" * 64}
    subject = [certificate.Artifact("other-1.0", digest), open_wheel(wheel).artifact]
    told = certificate.statement(run(judged), judged, subject)

    assert verified(told, tmp_path, artifact=wheel) == 1
    said = capsys.readouterr().out
    assert f"it speaks of other-1.0, {wheel.name}, and the certificate of a wheel" in said


def test_a_declaration_that_files_are_not_shared_contradicts_no_connection(
    wheel: Path, tmp_path: Path
) -> None:
    told = certified(wheel)
    told["predicate"][EXTENSION]["declared"] = ["shared-files"]
    told["predicate"][EXTENSION]["digest"]["sha256"] = digest_of(told["predicate"])

    assert verified(told, tmp_path) == 0


def test_a_certificate_of_what_was_installed_speaks_of_no_wheel(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judged = target()
    digest = {"sha256": "c" * 64, "dirHash": "c" * 64}
    artifact = certificate.Artifact("mypkg-1.0", digest)
    told = certificate.statement(run(judged), judged, [artifact])

    assert verified(told, tmp_path, artifact=wheel) == 1
    assert "it speaks of what was installed, not of a wheel" in capsys.readouterr().out
    assert verified(told, tmp_path) == 0


def _without(key: str) -> Callable[[Told], Told]:
    def strip(told: Told) -> Told:
        del told["predicate"][EXTENSION][key]
        return told

    return strip


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda told: json.dumps(told)[:-200], "is no JSON"),
        (lambda told: "", "is no JSON"),
        (lambda told: "[" * 100_000, "is no JSON"),
        (lambda told: "[" * 500 + "]" * 500, "nested too deeply"),
        (lambda told: "\ufeff" + json.dumps(told), "is no JSON"),
        (lambda told: json.dumps(told)[:-1] + ', "subject": []}', "'subject' stands twice"),
        (lambda told: json.dumps({**told, "more": float("nan")}), "NaN is no JSON value"),
        (lambda told: json.dumps([told]), "must be object"),
        (lambda told: json.dumps({}), "must contain"),
        (lambda told: {**told, "predicateType": "https://slsa.dev/provenance/v1"}, "predicateType"),
        (lambda told: {**told, "_type": "https://in-toto.io/Statement/v0.1"}, "_type"),
        (lambda told: {**told, "subject": []}, "subject"),
        (_without("needs"), "needs"),
        (_without("contract"), "contract"),
        (lambda told: {"payloadType": "text/plain", "payload": ""}, "payloadType"),
        (
            lambda told: {"payloadType": "application/vnd.in-toto+json", "payload": "%"},
            "no base64",
        ),
        (
            lambda told: {
                "payloadType": "application/vnd.in-toto+json",
                "payload": base64.b64encode(b"not json").decode(),
            },
            "is no JSON",
        ),
    ],
)
def test_what_is_no_certificate_cannot_be_verified(
    spoil: Callable[[Told], Told | str],
    says: str,
    wheel: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert verified(spoil(certified(wheel)), tmp_path) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert says in captured.err


def test_an_unknown_contract_cannot_be_verified(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = certified(wheel)
    told["predicate"][EXTENSION]["contract"] = "3.0"

    assert verified(told, tmp_path) == 2
    assert "this kit has no contract '3.0'; it knows 1.0, 1.1" in capsys.readouterr().err


def test_bytes_that_are_no_text_cannot_be_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "MyExecutor.intoto.json"
    path.write_bytes(b"\xff\xfe\xfa\x00\x81")

    assert _verify(path) == 2
    assert "is no JSON" in capsys.readouterr().err


def test_a_certificate_cannot_write_lines_of_its_own(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judged = target("My\nholds: Other\x1b[2J")
    told = certificate.statement(run(judged), judged, [open_wheel(wheel).artifact])

    assert verified(told, tmp_path) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith(r"holds: My\nholds: Other\x1b[2J is conformant")
    assert not any(line.startswith("holds") for line in others)


def test_another_version_of_the_kit_is_told(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = certified(wheel)
    told["predicate"][EXTENSION]["kit"]["version"] = "0.2.0"
    told["predicate"][EXTENSION]["digest"]["sha256"] = digest_of(told["predicate"])

    assert verified(told, tmp_path) == 0
    assert "digest of that kit was not compared: this is 0.1.0" in capsys.readouterr().out


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _verify(tmp_path / "nothing.intoto.json") == 2
    assert "nothing.intoto.json is not there" in capsys.readouterr().err
    assert _verify(tmp_path) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_folder_is_told_with_the_certificates_in_it_and_in_those_below(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    below = tmp_path / "asyncexec-report"
    below.mkdir()
    certificates = tmp_path / "A.intoto.json", below / "B.intoto.json"
    for each in certificates:
        each.touch()

    assert _verify(tmp_path) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path} cannot be read: " in said
    assert f"There is {certificates[0]}, {certificates[1]}." in said


def test_a_wheel_that_is_not_there(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "mypkg-9.0-py3-none-any.whl"
    assert verified(certified(wheel), tmp_path, artifact=missing) == 2
    assert "mypkg-9.0-py3-none-any.whl is not there" in capsys.readouterr().err
