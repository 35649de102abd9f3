"""What a report says of an executor besides the verdict."""

from __future__ import annotations

from ..conformance.subject.subject import Subject
from ..contract.wording import printable
from ..evidence.record import Facts


def facts_of(subject: Subject) -> Facts:
    """What the first look at a subject showed."""
    look = subject.preflight()
    declared = tuple(sorted(map(str, look.cannot)))
    return Facts(printable(look.summary), look.needs, printable(subject.built), declared)
