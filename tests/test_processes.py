"""Which process has started which."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from pytest_asyncexec.conformance.instruments.processes import is_started_by, parents

_SLEEPS = "import sys; sys.stdin.read()"
#: Starts a process in a session of its own, tells its number, and ends.
_LEAVES_ONE = f"""
import subprocess, sys
# It must not hold open what is read to its end here.
child = subprocess.Popen(
    [sys.executable, "-c", {_SLEEPS!r}], stdout=subprocess.DEVNULL, start_new_session=True
)
print(child.pid, flush=True)
"""


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", _SLEEPS], stdin=subprocess.PIPE, text=True) as one:
        yield one
        one.communicate()


def test_a_process_is_known_by_its_parent(child: subprocess.Popen[str]) -> None:
    known = parents()

    assert known is not None
    assert known[child.pid][0] == os.getpid()


def test_who_has_started_a_process_has_started_it(child: subprocess.Popen[str]) -> None:
    assert is_started_by(child.pid, {os.getpid()})
    assert not is_started_by(child.pid, {child.pid})
    assert not is_started_by(child.pid, ())


def test_who_takes_in_an_orphan_has_not_started_it() -> None:
    everybody = set(parents() or ())
    line, held_open = os.pipe()
    try:
        told = subprocess.run(
            [sys.executable, "-c", _LEAVES_ONE], stdin=line, stdout=subprocess.PIPE, check=True
        )
        orphan = int(told.stdout)

        assert not is_started_by(orphan, everybody - {os.getpid()})
    finally:
        os.close(line)
        os.close(held_open)
