"""A small suite in the place of the real one, for tests of the plugin around it.

Four rules of the catalogue are left, and what their checks find is said by the executor:
`behaviour = {"LIF-03": "fail"}`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

import pytest

#: Loaded with `-p small_suite`, before anything of the plugin but its options is imported.
PLUGIN = """
import pathlib
import pytest_asyncexec.conformance as suite
import pytest_asyncexec.contract.catalogue as catalogue

suite.CHECK_MODULES = ("test_alpha", "test_beta")
suite.__path__.append(str(pathlib.Path(__file__).parent / ".checks"))
kept = ("CON-01", "CON-06", "LIF-03", "RET-01")
catalogue.RULES = {rule_id: catalogue.RULES[rule_id] for rule_id in kept}
"""

_ALPHA = """
import os
import signal
import time
import warnings
from pytest_asyncexec.conformance.check import check
from pytest_asyncexec.conformance.subject.exceptions import NotApplicable

def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.02)

def act(subject):
    behaviour = getattr(subject.build(), "behaviour", {}).get(subject.rule.id, "")
    if behaviour.startswith("wait"):
        wait_for("go")
    if behaviour == "wait on":
        wait_for("go on")
    if behaviour == "fail":
        subject.fail(seen=f"{subject.rule.id} was broken", required="that it is kept")
    if behaviour == "quote":
        subject.fail(seen="it said \\0 \\x1b[31m \\udc80", required="good manners")
    if behaviour == "not applicable":
        raise NotApplicable("the executor lacks that", ["streams"])
    if behaviour == "could not run":
        subject.could_not_run("there is no backend")
    if behaviour == "tell profile":
        picked = subject.pick(quick=1, default=2, thorough=3)
        raise NotApplicable(f"profile {subject.profile}, {picked}", ["streams"])
    if behaviour == "crash":
        raise KeyError("a mistake in the check")
    if behaviour in ("die", "wait die"):
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "pause":
        time.sleep(0.5)
    if behaviour == "warn":
        warnings.warn("old-fashioned", DeprecationWarning)

@check("CON-01")
def test_CON_01_must_build(subject):
    act(subject)

@check("CON-06")
def test_CON_06_should_refuse(subject):
    act(subject)
"""

_BETA = """
from .check import check
from .test_alpha import act

@check("LIF-03")
def test_LIF_03_must_tear_down(subject):
    act(subject)

@check("RET-01")
def test_RET_01_must_attempt_once(subject):
    act(subject)
"""

EXECUTORS = """
import asyncio

from pytest_asyncexec import AsyncBaseExecutor

class Good(AsyncBaseExecutor):
    behaviour = {}

    async def run(self, function, args, kwargs, task_metadata):
        return await asyncio.to_thread(function, *args, **kwargs)

class Other(Good):
    pass
"""

GOOD = "--asyncexec-plugin=executors:Good"

#: Every check of the small suite on `Good`, by id.
IDS = (
    "asyncexec/test_alpha.py::test_CON_01_must_build[Good]",
    "asyncexec/test_alpha.py::test_CON_06_should_refuse[Good]",
    "asyncexec/test_beta.py::test_LIF_03_must_tear_down[Good]",
    "asyncexec/test_beta.py::test_RET_01_must_attempt_once[Good]",
)


def install(pytester: pytest.Pytester) -> None:
    """Write the small suite and its executors into the folder of a test."""
    pytester.makepyfile(
        **{
            "small_suite": PLUGIN,
            ".checks/test_alpha": _ALPHA,
            ".checks/test_beta": _BETA,
            "executors": EXECUTORS,
        }
    )
    pytester.makeini("[pytest]")


def executor(pytester: pytest.Pytester, **behaviour: str) -> str:
    """Write an executor `Odd` that behaves so, rule by rule; the option that names it."""
    said = {rule.replace("_", "-"): how for rule, how in behaviour.items()}
    pytester.makepyfile(
        odd=f"from executors import Good\nclass Odd(Good):\n    behaviour = {said!r}\n"
    )
    return "--asyncexec-plugin=odd:Odd"


def run(
    pytester: pytest.Pytester, *arguments: str, plugins: Sequence[str] | None = ()
) -> pytest.RunResult:
    """Run pytest with the small suite in a process of its own.

    Of the plugins installed here it has those named, which saves half of the time; with None it
    has all of them, as users do.
    """
    loaded = ["-p", "small_suite"]
    if plugins is not None:
        loaded.append("--disable-plugin-autoload")
        for name in ("pytest_asyncexec.plugin", *plugins):
            loaded += ["-p", name]
    return pytester.runpytest_subprocess(*loaded, *arguments)


def verdict(result: pytest.RunResult, name: str = "Good") -> str:
    """The verdict line on a target, in one piece."""
    text = result.stdout.str()
    found = re.search(
        rf"^{re.escape(name)}: (?=\w+(?: \(\w+\))?, level)(.*(?:\n  \S.*)?)", text, re.M
    )
    assert found, f"no verdict on {name} in {shlex.quote(text)}"
    return " ".join(found[1].split())


def squeezed(result: pytest.RunResult) -> str:
    """The whole output in one line, whatever its width was."""
    return " ".join(result.stdout.str().split())


def checks_shown(result: pytest.RunResult) -> list[str]:
    """The ids of the suite's checks in the output, each once, in order."""
    found = re.findall(r"asyncexec/\w+\.py::\w+\[[^]]+\]", result.stdout.str())
    return list(dict.fromkeys(found))
