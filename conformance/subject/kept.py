"""What checks have found out about a subject, kept for those that ask later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from .subject import Subject

T = TypeVar("T")


class Kept(Generic[T]):
    """One thing that is found out once about each subject, and each host that judges it.

    It lies with the subject, to which it may refer, and ends with it.

    Args:
        find: finds it out, when it is first asked for.
        hosts_differ: whether it is another thing under another host.
    """

    def __init__(self, find: Callable[[Subject], T], *, hosts_differ: bool = True) -> None:
        self._find = find
        self._hosts_differ = hosts_differ

    def of(self, subject: Subject) -> T:
        """What was found out about this subject, under the host that judges it now."""
        key = self._key(subject)
        if key not in subject.kept:
            subject.kept[key] = self._find(subject)
        found: T = subject.kept[key]
        return found

    def known(self, subject: Subject) -> T | None:
        """The same, if anybody has asked for it by now."""
        found: T | None = subject.kept.get(self._key(subject))
        return found

    def _key(self, subject: Subject) -> object:
        return (self, self._hosts_differ and subject.template_host)
