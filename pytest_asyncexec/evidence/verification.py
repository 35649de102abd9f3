"""Whether a certificate holds: its form, its digests, its completeness, and what it says."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..contract.catalogue import Contract, UnknownContract, contract_of
from ..contract.frozen import digest_of as digest_of_contract
from ..contract.rule import Level, Rule
from ..contract.verdict import OUTCOMES, Verdict, judge
from . import certificate, strict_json
from .binding import of_another_kit, of_another_wheel, unbound
from .certificate import Certificate, result_of
from .environment import DISTRIBUTION, Environment
from .grounds import unfounded
from .schemas import SchemaError, validate
from .wheel import Wheel

_PAYLOAD = "application/vnd.in-toto+json"


class NoCertificate(Exception):
    """A file in which there is no certificate that could be verified; the message says why."""


@dataclass(frozen=True, slots=True)
class Found:
    """The certificate in a file, and how many signatures are around it."""

    certificate: Certificate
    contract: Contract
    #: None where it is a bare statement.
    signatures: int | None

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The rules of its contract."""
        return self.contract.rules


def find(path: Path) -> Found:
    """The certificate in a file: a bare statement, a DSSE envelope or a sigstore bundle.

    Raises:
        NoCertificate: there is none, or it is of a contract that this kit does not know.
    """
    try:
        told, signatures = _unwrapped(strict_json.loads(path.read_bytes()))
        validate("certificate", told)
        found = certificate.read(told)
        return Found(found, contract_of(found.extension["contract"]), signatures)
    except FileNotFoundError:
        raise NoCertificate(
            f"{path} is not there.\n  Expected is a certificate, such as "
            "asyncexec-report/MyExecutor.intoto.json, that --asyncexec-report=DIR has written."
        ) from None
    except OSError as error:
        raise NoCertificate(f"{path} cannot be read: {error.strerror}.{_beside(path)}") from None
    except SchemaError as error:
        raise NoCertificate(
            f"{path} is no certificate of {DISTRIBUTION}: {error}.{_beside(path)}\n  Expected is "
            f"an in-toto statement that --asyncexec-report=DIR has written: "
            f"{certificate.PREDICATE_TYPE} with the key {certificate.EXTENSION!r}."
        ) from None
    except UnknownContract as error:
        raise NoCertificate(
            f"{path}: {error}.\n  Verify it with the version of {DISTRIBUTION} that made it, or a "
            "later one."
        ) from None
    except ValueError as error:
        raise NoCertificate(
            f"{path} is no JSON: {error}.{_beside(path)}\n  A certificate may have been cut short "
            "on its way: get it again."
        ) from None


def _beside(path: Path) -> str:
    """The certificates that lie where something else was named, in words."""
    folder = path if path.is_dir() else path.parent
    # A folder that was named may be the one above that of the reports.
    patterns = ["*.intoto.json"] + ["*/*.intoto.json"] * path.is_dir()
    found = [each for pattern in patterns for each in sorted(folder.glob(pattern))]
    names = [str(each) for each in found if each != path]
    return f"\n  There is {', '.join(names)}." if names else ""


def _unwrapped(told: Any) -> tuple[Any, int | None]:
    """The statement in an envelope or a bundle, with the number of its signatures."""
    bundle = told if isinstance(told, dict) else {}
    envelope = bundle.get("dsseEnvelope", bundle)
    if not isinstance(envelope, dict) or "payload" not in envelope:
        return told, None
    if envelope.get("payloadType") != _PAYLOAD:
        raise SchemaError(f"payloadType of the envelope is not {_PAYLOAD}")
    try:
        # Both alphabets are allowed in an envelope.
        text = str(envelope["payload"]).replace("-", "+").replace("_", "/")
        payload = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise SchemaError(f"payload of the envelope is no base64: {error}") from None
    signatures = envelope.get("signatures")
    return strict_json.loads(payload), len(signatures) if isinstance(signatures, list) else 0


def tampering(found: Found, here: Environment) -> list[str]:
    """What shows that a certificate is not as it was made, in sentences; empty if nothing does.

    Args:
        found: the certificate.
        here: the kit that verifies.
    """
    rules = found.rules
    wrong = [*_incomplete(found.certificate, rules), *_misplaced(found.certificate, rules)]
    wrong += _of_another_contract(found.certificate, found.contract)
    wrong += unfounded(found.certificate, rules)
    if not wrong:
        # Only a list of rules that is whole can be judged.
        wrong += _misjudged(found.certificate, rules)
    return [*wrong, *unbound(found.certificate), *of_another_kit(found.certificate, here)]


def _incomplete(told: Certificate, rules: Mapping[str, Rule]) -> list[str]:
    seen = Counter(outcome.rule_id for outcome in told.outcomes)
    wrong = []
    absent = [rule_id for rule_id in rules if rule_id not in seen]
    unknown = [rule_id for rule_id in seen if rule_id not in rules]
    twice = [rule_id for rule_id, times in seen.items() if times > 1]
    version = told.extension["contract"]
    if absent:
        wrong.append(f"it says nothing of {_list(absent)}, and contract {version} has them")
    if unknown:
        wrong.append(f"contract {version} has no {_list(unknown)}")
    if twice:
        wrong.append(f"it gives more than one outcome of {_list(twice)}")
    return wrong


def _of_another_contract(told: Certificate, contract: Contract) -> list[str]:
    # Those of the first kit name the version alone.
    said = told.extension.get("contractDigest", {}).get("sha256")
    here = digest_of_contract(contract)
    if said in (None, here):
        return []
    return [
        f"its contract {contract.version} is not the one that this kit knows: sha256 {said}, here "
        f"{here}"
    ]


def _misplaced(told: Certificate, rules: Mapping[str, Rule]) -> list[str]:
    warned, failed = (told.predicate[f"{kind}Tests"] for kind in ("warned", "failed"))
    waived = told.extension["waived"]
    duties = [i for i in warned if i in rules and rules[i].obligation == "MUST"]
    wrong = [f"{i} is a MUST: broken and not waived, it fails" for i in duties if i not in waived]
    wrong += [
        f"{i} is a SHOULD: broken, it is a warning"
        for i in failed
        if i in rules and rules[i].obligation == "SHOULD"
    ]
    wrong += [f"{i} is waived and not among the warnings" for i in waived if i not in warned]
    broken = {*failed, *warned}
    inherited = [i for i in told.extension["inherited"] if i not in broken]
    return wrong + [f"{i} is called inherited and is not broken" for i in inherited]


def _misjudged(told: Certificate, rules: Mapping[str, Rule]) -> list[str]:
    verdict = judge(told.outcomes, demanded=told.demanded, rules=rules)
    pairs = (
        ("verdict", told.verdict, verdict.verdict),
        ("level", told.level or "none", verdict.level or "none"),
        ("result", told.predicate["result"], result_of(verdict)),
    )
    return [
        f"its {what} is {said}, and its rules make it {computed}"
        for what, said, computed in pairs
        if said != computed
    ]


def refused(found: Found, level: Level | None, wheel: Wheel | None) -> list[str]:
    """Why a certificate that holds is not accepted, in sentences; empty if it is.

    Args:
        found: the certificate.
        level: the level demanded; without one, what the certificate claims has to be conformant.
        wheel: what it has to speak of, if that is given.
    """
    told = found.certificate
    wrong = of_another_wheel(told, wheel) if wheel is not None else []
    verdict = verdict_at(found, level)
    if verdict.verdict != "conformant" or verdict.level is None or verdict.below_demand:
        name, reached = told.extension["target"], verdict.level or "none"
        at = f" at level {level}" if level else ""
        is_what = f"does not reach level {verdict.demanded}" if verdict.below_demand else ""
        if verdict.verdict != "conformant" or not is_what:
            is_what = f"is {verdict.verdict}{at}"
        wrong.append(f"{name} {is_what}: level {reached} is reached{_because(verdict)}")
    return wrong


def verdict_at(found: Found, level: Level | None) -> Verdict:
    """The verdict where this level is demanded, or the one that the certificate states."""
    told = found.certificate
    return judge(told.outcomes, demanded=level or told.demanded, rules=found.rules)


def _because(verdict: Verdict) -> str:
    wrong = verdict.missed or verdict.of("failed", "waived", "could_not_run", "not_run")
    parts = []
    for outcome in reversed(OUTCOMES):
        ids = sorted(one.rule_id for one in wrong if one.outcome == outcome)
        if ids:
            parts.append(f"{outcome.replace('_', ' ')} {_list(ids)}")
    return f"; {'; '.join(parts)}" if parts else ""


def _list(ids: list[str], most: int = 8) -> str:
    more = f" and {len(ids) - most} more" if len(ids) > most else ""
    return ", ".join(ids[:most]) + more
