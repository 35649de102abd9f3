"""`python -m pytest_asyncexec`: what is common to its commands, and `rules`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_asyncexec import __version__
from pytest_asyncexec.__main__ import main
from pytest_asyncexec.contract.catalogue import CONTRACT_VERSION
from pytest_asyncexec.report.catalogue import catalogue

COMMANDS = ("verify", "matrix", "diff", "rules")

MODULE = [sys.executable, "-m", "pytest_asyncexec"]


def refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What argparse prints of a command line that it refuses, without the usage."""
    with pytest.raises(SystemExit) as ended:
        main(argv)

    told = capsys.readouterr()
    assert ended.value.code == 2
    assert told.out == ""
    assert told.err.startswith("usage: python -m pytest_asyncexec")
    return told.err.splitlines()[-1]


def test_help_names_every_command_and_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])

    told = capsys.readouterr().out
    assert ended.value.code == 0
    for command in COMMANDS:
        assert f"\n    {command} " in told
        assert f"\n  python -m pytest_asyncexec {command} " in told


def test_the_version_is_told_of_the_package_and_of_the_contract(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert told == f"pytest-asyncexec {__version__}, executor contract {CONTRACT_VERSION}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_shows_examples_and_exit_codes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])

    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"examples:\n  python -m pytest_asyncexec {command}" in told
    assert "\nexit status: 0 " in told


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "a command is missing. The commands are verify, matrix, diff, rules."),
        (["matrx", "a"], "there is no command 'matrx'. Did you mean matrix?"),
        (["RET-02"], "there is no command 'RET-02'. The commands are verify, matrix, diff, rules."),
        (["--verbose"], "a command is missing. The commands are verify, matrix, diff, rules."),
        (["--verbose", "rules"], "unknown: --verbose."),
        (["matrix"], "the following arguments are required: DIR"),
        (["matrix", "a", "--htlm=b"], "unknown: --htlm=b. Did you mean --html?"),
        (["verify", "a", "--artefact", "b"], "unknown: --artefact b. Did you mean --artifact?"),
        (["diff", "a"], "the following arguments are required: NEW"),
        (["diff", "a", "b", "c"], "unknown: c."),
        (["rules", "RET", "CAN"], "unknown: CAN."),
    ],
)
def test_a_wrong_command_line_is_refused_with_a_hint(
    argv: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(argv, capsys).endswith(f"error: {told}")


@pytest.mark.parametrize("word", ["", "RET", "ret-02"])
def test_rules_are_printed_as_pytest_prints_them(
    word: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")

    status = main(["rules", word] if word else ["rules"])

    told = capsys.readouterr()
    assert (status, told.err) == (0, "")
    assert told.out.splitlines() == "\n".join(catalogue(word, 100)).splitlines()


def test_an_unknown_rule_is_told_with_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["rules", "RET-20"])

    told = capsys.readouterr()
    assert (status, told.out) == (2, "")
    assert told.err.startswith("error: the contract has no rule and no chapter 'RET-20'.\n")
    assert "Did you mean RET-" in told.err


def test_rules_as_a_user_calls_it_on_a_terminal_of_another_encoding() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}

    done = subprocess.run(
        [*MODULE, "rules", "CAN-01"], capture_output=True, env=environment, timeout=60, check=False
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"CAN-01, MUST, level resilient")


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    # The pipe is closed by its reader before anything is written to it.
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:
        done = subprocess.run(
            [*MODULE, "rules"], stdout=pipe, stderr=subprocess.PIPE, timeout=60, check=False
        )

    assert done.stderr == b""
    assert done.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_output_that_cannot_be_written_is_told() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*MODULE, "rules"], stdout=full, stderr=subprocess.PIPE, timeout=60, check=False
        )

    assert done.stderr == b"error: the output cannot be written: No space left on device.\n"
    assert done.returncode == 2


def test_an_interrupt_is_quiet(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("pytest_asyncexec.commands.rules.run", interrupted)

    assert main(["rules"]) == 130
    assert capsys.readouterr() == ("", "")
