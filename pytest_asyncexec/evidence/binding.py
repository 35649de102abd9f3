"""What a certificate is bound to: what was judged, the kit that judged, and what it says itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from .artifact import LISTING
from .certificate import Certificate, digest_of, signable
from .environment import DISTRIBUTION, Environment
from .wheel import Wheel, modules_of


def unbound(told: Certificate) -> list[str]:
    """What of it does not fit together: digests, and what stands in it twice."""
    subject, inner = told.statement["subject"], told.extension["subject"]
    wrong = []
    # Those of the first kit have the same outside as inside.
    if not _all_same(subject, signable(inner)) and not _all_same(subject, inner):
        wrong.append("its subject is not the one that was judged")
    kit = told.extension["kit"]
    if told.predicate["configuration"][0]["digest"] != kit["digest"]:
        wrong.append("its configuration does not begin with the kit that judged")
    if told.extension["digest"]["sha256"] != digest_of(told.predicate):
        wrong.append("its digest is not that of what it says: it was changed after it was made")
    return wrong


def _all_same(outer: Sequence[Mapping[str, Any]], inner: Sequence[Mapping[str, Any]]) -> bool:
    return len(outer) == len(inner) and all(map(_same, outer, inner))


def _same(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> bool:
    # A tool that signs makes a subject of its own: it has to have the digest, and no other name
    # but that of the file which it was given.
    name, judged = (PurePosixPath(one.get("name", "")).name for one in (outer, inner))
    is_list = name.endswith(LISTING) and not judged.endswith(".whl")
    return (
        outer["digest"] == inner["digest"]
        and (is_list or name in ("", judged))
        and outer.get("uri", "") in ("", inner.get("uri", ""))
    )


def of_another_kit(told: Certificate, here: Environment) -> list[str]:
    """Whether another kit of the version of this one has judged, in a sentence."""
    kit = told.extension["kit"]
    if kit["version"] != here.kit or kit["digest"]["dirHash"] == here.kit_digest:
        return []
    return [
        f"it was made by a {DISTRIBUTION} {kit['version']} that is not the one installed here: "
        f"dirHash {kit['digest']['dirHash']}, here {here.kit_digest}"
    ]


def of_another_wheel(told: Certificate, wheel: Wheel) -> list[str]:
    """Whether it speaks of another wheel, or of what that does not hold, in a sentence."""
    given, name = wheel.artifact.digest["sha256"], wheel.artifact.name
    wheels = [
        subject
        for subject in told.extension["subject"]
        if "sha256" in subject["digest"] and "dirHash" not in subject["digest"]
    ]
    if not wheels:
        return [
            f"it speaks of what was installed, not of a wheel: judge again with "
            f"--asyncexec-artifact={name}"
        ]
    digests = [subject["digest"]["sha256"] for subject in wheels]
    if given not in digests:
        names = ", ".join(subject.get("name", "?") for subject in wheels)
        return [f"it speaks of {names}, sha256 {', '.join(digests)}; {name} has {given}"]
    return _of_a_class_elsewhere(told, wheel)


def _of_a_class_elsewhere(told: Certificate, wheel: Wheel) -> list[str]:
    """See that the wheel holds the class that was judged, as was seen to when it was."""
    held = modules_of(wheel)
    # Some platforms load plugins from files under names that are none of modules: then the module
    # counts in which the class was named.
    module = told.extension["executor"].partition(":")[0]
    named = told.extension["spec"].replace(":", ".").split(".")
    if module in held or any(".".join(named[:end]) in held for end in range(len(named), 0, -1)):
        return []
    judged = told.extension["executor"] or told.extension["spec"]
    holds = ", ".join(wheel.packages) or "nothing"
    return [
        f"it speaks of {judged}, and {wheel.artifact.name} does not hold that; it holds {holds}"
    ]
