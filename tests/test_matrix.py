"""`python -m pytest_asyncexec matrix DIR...`: many executors beside each other."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pytest_asyncexec.__main__ import main
from pytest_asyncexec.contract.catalogue import CHAPTERS, RULES, contract_of
from pytest_asyncexec.evidence.record import RunRecord
from pytest_asyncexec.report.columns import ORDER, columns
from pytest_asyncexec.report.matrix import markdown, page
from runs import HERE, broken, run, target, target_of

Write = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path) -> Write:
    """Writes a report and gives its folder."""

    def write(name: str, record: RunRecord, **changed: object) -> str:
        place = tmp_path / name
        place.mkdir(parents=True)
        told = record.to_json() | changed
        (place / "report.json").write_text(json.dumps(told), encoding="utf-8")
        return str(place)

    return write


def rows(lines: list[str]) -> dict[str, list[str]]:
    """The cells of every row of the Markdown tables, by what stands in the first."""
    tables = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    return {head: cells for head, *cells in tables}


def of(number: int, chapter: str) -> str:
    """So many of the rules of a chapter, as the table says it."""
    return f"{number}/{sum(rule.chapter == chapter for rule in RULES.values())}"


def compared(*runs: RunRecord) -> list[str]:
    """The Markdown on runs whose reports lie in the folders a, b, ..."""
    lines = markdown(columns(zip(map(Path, "abcdef"), runs, strict=False)))
    return "\n".join(lines).splitlines()


def refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What is told of a comparison that cannot be made."""
    status = main(["matrix", *argv])

    told = capsys.readouterr()
    assert (status, told.out) == (2, "")
    return told.err.splitlines()


def test_a_table_of_the_targets_and_one_of_the_rules_that_are_open(
    folder: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    # Arrange: a report of two targets, and one of a third that keeps every rule.
    one = folder("one", run(target("Slurm", RET_02="failed", RET_03="failed"), target("Dask")))
    two = folder("two", run(target("Ssh", CON_06="failed", TIM_02="not_applicable")))

    status = main(["matrix", one, f"{two}/report.json"])

    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert (status, told.err) == (0, "")
    assert lines[0] == "## 3 executors by executor contract 1.1"
    found = rows(lines)
    good = ["✅"] * len(CHAPTERS)
    assert found["executor"][:5] == ["verdict", "level", "profile", "CON", "SER"]
    assert found["Slurm"] == [
        *("nonconformant", "core", "default"),
        *(*good[:6], f"❌ {of(2, 'RET')}", *good[7:]),
    ]
    assert found["Dask"] == ["conformant", "hardened", "default", *good]
    assert found["Ssh"] == [
        *("conformant", "core", "default"),
        *(f"⚠️ {of(1, 'CON')}", *good[1:5], f"➖ {of(1, 'TIM')}", *good[6:]),
    ]
    assert f"### 4 of {len(RULES)} rules that not all of them passed" in lines
    assert found["rule"] == ["", "Slurm", "Dask", "Ssh", "what it says"]
    assert found["CON-06"] == ["SHOULD", "✅", "✅", "⚠️", RULES["CON-06"].sentence]
    assert found["RET-02"] == ["MUST", "❌", "✅", "✅", RULES["RET-02"].sentence]
    assert found["TIM-02"] == ["MUST", "✅", "✅", "➖", RULES["TIM-02"].sentence]
    assert [head for head in found if head in RULES] == ["CON-06", "TIM-02", "RET-02", "RET-03"]
    for sign in ORDER:
        assert f"{sign.mark} {sign.word}" in told.out
    assert "fair" not in told.out


def test_a_chapter_is_shown_as_the_worst_of_its_rules() -> None:
    found = rows(
        compared(
            run(target("A", STR_01="not_run", STR_02="could_not_run", STR_10="failed")),
            run(target("B", STR_01="waived", STR_02="waived", STR_10="not_applicable")),
            run(target("C", STR_01="waived", STR_02="failed", STR_10="failed")),
        )
    )

    one, two = of(1, "STR"), of(2, "STR")
    assert [found[name][7] for name in "ABC"] == [f"⬜ {one}", f"🩹 {two}", f"❌ {one}"]


def test_nothing_open_is_said_in_a_sentence() -> None:
    lines = compared(run(), run(target("Other")))

    assert lines[-1] == "Every one of them passed every rule."
    assert compared(run())[0] == "## 1 executor by executor contract 1.1"


def test_one_name_in_several_reports_goes_by_the_folders() -> None:
    runs = [run(), run(), run(), run(target("Other"))]
    folders = [Path("/r/x/out"), Path("/r/y/out"), Path("/r/last"), Path("/r/other")]

    names = [column.name for column in columns(zip(folders, runs, strict=True))]

    assert names == ["MyExecutor (x/out)", "MyExecutor (y/out)", "MyExecutor (last)", "Other"]


def test_files_of_other_names_in_one_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / "v1.json", tmp_path / "v2.json"]
    for file in files:
        file.write_text(json.dumps(run().to_json()), encoding="utf-8")

    assert main(["matrix", *map(str, files)]) == 0
    found = rows(capsys.readouterr().out.splitlines())
    assert {"MyExecutor (v1.json)", "MyExecutor (v2.json)"} <= found.keys()


def test_what_makes_a_comparison_unfair_is_said_under_it() -> None:
    # Arrange: three runs that differ in how much was tried, demanded and by what.
    other = replace(HERE, kit="0.2.0", kit_digest="f" * 64)
    lines = compared(
        run(target("A"), profile="quick"),
        run(target("B", demanded="core"), profile="thorough"),
        replace(run(target("C")), environment=other),
    )

    found = rows(lines)
    assert [found[name][2] for name in "ABC"] == ["quick", "thorough", "default"]
    assert [found[name][1] for name in "ABC"] == [
        "hardened",
        "hardened (core demanded)",
        "hardened",
    ]
    assert [line for line in lines if line.startswith(">")] == [
        "> Not quite a fair comparison: different profiles (quick: A; thorough: B; default: C), "
        "and a thorough run tries more than a quick one.",
        "> Not quite a fair comparison: different demanded levels (none: A, C; core: B), and a "
        "verdict speaks of the rules up to the level that was demanded.",
        "> Not quite a fair comparison: different kits (0.1.0 (eeeeeeeeeeee): A, B; 0.2.0 "
        "(ffffffffffff): C), and their checks may differ.",
    ]


def test_a_selection_is_noted_and_opens_no_rules() -> None:
    part = run(target("Part", CON_01="not_run", RET_02="failed"), selection=True)
    whole = run(target("Whole", SEC_01="not_run"))

    lines = compared(part, whole)

    found = rows(lines)
    assert found["Part"][2:4] == ["default, a selection", f"⬜ {of(1, 'CON')}"]
    # What the selection left out says nothing; what did not run in the whole suite does.
    assert [head for head in found if head in RULES] == ["RET-02", "SEC-01"]
    assert (
        "> Of Part only a selection of the rules was judged: what was not run has not passed."
        in lines
    )


def test_nothing_open_in_a_selection_is_said_of_what_was_judged() -> None:
    part = run(target("Part", CON_01="not_run"), selection=True)

    assert compared(part, run())[-1] == "Every one of them passed every rule that was judged."
    assert "<p>Every one of them passed every rule that was judged.</p>" in page(
        columns([(Path("part"), part)])
    )


def test_a_hostile_name_is_text_and_nothing_else() -> None:
    name = "<b>|`x`|\n*y* [z](http://e) @all \x1b[2J\u202e__w__ snake_case"

    lines = compared(run(target(name, CON_01="failed")))
    html = page(columns([(Path("a"), run(target(name)))]))

    told = next(line for line in lines if "nonconformant" in line)
    assert told.startswith(
        r"| \<b\>\|`x`\| \*y\* \[z\](http://e) \@all \\x1b\[2J\\u202e\_\_w\_\_ snake_case | nonconf"
    )
    assert compared(run(target("a`b|c")))[4].startswith(r"| a\`b\|c | conformant")
    assert "<b>" not in html
    assert "&lt;b&gt;" in html
    assert "\x1b" not in html


def test_words_where_the_encoding_has_no_signs(folder: Write) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest_asyncexec",
            "matrix",
            folder("a", run(target(CON_01="failed"))),
        ],
        capture_output=True,
        env=environment,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, b"")
    told = done.stdout.decode("cp1252").splitlines()
    assert rows(told)["MyExecutor"][3:5] == [f"failed {of(1, 'CON')}", "passed"]
    assert rows(told)["CON-01"][:2] == ["MUST", "failed"]
    assert "\\u" not in "".join(told)


class Outline(HTMLParser):
    """The tags of a page, and whether they are closed as they were opened."""

    VOID = ("meta", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_semantic_and_self_contained(
    folder: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plugins.html"
    reports = [folder("a", run(target("A", RET_02="failed"))), folder("b", run(target("B")))]

    assert main(["matrix", *reports, "--html", str(file)]) == 0

    assert capsys.readouterr().out.startswith("## 2 executors")
    html = file.read_text(encoding="utf-8")
    outline = Outline()
    outline.feed(html)
    tags = [tag for tag, _ in outline.seen]
    assert outline.open == []
    assert tags.count("table") == 2
    assert not {"script", "link", "img", "iframe"} & set(tags)
    assert not re.search(r"https?://|@import|url\(", html)
    assert {attributes.get("scope") for tag, attributes in outline.seen if tag == "th"} == {
        "col",
        "row",
    }
    assert "<title>2 executors by executor contract 1.1</title>" in html
    assert "prefers-color-scheme: dark" in html
    assert 'RET-02 MUST</th>\n<td class="bad">' in html
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["plugins.html"]


def test_a_page_that_cannot_be_written_is_an_error_and_leaves_nothing(
    folder: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = folder("a", run())
    before = sorted(tmp_path.rglob("*"))

    # In a folder that is not there; under the name of a folder; below a file; over a report.
    for path, why in (
        (tmp_path / "no" / "x.html", "cannot be written: No such file or directory."),
        (tmp_path / "a", "cannot be written: Is a directory."),
        (Path(report, "report.json", "x.html"), "cannot be written: Not a directory."),
        (Path(report, "report.json"), "is one of the reports."),
    ):
        told = refused([report, "--html", str(path)], capsys)
        assert told[0] == f"error: --html {path} {why}"

    assert sorted(tmp_path.rglob("*")) == before
    assert main(["matrix", report]) == 0


def test_a_page_that_was_there_is_replaced_whole(
    folder: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.html"
    file.write_text("the page of yesterday", encoding="utf-8")

    # A comparison that is refused does not touch it.
    assert refused([str(tmp_path / "none"), "--html", str(file)], capsys)
    assert file.read_text(encoding="utf-8") == "the page of yesterday"

    assert main(["matrix", folder("a", run()), "--html", str(file)]) == 0
    assert "yesterday" not in file.read_text(encoding="utf-8")


def test_one_report_twice_is_refused(
    folder: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = folder("a", run())
    again = f"{tmp_path}/a/../a/report.json"

    assert refused([report, folder("b", run()), again], capsys) == [
        f"error: one report is given twice: {report} and {again}.",
        "  Name each report once.",
    ]


def test_unequal_contracts_are_refused_with_their_names(
    folder: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    new, old = folder("new", run()), folder("old", run(), contract="0.9")

    assert refused([new, old], capsys) == [
        "error: reports by different versions of the contract cannot be compared.",
        f"  {Path(new, 'report.json')}: contract 1.1",
        f"  {Path(old, 'report.json')}: contract 0.9",
        "  Judge all of them again by one contract: --asyncexec-contract=VERSION.",
    ]


def test_reports_of_an_earlier_contract_are_compared(
    folder: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    worse = run(target_of(broken("STR-05"), contract="1.0"), contract="1.0")
    reports = [folder("a", run(contract="1.0")), folder("b", worse)]

    assert main(["matrix", *reports]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "## 2 executors by executor contract 1.0"
    assert f"### 1 of {len(contract_of('1.0').rules)} rules that not all of them passed" in lines


def test_the_two_contracts_of_this_kit_are_not_mixed(
    folder: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused([folder("a", run(contract="1.0")), folder("b", run())], capsys)

    assert said[0].endswith("different versions of the contract cannot be compared.")
    assert said[-1] == "  Judge all of them again by one contract: --asyncexec-contract=VERSION."


def test_a_contract_that_this_kit_does_not_know_is_refused(
    folder: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = [folder(name, run(), contract="0.9") for name in "ab"]

    assert "this kit has no contract '0.9'; it knows 1.0, 1.1" in refused(reports, capsys)[0]


def test_one_target_twice_in_a_report_is_refused(
    folder: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    report = folder("a", run(target(), target(CON_01="failed")))

    told = refused([report], capsys)

    assert told[0] == f"error: {Path(report, 'report.json')} tells of MyExecutor 2 times."


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is no JSON: "),
        (b'{"contract": "1.1", "targets": [', "is no JSON: "),
        (b"\xff\xfe", "is no JSON: "),
        (b"[" * 100_000, "is no JSON: "),
        (b"[]", "is no report.json of pytest-asyncexec: "),
        (b'{"contract": 1}', "is no report.json of pytest-asyncexec: "),
        (b'{"contract": "1.1"}', "is no report.json of pytest-asyncexec: "),
    ],
)
def test_a_file_that_is_no_report_is_refused(
    content: bytes, told: str, folder: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report.json"
    file.write_bytes(content)

    assert refused([folder("a", run()), str(tmp_path)], capsys)[0].startswith(
        f"error: {file} {told}"
    )


def test_a_report_that_was_changed_is_refused(
    folder: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = folder("a", run(target(CON_01="failed")))
    file = Path(report, "report.json")
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"outcome": "failed"', '"outcome": "passed"'), encoding="utf-8")

    assert "it was changed after it was written" in refused([report], capsys)[0]


def test_paths_that_lead_nowhere_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Neither a folder without a report, nor nothing, nor a name that no file can have.
    assert refused([str(tmp_path)], capsys)[0] == f"error: {tmp_path / 'report.json'} is not there."
    assert refused([f"{tmp_path}/x"], capsys)[0] == f"error: {tmp_path / 'x'} is not there."
    assert "cannot be read: File name too long." in refused(["x" * 5000], capsys)[0]


def test_as_a_user_calls_it(folder: Write, tmp_path: Path) -> None:
    reports = [folder("a", run(target("A"))), folder("b", run(target("B", SER_01="failed")))]

    done = subprocess.run(
        [sys.executable, "-m", "pytest_asyncexec", "matrix", *reports, "--html", "x.html"],
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, b"")
    found = rows(done.stdout.decode().splitlines())
    assert found["A"][:2] == ["conformant", "hardened"]
    assert found["B"][:2] == ["nonconformant", "none"]
    assert (tmp_path / "x.html").stat().st_size > 1000
