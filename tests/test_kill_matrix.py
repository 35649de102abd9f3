"""The kill matrix: every rule can fail, and says to each wrong executor what is wrong with it."""

from __future__ import annotations

import ast
import gc
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_asyncexec.broken import Wrong
from pytest_asyncexec.broken.__main__ import main
from pytest_asyncexec.broken.matrix import Trial, gaps, in_order, try_out
from pytest_asyncexec.reference_executor import ThreadExecutor

from pytest_asyncexec import broken
from pytest_asyncexec.contract.catalogue import RULES
from pytest_asyncexec.contract.verdict import RuleOutcome, judge

WRONG = in_order()

# Some are wrong by what they leave open, or running.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind}")
    for kind in (
        "ResourceWarning",
        "RuntimeWarning",
        "pytest.PytestUnraisableExceptionWarning",
        "pytest.PytestUnhandledThreadExceptionWarning",
    )
]


@pytest.fixture(scope="module", autouse=True)
def _what_was_there_before() -> Iterator[None]:
    """Not looked at again by `gc.collect`, which costs little then."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _left_to_nobody() -> Iterator[None]:
    """What a wrong executor leaves open is no fault of the test that comes next."""
    yield
    gc.collect()


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.rule}-{wrong.spec}")
def test_a_wrong_executor_fails_its_rule_with_its_message(wrong: Wrong) -> None:
    finding = try_out(wrong).finding

    assert finding.outcome == "failed", finding.message
    assert finding.message.startswith(str(RULES[wrong.rule]))
    assert wrong.says in finding.message
    # A broken SHOULD is told, and condemns nobody.
    must = RULES[wrong.rule].obligation == "MUST"
    assert (judge([finding]).verdict == "nonconformant") is must
    # What a reader needs who has no debugger.
    parts = ["  seen: ", "  required: ", "  likely cause: ", "  to see it without pytest:"]
    # Where the loop was blocked before anything could be recorded, the line is the evidence.
    blocked = "the event loop is blocked at" in finding.message
    if wrong.rule[:3] in {"LIF", "TIM", "RET", "CAN", "CNC"} and not blocked:
        parts.append("  history:")
    assert not [part for part in parts if part not in finding.message], finding.message


def test_every_rule_has_enough_wrong_executors_and_no_one_is_without_a_rule() -> None:
    assert not gaps(WRONG)


def test_every_wrong_executor_says_what_its_mistake_is() -> None:
    assert not [wrong.spec for wrong in WRONG if not wrong.mistake or not wrong.says]


def test_wrong_executors_need_nothing_but_what_the_wheel_brings() -> None:
    ours = {"pytest_asyncexec", "aiofiles", "cloudpickle", "hypothesis", "pytest"}
    wanted = {
        name.partition(".")[0]
        for path in broken.__path__
        for file in Path(path).glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    }

    assert wanted <= ours | sys.stdlib_module_names


class _Right(ThreadExecutor):
    """Right by every rule."""


def test_gaps_are_named() -> None:
    enough = [
        Wrong(type(f"Wrong{number}", (), {}), rule.id, "words")
        for rule in RULES.values()
        for number in range(2 if rule.obligation == "MUST" else 1)
    ]
    must = [wrong for wrong in enough if wrong.rule == "CON-01"]
    others = [wrong for wrong in enough if wrong.rule not in ("CON-01", "CON-06")]
    stranger = Wrong(_Right, "CON-99", "words")

    assert gaps(enough) == []
    assert gaps([*others, must[0], must[0], stranger]) == [
        f"{stranger.spec} breaks CON-99, and there is no such rule",
        "CON-01 (MUST) should have wrong executors: 2, and has 1",
        "CON-06 (SHOULD) should have wrong executors: 1, and has 0",
    ]


# ---- the command -------------------------------------------------------------------------------


def test_the_command_prints_a_row_for_each_and_the_total(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["ret-01", "CTX-03", "--jobs=1"]) == 0

    lines = capsys.readouterr().out.splitlines()
    rules = [line.split()[0] for line in lines if line.startswith(("RET", "CTX"))]
    assert set(rules) == {"RET-01", "CTX-03"}
    assert rules == sorted(rules, reverse=True)  # the order of the catalogue
    assert "RET-01  MUST    killed    AttemptsOnceMore: it was attempted 2 times" in "\n".join(
        lines
    )
    assert f"{len(rules)} wrong executors" in lines[0]
    assert lines[-1].startswith(f"{len(rules)} killed, 0 survived, in ")


def test_the_command_shows_on_a_terminal_which_one_is_under_way(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)

    assert main(["RET-01"]) == 0

    out = capsys.readouterr().out
    first, row = out.split("\n")[1].split("\r")[::2]
    assert re.fullmatch(r"\[1/\d+\] RET-01 AttemptsOnceMore \.\.\.", first)
    assert row.startswith("RET-01  MUST    killed    AttemptsOnceMore: ")


def test_the_command_exits_with_1_when_one_survives(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    survivor, wordless = (Wrong(_Right, "CON-06", says) for says in ("taken", "other words"))
    monkeypatch.setattr("pytest_asyncexec.broken._WRONG", [survivor, wordless])

    assert main(["CON"]) == 1

    text = " ".join(capsys.readouterr().out.split())
    assert "CON-06 SHOULD SURVIVED _Right: passed: no message (expected: taken)" in text
    assert "0 killed, 2 survived" in text


def test_a_finding_in_other_words_is_no_kill() -> None:
    wrong = Wrong(_Right, "CON-06", "the words")

    assert Trial(wrong, RuleOutcome("CON-06", "failed", "... the words ...")).killed
    assert not Trial(wrong, RuleOutcome("CON-06", "failed", "... words ...")).killed
    assert not Trial(wrong, RuleOutcome("CON-06", "could_not_run", "the words")).killed


def test_the_command_names_what_is_missing_in_the_whole_matrix(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_asyncexec.broken._WRONG", [])

    assert main([]) == 0
    assert (
        "missing: CON-01 (MUST) should have wrong executors: 2, and has 0"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["RET-22"], "has no rule and no chapter 'RET-22'.\n  Did you mean RET-02"),
        (["--jobs=0"], "'0' is no number of processes"),
        (["--job"], "argument -j/--jobs: expected one argument"),
    ],
)
def test_a_mistake_on_the_command_line_exits_with_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(arguments)

    assert exited.value.code == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.out == ""


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["--help"])

    assert exited.value.code == 0
    assert "python -m pytest_asyncexec.broken RET-02 CAN" in capsys.readouterr().out
