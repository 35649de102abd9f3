"""Whatever an executor does to its host, the suite ends, and says what happened."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_asyncexec.broken.matrix import near_guards
from pytest_asyncexec.conformance.instruments import patience
from pytest_asyncexec.conformance.runner import judge_target

from hostile import executors
from pytest_asyncexec.contract.verdict import RuleOutcome, judge
from pytest_asyncexec.targets.loading import load_target

#: Some of every chapter: what is judged beside the rule that is broken.
REST = {"CON-01", "CON-02", "CTX-01", "STR-01", "LIF-08", "RES-04", "RET-01", "HYG-03", "SEC-04"}

HOSTILE = [
    ("HangsInToDict", "SER-01", "# never comes back"),
    ("SpinsInFromDict", "SER-04", "in from_dict"),
    ("HangsWhenBuilt", "CON-01", "# waits for its backend"),
    ("HangsInTeardown", "LIF-09", "# nobody sets it"),
    ("HangsInTheSecondRun", "LIF-08", "# the second task never ends"),
    ("BlocksInSetup", "CNC-03", "in setup"),
    ("RaisesBaseExceptionInExecute", "RES-08", "execute raised Bottom: out of execute"),
    ("RaisesBaseExceptionInToDict", "SER-01", "raised Bottom: out of to_dict"),
    ("InterruptsFromExecute", "RES-08", "execute raised KeyboardInterrupt"),
    ("InterruptsFromToDict", "SER-01", "KeyboardInterrupt"),
    ("ExitsFromToDict", "SER-01", "raised SystemExit: enough"),
    ("ReturnsNonAwaitables", "STR-01", "there is no file"),
    ("PrintsMegabytes", "TIM-08", "(3,000,000 characters)"),
    ("ClosesTheLoop", "HYG-03", "the event loop of the host was stopped"),
    ("ExitsTheHost", "HYG-03", "os._exit(0) was called"),
    ("ExitsTheHostWhenBuilt", "CON-01", "os._exit(0) was called"),
    ("LowersTheRecursionLimit", "HYG-03", "sys.setrecursionlimit(60) was called"),
    ("RaisesTheUnspeakable", "SER-01", "raise KeyboardInterrupt"),
    ("ChangesStdout", "HYG-03", "sys.stdout"),
    ("DeletesItsAttributes", "SER-02", "is missing"),
    ("ReplacesAsyncio", "HYG-03", "asyncio.wait"),
    ("KillsItsProcessGroup", "SER-09", "exit code -9"),
]


#: How the names of those begin that never come back.
HANG = ("Hangs", "Spins", "Blocks")


@pytest.fixture
def _told_in_seconds(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hangs are told in seconds; nobody else is judged with this."""
    if not name.startswith(HANG):
        yield
        return
    monkeypatch.setattr(patience, "WATCHDOG", 4.0)
    monkeypatch.setattr(patience, "AFTER_A_HANG", 1.0)
    with near_guards():
        yield


@pytest.fixture(autouse=True)
def _left_to_nobody() -> Iterator[None]:
    """What a hostile executor leaves open is no fault of the test that comes next."""
    yield
    gc.collect()


def test_every_hostile_executor_is_judged() -> None:
    base = executors.ThreadExecutor
    bases = (base, executors.LocalExecutor)
    made = {name for name, cls in vars(executors).items() if isinstance(cls, type)}
    made = {name for name in made if issubclass(getattr(executors, name), bases)}

    assert made - {base.__name__, "LocalExecutor"} == {name for name, _, _ in HOSTILE}


@pytest.mark.usefixtures("_told_in_seconds")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
# A thread that is ended from outside may stand in anything, a callback of the collector's too.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("name", "rule", "words"), HOSTILE)
def test_a_hostile_executor_ends_in_a_finding(name: str, rule: str, words: str) -> None:
    streams, folder = (sys.stdout, sys.stderr), os.getcwd()
    asked = REST | {rule}

    found = judge_target(load_target(f"hostile.executors:{name}"), asked, "quick", 1)

    # The rest was judged, or it is said why not; nothing crashed.
    assert found.keys() == asked
    assert "not_run" not in {finding.outcome for finding in found.values()}, _told(found)
    assert found[rule].outcome == "failed", _told(found)
    assert words in found[rule].message
    assert judge(found.values()).verdict == "nonconformant"
    assert (sys.stdout, sys.stderr) == streams
    assert os.getcwd() == folder


def _told(found: dict[str, RuleOutcome]) -> str:
    return "\n".join(f"{f.rule_id} {f.outcome}: {f.message[:500]}" for f in found.values())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ExitsTheHost", "os._exit(0) was called"),
        ("InterruptsFromToDict", "KeyboardInterrupt"),
    ],
)
def test_the_report_is_written_and_the_exit_code_is_one(
    tmp_path: Path, name: str, says: str
) -> None:
    tests = str(Path(__file__).parent)
    options = ["--asyncexec-profile=quick", f"--asyncexec-plugin=hostile.executors:{name}"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": tests},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 1, run.stdout + run.stderr
    assert f"{name}: nonconformant" in run.stdout
    assert says in run.stdout


def test_who_kills_the_group_of_a_host_that_is_to_be_killed_does_so_to_nobody_else() -> None:
    group = os.getpgid(0)

    found = judge_target(
        load_target("hostile.executors:KillsItsProcessGroup"), {"HYG-05", "CON-01"}, "quick", 1
    )

    assert os.getpgid(0) == group
    assert found["CON-01"].outcome == "passed"
    assert found["HYG-05"].outcome == "could_not_run"
    assert "the death of the process (exit code -9)" in found["HYG-05"].message
