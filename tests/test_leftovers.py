"""What tasks leave in their process, what they find there, and what they do there: as functions."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from pytest_asyncexec.conformance.instruments.changes import CHANGES
from pytest_asyncexec.conformance.instruments.in_tasks import (
    METHODS,
    WRITES,
    start_child,
    use_asyncio,
)
from pytest_asyncexec.conformance.instruments.own_input import endless_input
from pytest_asyncexec.conformance.instruments.signals import BLOCKED, IGNORED

EVERY = [change for groups in CHANGES.values() for group in groups for change in group]

posix = pytest.mark.skipif(os.name != "posix", reason="signals, limits and select are POSIX's")


def in_a_process(code: str, **options: object) -> str:
    """What another process prints that runs this."""
    given = {"stdin": subprocess.DEVNULL, **options}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=False, stdout=subprocess.PIPE, check=True,
        timeout=60, **given,
    )  # fmt: skip
    return done.stdout.decode()


_LEFTOVERS = "from pytest_asyncexec.conformance.instruments.leftovers import *\n"


@posix
@pytest.mark.parametrize("change", EVERY)
def test_each_change_is_made_found_and_put_back(change: str) -> None:
    said = in_a_process(
        f"{_LEFTOVERS}"
        "import os\n"
        "say = os.fdopen(os.dup(1), 'w')\n"
        f"found = [look()['found'], leave({change!r})['left'], look()['found'], look()['found']]\n"
        "print(found, file=say, flush=True)\n"
    )

    assert said.strip() == f"[[], [{change!r}], [{change!r}], []]"


@posix
def test_all_changes_at_once_are_put_back() -> None:
    said = in_a_process(
        f"{_LEFTOVERS}"
        "import os\n"
        "say = os.fdopen(os.dup(1), 'w')\n"
        f"left = leave(*{EVERY!r})['left']\n"
        "print(sorted(left) == sorted(look()['found']), look()['found'], file=say, flush=True)\n"
    )

    assert said.strip() == "True []"


def test_equal_runs_are_told_apart_and_draw_other_numbers() -> None:
    from pytest_asyncexec.conformance.instruments.leftovers import run_once

    first, second = run_once((), 1), run_once((), 1)

    assert first["run"] != second["run"]
    assert not set(first["drawn"]) & set(second["drawn"])


def test_who_draws_again_leaves_the_same_numbers_to_the_next_one() -> None:
    said = in_a_process(f"{_LEFTOVERS}print(draw_again()['drawn'] == look()['drawn'])")

    assert said.strip() == "True"


_INPUT = (
    "from pytest_asyncexec.conformance.instruments.in_tasks import read_input\n"
    "import os, sys\n"
    "{before}\n"
    "print(repr(read_input({patience})))"
)


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ("", "''"),
        ("sys.stdin = None", "`sys.stdin.read()` ended in AttributeError"),
        ("os.close(0)", "its descriptor 0 cannot be read: OSError"),
        ("sys.stdin = open(os.pipe()[0])", "`sys.stdin.read()` had come to no end after 0.2 s"),
        (
            "i, o = os.pipe(); os.dup2(i, 0); os.write(o, b'answer')",
            "`os.read(0, 65536)` gave 6 bytes",
        ),
        ("i, o = os.pipe(); os.dup2(i, 0)", "`os.read(0, 1)` had come to no end after 0.2 s"),
    ],
)
@posix
def test_input_that_does_not_end_is_told(before: str, says: str) -> None:
    # A thread that reads for ever may not be waited for.
    end = "\nsys.stdout.flush()\nos._exit(0)"
    patience = 0.2 if "0.2" in says else 30

    said = in_a_process(_INPUT.format(before=before, patience=patience) + end)

    assert says in said


@posix
def test_a_host_is_given_an_input_without_end_for_a_while() -> None:
    with endless_input():
        seen = in_a_process(_INPUT.format(before="", patience=0.2), stdin=None)

    assert "`os.read(0, 1)` had come to no end" in seen
    assert "no end" not in in_a_process(_INPUT.format(before="", patience=30))


@pytest.mark.parametrize("method", METHODS)
@posix
def test_a_child_finds_what_its_parent_finds(method: str) -> None:
    code = (
        "from pytest_asyncexec.conformance.instruments.in_tasks import start_child\n"
        "if __name__ == '__main__':\n"
        f"    print(repr(start_child({method!r}, 50.0)))"
    )

    assert in_a_process(code).strip() == "''"


@posix
def test_a_child_that_dies_before_it_begins_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_asyncexec.conformance.instruments import in_tasks

    monkeypatch.setattr(in_tasks, "_CHILD", "import os; os._exit(3)")

    assert start_child("spawn", 50.0) == "it ended with the exit code 3 before it began"


def test_an_event_loop_of_its_own() -> None:
    assert use_asyncio("word") == "word"


@posix
def test_signals_that_are_refused_are_named() -> None:
    module = (
        "import signal\n"
        # As where these tests are run by nohup.
        f"for name in {tuple(IGNORED)!r}:\n"
        "    signal.signal(getattr(signal, name), signal.SIG_DFL)\n"
        "from pytest_asyncexec.conformance.instruments.signals import *\n"
    )

    assert in_a_process(f"{module}print(refused_signals())").strip() == "[]"
    said = in_a_process(f"{module}refuse_signals()\nprint(refused_signals())")
    assert all(f"{name} is ignored" in said for name in IGNORED)
    assert all(f"{name} is blocked" in said for name in BLOCKED)


@pytest.fixture
def written() -> str:
    ways = [way for group in WRITES for way in group]
    return in_a_process(
        "from pytest_asyncexec.conformance.instruments.in_tasks import write_below\n"
        f"write_below('word', *{[w for w in ways if 'bytes' not in w and 'answer' not in w]!r})",
        stderr=subprocess.DEVNULL,
    )


@posix
def test_what_is_written_below_python_is_written(written: str) -> None:
    assert "words of a child process\n" in written
    assert "words of C code\n" in written
    assert len(written) > 1_000_000
