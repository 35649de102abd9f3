"""What is tried is the same in every run, whatever the user has told hypothesis."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

DRAWS = """
import hashlib
import os
import pathlib

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from pytest_asyncexec.conformance.instruments.strategies import for_all, json_values, play

def test_draws():
    drawn = []
    for_all(json_values, drawn.append, examples=60)
    shrunk = []

    def refuse(value):
        shrunk.append(value)
        assert value < 1000

    try:
        for_all(st.integers(), refuse, examples=30)
    except AssertionError:
        pass

    class Machine(RuleBasedStateMachine):
        @rule(value=json_values)
        def step(self, value):
            drawn.append(value)

    play(Machine, examples=10, steps=8)
    digest = hashlib.sha256(repr((drawn, shrunk)).encode("utf-8", "surrogatepass")).hexdigest()
    pathlib.Path(os.environ["DRAWN"]).write_text(f"{len(drawn)} {len(shrunk)} {digest}")
"""

PROFILE = """
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.database import DirectoryBasedExampleDatabase

settings.register_profile("users", max_examples={examples}, derandomize=False, deadline=1,
    database=DirectoryBasedExampleDatabase("examples"), stateful_step_count=1,
    phases=[Phase.reuse], verbosity=Verbosity.debug, print_blob=True,
    suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("users")
"""

OTHERS = """
import random
import words
from hypothesis import given, strategies as st

@given(st.integers(), st.text())
def test_own(number, text):
    assert words.WORDS

random.seed(7)
"""


@pytest.mark.parametrize(
    ("files", "arguments", "environment"),
    [
        ({}, ["--hypothesis-seed=1"], {}),
        ({}, ["--hypothesis-verbosity=debug", "--hypothesis-show-statistics"], {}),
        ({}, ["-p", "no:hypothesispytest"], {}),
        ({"conftest": PROFILE.format(examples=1)}, [], {}),
        ({"conftest": PROFILE.format(examples=10000)}, ["--hypothesis-profile=users"], {}),
        ({"test_before": OTHERS, "words": "WORDS = ['a word', 271828, 2.25, -999]"}, [], {}),
        ({}, ["--hypothesis-profile=ci"], {"CI": "1"}),
        ({}, [], {"HYPOTHESIS_EXPERIMENTAL_OBSERVABILITY": "1"}),
        ({}, [], {"HYPOTHESIS_STORAGE_DIRECTORY": "elsewhere"}),
    ],
    ids=[
        *("seed", "verbosity", "without plugin", "few", "many"),
        *("other tests", "ci", "observability", "storage"),
    ],
)
def test_the_same_values_are_drawn(
    tmp_path: Path,
    usual: str,
    files: dict[str, str],
    arguments: list[str],
    environment: dict[str, str],
) -> None:
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")

    assert _drawn(tmp_path, *arguments, **environment) == usual


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is drawn when the user has told nothing."""
    return _drawn(tmp_path_factory.mktemp("usual"))


def _drawn(folder: Path, *arguments: str, **environment: str) -> str:
    (folder / "test_draws.py").write_text(DRAWS, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=folder,
        env=os.environ | {"DRAWN": str(folder / "drawn")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return (folder / "drawn").read_text(encoding="utf-8")


#: The example of a test that fails is kept in the folder of whoever has written the test.
USER = """
import sys
from pathlib import Path

from hypothesis import configuration, given, settings, strategies as st
from pytest_asyncexec.conformance.instruments.strategies import for_all, texts

if sys.argv[1:]:
    configuration.set_hypothesis_home_dir(sys.argv[1])
for_all(texts, lambda text: None, examples=2)
assert not list(Path().iterdir())

@settings.get_profile("default")  # that of a continuous integration keeps none
@given(st.integers())
def fails(number):
    raise ValueError

try:
    fails()
except ValueError:
    print(*Path().iterdir())
"""


@pytest.mark.parametrize(
    ("arguments", "environment", "folder"),
    [
        ([], {}, ".hypothesis"),
        ([], {"HYPOTHESIS_STORAGE_DIRECTORY": "from-the-environment"}, "from-the-environment"),
        (["told"], {"HYPOTHESIS_STORAGE_DIRECTORY": "from-the-environment"}, "told"),
    ],
)
def test_the_users_own_folder_is_theirs_again(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], folder: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", USER, *arguments],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.split() == [folder], done.stderr
