"""What a certificate is bound to: what was judged, the kit that judged, and what it says itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from .artifact import LISTING
from .certificate import Certificate, digest_of, signable
from .classes import may_make
from .environment import DISTRIBUTION, Environment
from .wheel import Wheel, modules_of, source_of


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
    others = [one.get("name", "?") for one in told.extension["subject"] if one not in wheels]
    if others or len(set(digests)) > 1:
        names = ", ".join([*others, *(one.get("name", "?") for one in wheels)])
        return [f"it speaks of {names}, and the certificate of a wheel speaks of that alone"]
    return _of_a_class_elsewhere(told, wheel)


def _of_a_class_elsewhere(told: Certificate, wheel: Wheel) -> list[str]:
    """See that the wheel holds the class that was judged, as was seen to when it was."""
    held = modules_of(wheel)
    module, _, name = told.extension["executor"].partition(":")
    if module in held:
        source = source_of(wheel, module)
        if source is None or may_make(source, name):
            return []
    elif _is_named_in(held, told.extension["spec"], module, name):
        return []
    judged = told.extension["executor"] or told.extension["spec"]
    holds = ", ".join(wheel.packages) or "nothing"
    return [
        f"it speaks of {judged}, and {wheel.artifact.name} does not hold that; it holds {holds}"
    ]


def _is_named_in(held: Collection[str], spec: str, module: str, name: str) -> bool:
    """Whether a class of no module that could be looked for was named in one of the wheel's.

    Some platforms load plugins from files, under names that are none of modules.
    """
    # It was named where it says that it is, and there the wheel has nothing.
    if spec.replace(":", ".") == f"{module}.{name}":
        return False
    named, colon, last = spec.partition(":")
    if not colon:
        named, _, last = spec.rpartition(".")
    # What a function has built was looked for by its own module.
    if name and last.rpartition(".")[2] != name.rpartition(".")[2]:
        return False
    parts = named.split(".")
    ends = [len(parts)] if colon else range(len(parts), 0, -1)
    return any(".".join(parts[:end]) in held for end in ends)
