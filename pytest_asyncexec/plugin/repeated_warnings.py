"""Warnings of checks, of which each line of code has one in the summary, and a count.

pytest tells warnings together that have the same text. That of a file which an executor does not
close has the file's name in it: there are as many texts as tasks.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from collections import Counter
from collections.abc import Generator, Hashable, Iterator

import pytest

from ..conformance.subject.blame import of_the_users
from .collection import is_check

#: What is another in each text of one kind: names in quotes, addresses and numbers.
_OWN = re.compile(r"'[^']*'|0x[0-9a-fA-F]+|\d+")


class RepeatedWarnings:
    """Lets the first warning of its kind through, and counts the others until the end."""

    def __init__(self) -> None:
        self._first: dict[Hashable, warnings.WarningMessage] = {}
        self._more: Counter[Hashable] = Counter()

    @pytest.hookimpl(wrapper=True, specname="pytest_runtest_protocol")
    def pytest_asyncexec_run_check(self, item: pytest.Item) -> Generator[None, object, object]:
        """Tell what a check warns of; the user's own tests are left alone."""
        if not is_check(item):
            return (yield)
        with self.told_once():
            return (yield)

    @contextlib.contextmanager
    def told_once(self) -> Iterator[None]:
        """Within this block, hold back what has been told."""
        heard: list[warnings.WarningMessage] = []
        try:
            with warnings.catch_warnings(record=True) as heard:
                yield
        finally:
            for each in heard:
                self._tell(each)

    def _tell(self, warning: warnings.WarningMessage) -> None:
        kind = _kind(warning)
        if kind in self._first:
            self._more[kind] += 1
        else:
            self._first[kind] = warning
            _warn(warning, warning.message)

    @pytest.hookimpl(specname="pytest_sessionfinish")
    def pytest_asyncexec_count_warnings(self) -> None:
        """Say how many were held back of each kind."""
        for kind, number in self._more.items():
            first = self._first[kind]
            text = f"{number} more of this kind, the first of which was: {first.message}"
            try:
                more = first.category(text)
            except Exception:  # it is not made of a text
                more = UserWarning(text)
            _warn(first, more)
        self._more.clear()


def _warn(like: warnings.WarningMessage, message: Warning | str) -> None:
    """Warn at the line of another one, whatever filters the user has."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        # Of a message that is a warning itself the category is its class.
        warnings.warn_explicit(
            message, like.category, like.filename, like.lineno, source=like.source
        )


def _kind(warning: warnings.WarningMessage) -> Hashable:
    """What the warnings of one mistake have in common: the line, where it is the executor's."""
    if of_the_users(warning.filename):
        return warning.category, warning.filename, warning.lineno
    return warning.category, _OWN.sub("...", str(warning.message))
