"""The main job as a new user does it: one command in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_asyncexec.contract.catalogue import RULES


def _judge(folder: Path, target: str, *options: str) -> subprocess.CompletedProcess[str]:
    home = folder / "home"
    work = folder / "work"
    home.mkdir(exist_ok=True)
    work.mkdir(exist_ok=True)
    tests = str(Path(__file__).parent)
    environment = os.environ | {"HOME": str(home), "USERPROFILE": str(home), "PYTHONPATH": tests}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    command += [f"--asyncexec-plugin={target}", *options]
    return subprocess.run(
        command, cwd=work, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def conformant(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("user")
    run = _judge(folder, "pytest_asyncexec.reference_executor:LocalExecutor")
    assert run.returncode == 0, run.stdout
    return folder, run.stdout


def test_the_local_executor_is_conformant(conformant: tuple[Path, str]) -> None:
    assert f"LocalExecutor: conformant, level hardened: {len(RULES)} passed" in conformant[1]


def test_nothing_is_left_behind(conformant: tuple[Path, str]) -> None:
    folder, _ = conformant

    assert list((folder / "work").iterdir()) == []
    assert list((folder / "home").iterdir()) == []


def test_a_wrong_executor_is_nonconformant(tmp_path: Path) -> None:
    quick = "--asyncexec-profile=quick"
    run = _judge(tmp_path, "pytest_asyncexec.broken.retries:NeverRetries", quick)

    assert run.returncode == 1
    assert "NeverRetries: nonconformant" in run.stdout
    assert "RET-02 (MUST, resilient): For every `n`" in run.stdout


def test_the_verdict_does_not_depend_on_the_users_hypothesis_seed(tmp_path: Path) -> None:
    quick = ["--asyncexec-profile=quick", "-q"]
    one = _judge(tmp_path, "right.makes:SlotsExecutor", "--hypothesis-seed=1", *quick)
    two = _judge(tmp_path, "right.makes:SlotsExecutor", "--hypothesis-profile=ci", *quick)

    assert one.returncode == two.returncode == 0
    assert _verdict(one.stdout) == _verdict(two.stdout) != ""


def _verdict(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if line.startswith("SlotsExecutor:"))
