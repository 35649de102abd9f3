"""`python -m pytest_asyncexec diff OLD NEW`: regressions between two reports."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from pytest_asyncexec.__main__ import main
from pytest_asyncexec.contract.verdict import OUTCOMES, Outcome, judge
from pytest_asyncexec.evidence.record import RunRecord, TargetRecord
from pytest_asyncexec.report.comparison import KINDS, Kind, compare
from runs import HERE, broken, run, target, target_of


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    """Writes a report and gives its folder."""

    def write(name: str, record: RunRecord, **changed: object) -> str:
        place = tmp_path / name
        place.mkdir()
        told = record.to_json() | changed
        (place / "report.json").write_text(json.dumps(told), encoding="utf-8")
        return str(place)

    return write


def told(old: RunRecord, new: RunRecord) -> list[str]:
    """All differences as they are printed, without the padding."""
    return [" ".join(str(difference).split()) for difference in compare(old, new)]


def inherited(record: TargetRecord, rule_id: str) -> TargetRecord:
    """The target, one rule of which only the inherited `execute` breaks."""
    outcomes = [replace(o, inherited=o.rule_id == rule_id) for o in record.verdict.outcomes]
    return replace(record, verdict=judge(outcomes))


def test_the_same_run_twice_has_no_differences(
    folder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = folder("old", run()), folder("new", run())

    assert main(["diff", old, new]) == 0
    assert capsys.readouterr() == ("no differences\n", "")


def test_regressions_come_first_and_are_an_exit_code(
    folder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    # Arrange: one rule became better, one worse, and one is open in another way.
    old = folder("old", run(target(CON_06="failed", SER_01="not_run")))
    new = folder("new", run(target(RET_02="failed", SER_01="could_not_run")))

    # Act: by the folder, and by the file in it.
    status = main(["diff", old, f"{new}/report.json"])

    assert status == 1
    assert capsys.readouterr().out.splitlines() == [
        "regression   MyExecutor: RET-02 MUST passed -> failed: what was seen of RET-02",
        "improvement  MyExecutor: CON-06 SHOULD failed -> passed",
        "changed      MyExecutor: verdict incomplete -> nonconformant",
        "changed      MyExecutor: SER-01 MUST not run -> could not run: the reason of SER-01",
        "1 regression, 1 improvement, 2 other changes",
    ]


def test_without_regressions_the_exit_code_is_0(
    folder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    old = folder("old", run(target(RET_02="failed")))
    new = folder("new", run(target()))

    assert main(["diff", old, new]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "improvement  MyExecutor: RET-02 MUST failed -> passed",
        "changed      MyExecutor: verdict nonconformant -> conformant",
        "changed      MyExecutor: level core -> hardened",
        "no regressions, 1 improvement, 2 other changes",
    ]


@pytest.mark.parametrize("old", OUTCOMES)
@pytest.mark.parametrize("new", OUTCOMES)
def test_every_pair_of_outcomes(old: Outcome, new: Outcome) -> None:
    # A waiver mends nothing, and what fails now is news whatever was known before.
    settled = ("passed", "not_applicable", "waived")
    mended = ("passed", "not_applicable")
    order = ("passed", "not_applicable", "waived", "could_not_run", "not_run", "failed")
    expected: list[Kind] = []
    if (old in settled or new == "failed") and order.index(new) > order.index(old):
        expected = ["regression"]
    elif new in mended and order.index(new) < order.index(old):
        expected = ["improvement"]
    elif old != new:
        expected = ["changed"]

    found = compare(run(target(RET_02=old)), run(target(RET_02=new)))

    assert [difference.kind for difference in found if "RET-02" in difference.text] == expected


def test_kinds_are_all_in_order() -> None:
    assert get_args(Kind) == KINDS


def test_a_target_that_is_gone_is_a_regression_and_a_new_one_is_none() -> None:
    old = run(target("Kept"), target("Gone", CON_06="failed"))
    new = run(target("Kept"), target("New", CON_01="failed"))

    assert told(old, new) == [
        "regression Gone: is not judged any more; it was conformant, level hardened",
        "changed New: was not judged before; it is nonconformant, level none",
    ]


def test_a_level_that_changed_is_told() -> None:
    assert told(run(target(TIM_02="failed")), run(target(CON_01="failed"))) == [
        "regression MyExecutor: CON-01 MUST passed -> failed: what was seen of CON-01",
        "improvement MyExecutor: TIM-02 MUST failed -> passed",
        "changed MyExecutor: level core -> none",
    ]


def test_a_rule_that_is_broken_by_inheritance_only_is_told() -> None:
    own = target(RET_02="failed")

    assert told(run(own), run(inherited(own, "RET-02"))) == [
        "changed MyExecutor: RET-02 MUST failed -> failed (inherited): what was seen of RET-02"
    ]


def test_what_was_judged_otherwise_is_told_and_is_no_regression(
    folder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    other = replace(
        HERE,
        kit="0.2.0",
        kit_digest="f" * 64,
        python="3.14.0",
        platform="Darwin 25 arm64",
        hypothesis="7.0.0",
        finished="2027-01-01T00:00:00Z",
        url="https://example.org/run/2",
    )
    now = replace(run(target(demanded="core"), profile="quick"), environment=other)

    assert main(["diff", folder("old", run()), folder("new", now)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "run          profile default -> quick",
        "run          level demanded none -> core",
        "run          kit 0.1.0 (eeeeeeeeeeee) -> 0.2.0 (ffffffffffff)",
        "run          Python 3.11.7 -> 3.14.0",
        "run          platform Linux 6.1 x86_64 -> Darwin 25 arm64",
        "run          hypothesis 6.170.0 -> 7.0.0",
        "no regressions",
    ]


def test_a_hostile_name_stays_in_its_line(folder: Any, capsys: pytest.CaptureFixture[str]) -> None:
    name = "My\nno differences\x1b[2J\u202eExecutor"
    old, new = folder("old", run(target(name))), folder("new", run(target(name, CON_06="failed")))

    assert main(["diff", old, new]) == 1
    assert capsys.readouterr().out.splitlines() == [
        r"regression   My no differences\x1b[2J\u202eExecutor: CON-06 SHOULD passed -> failed: "
        "what was seen of CON-06",
        "1 regression",
    ]


@pytest.mark.parametrize("name", ["OLD", "NEW"])
def test_a_selection_is_not_compared(
    name: str, folder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    part = run(target(CON_01="not_run"), selection=True)
    old = folder("old", part if name == "OLD" else run())
    new = folder("new", part if name == "NEW" else run())

    assert main(["diff", old, new]) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.startswith(
        f"error: {name}, {old if name == 'OLD' else new}, is of a run of a s"
    )
    assert "Run the whole suite, without -k, -m, ids and the like" in seen.err


def test_a_report_that_is_not_there(
    folder: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", str(tmp_path / "nothing"), folder("new", run())]) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.startswith(f"error: {tmp_path / 'nothing'} is not there.\n")


def test_reports_of_different_contracts_are_both_named(
    folder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = folder("old", run(), contract="0.9"), folder("new", run())

    assert main(["diff", old, new]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: reports by different versions of the contract cannot be compared.",
        f"  {Path(old, 'report.json')}: contract 0.9",
        f"  {Path(new, 'report.json')}: contract 1.1",
        "  Judge all of them again by one contract: --asyncexec-contract=VERSION.",
    ]


def test_the_two_contracts_of_this_kit_are_not_mixed(
    folder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = folder("old", run(contract="1.0")), folder("new", run())

    assert main(["diff", old, new]) == 2
    said = capsys.readouterr().err
    assert f"  {Path(old, 'report.json')}: contract 1.0\n" in said
    assert f"  {Path(new, 'report.json')}: contract 1.1\n" in said
    assert said.endswith("by one contract: --asyncexec-contract=VERSION.\n")


def test_reports_of_an_earlier_contract_are_compared(
    folder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    worse = run(target_of(broken("STR-05"), contract="1.0"), contract="1.0")
    old, new = folder("old", run(contract="1.0")), folder("new", worse)

    assert main(["diff", old, new]) == 1
    assert "STR-05 MUST passed -> failed" in capsys.readouterr().out


def test_as_a_user_calls_it(folder: Any) -> None:
    old, new = folder("old", run()), folder("new", run(target(STR_05="failed")))

    done = subprocess.run(
        [sys.executable, "-m", "pytest_asyncexec", "diff", old, new],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        "regression   MyExecutor: STR-05 MUST passed -> failed: what was seen of STR-05",
        "changed      MyExecutor: verdict conformant -> nonconformant",
        "changed      MyExecutor: level hardened -> none",
        "1 regression, 2 other changes",
    ]
