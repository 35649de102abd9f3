"""Two contracts side by side: what each holds is frozen, and a run knows the rules of one alone."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import small_suite
from pytest_asyncexec.contract.catalogue import (
    CONTRACT_VERSION,
    RULES,
    VERSIONS,
    Contract,
    UnknownContract,
    UnknownRule,
    contract_of,
    look_up,
)
from pytest_asyncexec.contract.frozen import DIGESTS, digest_of
from pytest_asyncexec.contract.rule import CANDIDATE, Rule
from pytest_asyncexec.evidence import schemas
from pytest_asyncexec.report import changes_page
from small_suite import GOOD, checks_shown, executor, run, squeezed, verdict

pytest_plugins = ["pytester"]

#: Makes one rule of the small suite one that came with the newest contract.
_REDATED = """
import dataclasses
catalogue.RULES["RET-01"] = dataclasses.replace(catalogue.RULES["RET-01"], since="1.1")
"""
_RET = "asyncexec/test_beta.py::test_RET_01_must_attempt_once[Good]"


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setattr(small_suite, "PLUGIN", small_suite.PLUGIN + _REDATED)
    small_suite.install(pytester)
    return pytester


# ---- the sets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_a_contract_is_what_it_was_when_it_was_made(version: str) -> None:
    frozen = DIGESTS[version]
    if not frozen and version == CONTRACT_VERSION:
        return  # still in the making

    assert digest_of(contract_of(version)) == frozen, (
        f"contract {version} is frozen, and its rules are not what they were. An id, an "
        "obligation, a level or a sentence was changed, or a rule came or went: undo that, or "
        "give a new rule, under an id of its own, the `since` of a version that is not out yet. "
        "To see what was changed: git log -p pytest_asyncexec/contract/chapters"
    )


def test_every_version_but_the_newest_is_frozen() -> None:
    assert list(DIGESTS) == list(VERSIONS)
    assert all(DIGESTS[version] for version in VERSIONS[:-1])


def test_every_rule_came_with_a_version_and_stays() -> None:
    assert {rule.since for rule in RULES.values()} <= {*VERSIONS, CANDIDATE}
    sets = [set(contract_of(version).rules) for version in VERSIONS]
    assert all(older <= newer for older, newer in itertools.pairwise(sets))
    assert sets[-1] | set(contract_of().candidates) == set(RULES)


def _changed(**parts: str) -> Contract:
    rules = dict(contract_of("1.0").rules)
    old = rules["RET-02"]
    told = {name: getattr(old, name) for name in Rule.__dataclass_fields__}
    return Contract("1.0", {**rules, "RET-02": Rule(**{**told, **parts})})


def test_what_is_normative_is_frozen_and_nothing_else() -> None:
    known = digest_of(contract_of("1.0"))

    assert digest_of(_changed(sentence="A task is attempted now and then.")) != known
    assert digest_of(_changed(obligation="SHOULD")) != known
    assert digest_of(_changed(level="hardened")) != known
    assert digest_of(_changed(why="Better words.", how="More sharply.", source="")) == known


def test_an_unknown_contract_is_named_beside_those_that_are_known() -> None:
    with pytest.raises(UnknownContract, match=r"no contract '1\.2'; it knows 1\.0, 1\.1"):
        contract_of("1.2")


def test_a_rule_of_another_contract_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    older = Contract("1.0", {i: rule for i, rule in RULES.items() if rule.chapter != "CTX"})

    with pytest.raises(UnknownRule, match=r"CTX came with contract 1\.0"):
        look_up("ctx", older)
    assert older.why_not("CTX-01") == "CTX-01 came with contract 1.0, and this is contract 1.0"
    assert older.why_not("CON-01") == older.why_not("tests") == ""


# ---- a run -------------------------------------------------------------------------------------


def test_the_newest_contract_is_judged_by_where_none_is_named(suite: pytest.Pytester) -> None:
    result = run(suite, GOOD, "-v")

    assert result.ret == 0
    result.stdout.fnmatch_lines(["executor contract 1.1: 4 rules", "*= executor contract 1.1 =*"])
    assert _RET in checks_shown(result)


@pytest.mark.parametrize("where", ["option", "configuration"])
def test_the_rules_of_another_contract_are_neither_judged_nor_told(
    suite: pytest.Pytester, where: str
) -> None:
    odd = executor(suite, RET_01="fail")
    asked = ["--asyncexec-contract=1.0"]
    if where == "configuration":
        suite.makeini("[pytest]\nasyncexec_contract = 1.0\n")
        asked = []

    result = run(suite, odd, "-v", "--asyncexec-report=report", *asked)

    assert result.ret == 0
    result.stdout.fnmatch_lines(["executor contract 1.0: 3 rules", "*= executor contract 1.0 =*"])
    assert verdict(result, "Odd").startswith("conformant, level hardened: 3 passed, 0 failed")
    assert "RET-01" not in result.stdout.str()
    report = json.loads((suite.path / "report/report.json").read_text(encoding="utf-8"))
    assert report["contract"] == "1.0"
    assert [r["id"] for r in report["targets"][0]["rules"]] == ["CON-01", "CON-06", "LIF-03"]
    certificate = json.loads((suite.path / "report/Odd.intoto.json").read_text(encoding="utf-8"))
    assert certificate["predicate"]["pytest_asyncexec"]["contract"] == "1.0"
    assert "RET-01" not in json.dumps(certificate)
    for name in ("report.html", "summary.md", "badge.json"):
        told = (suite.path / "report" / name).read_text(encoding="utf-8").lower()
        assert "executor contract 1.0" in told
        assert "ret-01" not in told


def test_with_workers_too(suite: pytest.Pytester) -> None:
    result = run(suite, GOOD, "--asyncexec-contract=1.0", "-n", "2", plugins=["xdist"])

    assert result.ret == 0
    assert verdict(result).startswith("conformant, level hardened: 3 passed, 0 failed")


def test_a_check_that_is_taken_away_is_still_missed(suite: pytest.Pytester) -> None:
    suite.makeconftest(
        "def pytest_collection_modifyitems(items):\n"
        "    items[:] = [item for item in items if 'LIF_03' not in item.name]\n"
    )

    result = run(suite, GOOD, "--asyncexec-contract=1.0")

    assert result.ret == 1
    assert verdict(result).startswith("incomplete, level none: 2 passed, 0 failed")
    assert "RET-01" not in result.stdout.str()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([_RET], f"{_RET}: RET-01 came with contract 1.1, and this is contract 1.0."),
        (["-k", "RET_01"], "-k: RET-01 came with contract 1.1, and this is contract 1.0."),
        (["-k", "test_ret_01_must"], "-k: RET-01 came with contract 1.1"),
        (["-m", "asyncexec(rule='RET-01')"], "-m: RET-01 came with contract 1.1"),
        (["--asyncexec-rules=RET-01"], "--asyncexec-rules: RET-01 came with contract 1.1"),
        (["--asyncexec-rules=RET"], "--asyncexec-rules: RET came with contract 1.1"),
    ],
)
def test_a_rule_of_another_contract_is_refused_with_what_to_do(
    suite: pytest.Pytester, arguments: list[str], says: str
) -> None:
    result = run(suite, GOOD, "--asyncexec-contract=1.0", *arguments)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.str().startswith(f"ERROR: {says}")
    assert "Traceback" not in result.stderr.str()
    assert len(result.stderr.str().splitlines()) <= 4


@pytest.mark.parametrize("left_out", [("-k", "not RET_01"), ("-m", "not asyncexec(rule='RET-01')")])
def test_a_check_can_be_left_out_that_another_contract_has(
    suite: pytest.Pytester, left_out: tuple[str, str]
) -> None:
    result = run(suite, GOOD, "--asyncexec-contract=1.0", *left_out)

    assert result.ret == 0
    assert "3 passed" in result.stdout.str()


def test_a_waiver_for_a_rule_of_another_contract_is_refused(suite: pytest.Pytester) -> None:
    suite.makeini("[pytest]\nasyncexec_waivers = RET-01: mended in 2.0\n")

    assert run(suite, GOOD, "--asyncexec-contract=1.1").ret == 1  # it passes, and is waived
    result = run(suite, GOOD, "--asyncexec-contract=1.0")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.str().splitlines()[:2] == [
        "ERROR: asyncexec_waivers: 'RET-01: mended in 2.0': RET-01 came with contract 1.1, and "
        "this is contract 1.0.",
        "  Remove the waiver, or judge by the contract that has the rule: --asyncexec-contract.",
    ]


@pytest.mark.parametrize("given", ["1.2", "", "latest", "1"])
def test_an_unknown_contract_is_refused(suite: pytest.Pytester, given: str) -> None:
    result = run(suite, GOOD, f"--asyncexec-contract={given}")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.str().splitlines()[0] == (
        f"ERROR: --asyncexec-contract: this kit has no contract {given!r}; it knows 1.0, 1.1."
    )


def test_an_unknown_contract_in_the_configuration_is_refused(suite: pytest.Pytester) -> None:
    suite.makeini("[pytest]\nasyncexec_contract = 1.2\n")

    result = run(suite, GOOD)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.str().startswith(
        "ERROR: asyncexec_contract in the configuration: this kit has no contract '1.2'"
    )


def test_a_contract_asks_for_an_executor(suite: pytest.Pytester) -> None:
    result = run(suite, "--asyncexec-contract=1.0")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--asyncexec-contract asks something of the executor" in squeezed_err(result)


def squeezed_err(result: pytest.RunResult) -> str:
    return " ".join(result.stderr.str().split())


def test_the_rules_of_an_earlier_contract_are_printed(suite: pytest.Pytester) -> None:
    result = run(suite, "--asyncexec-rules", "--asyncexec-contract=1.0")

    assert result.ret == 0
    assert squeezed(result).startswith("executor contract 1.0: 3 rules, 2 MUST and 1 SHOULD")
    assert "RET-01" not in result.stdout.str()


# ---- candidates --------------------------------------------------------------------------------


@pytest.fixture
def with_candidate(suite: pytest.Pytester) -> pytest.Pytester:
    suite.makepyfile(small_suite=small_suite.PLUGIN.replace('since="1.1"', 'since="candidate"'))
    return suite


def test_a_candidate_is_judged_and_told_and_never_counted(with_candidate: pytest.Pytester) -> None:
    odd = executor(with_candidate, RET_01="fail")

    result = run(with_candidate, odd, "--asyncexec-report=report")

    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "executor contract 1.1: 3 rules",
            "*= broken candidates =*",
            "*RET-01 Odd*",
            "*seen: * RET-01 was broken",
            "  candidates, which are not counted",
            "    failed:",
            "    RET-01  MUST    RET-01 was broken",
        ]
    )
    assert verdict(result, "Odd").startswith("conformant, level hardened: 3 passed, 0 failed")
    folder = with_candidate.path / "report"
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    schemas.validate("report", report)
    (told,) = report["targets"]
    assert [rule["id"] for rule in told["rules"]] == ["CON-01", "CON-06", "LIF-03"]
    (candidate,) = told["candidates"]
    assert (candidate["id"], candidate["outcome"]) == ("RET-01", "failed")
    assert candidate["finding"]["seen"] == "RET-01 was broken"
    assert "RET-01" not in (folder / "Odd.intoto.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [({}, ["    passed: RET-01"]), ({"RET_01": "could not run"}, ["    could not run:"])],
)
def test_what_becomes_of_a_candidate_is_told(
    with_candidate: pytest.Pytester, behaviour: dict[str, str], says: list[str]
) -> None:
    result = run(
        with_candidate, executor(with_candidate, **behaviour), "-n", "2", plugins=["xdist"]
    )

    assert result.ret == 0
    result.stdout.fnmatch_lines(["  candidates, which are not counted", *says])
    assert verdict(result, "Odd").startswith("conformant, level hardened: 3 passed, 0 failed")


def test_an_earlier_contract_knows_no_candidate(with_candidate: pytest.Pytester) -> None:
    odd = executor(with_candidate, RET_01="fail")

    result = run(with_candidate, odd, "--asyncexec-contract=1.0")
    refused = run(with_candidate, odd, "--asyncexec-contract=1.0", "-k", "RET_01")

    assert result.ret == 0
    assert "RET-01" not in result.stdout.str()
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    assert "-k: RET-01 is a candidate, and none are judged with contract 1.0" in squeezed_err(
        refused
    )


def test_a_candidate_can_be_judged_alone_and_is_explained(with_candidate: pytest.Pytester) -> None:
    result = run(with_candidate, GOOD, "-m", "asyncexec(rule='RET-01')")
    entry = run(with_candidate, "--asyncexec-rules=RET-01")
    every = squeezed(run(with_candidate, "--asyncexec-rules"))

    assert "    passed: RET-01" in result.stdout.str()
    assert entry.ret == 0
    assert every.startswith("executor contract 1.1: 3 rules, 2 MUST and 1 SHOULD")
    assert "RET-01 MUST resilient (candidate) " in every
    assert "since a candidate: of no contract yet, judged and told" in squeezed(entry)


def test_a_candidate_needs_no_waiver(with_candidate: pytest.Pytester) -> None:
    with_candidate.makeini("[pytest]\nasyncexec_waivers = RET-01: mended in 2.0\n")

    result = run(with_candidate, GOOD)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "RET-01 is a candidate, which is not counted: nothing is to be waived" in squeezed_err(
        result
    )


# ---- the page ----------------------------------------------------------------------------------


def test_the_page_of_the_changes_is_up_to_date() -> None:
    there = (Path(__file__).parents[1] / "docs/contract-changes.md").read_text(encoding="utf-8")

    assert there == changes_page.page(), (
        f"docs/contract-changes.md is not what the catalogue says; run: {changes_page.COMMAND}"
    )


def test_the_page_names_every_rule_under_its_version() -> None:
    parts = re.split(r"^## ", changes_page.page(), flags=re.MULTILINE)
    told = {part.split("\n", 1)[0].lower().rstrip("s"): part for part in parts}

    for rule in RULES.values():
        assert f"[{rule.id}](rules.md#{rule.id.lower()})" in told[rule.since]
        assert sum(f"[{rule.id}]" in part for part in parts) == 1
    for version in VERSIONS:
        assert f"| {version} | `{digest_of(contract_of(version))}` |" in parts[0]


def test_the_page_of_the_changes_is_written_by_a_command(tmp_path: Path) -> None:
    module = [sys.executable, "-m", "pytest_asyncexec.report.changes_page"]

    subprocess.run([*module, "changes.md"], cwd=tmp_path, check=True)
    without = subprocess.run(module, capture_output=True, text=True, check=False)

    assert (tmp_path / "changes.md").read_text(encoding="utf-8") == changes_page.page()
    assert (without.returncode, changes_page.COMMAND in without.stderr) == (1, True)


def test_the_digests_are_printed_by_a_command() -> None:
    command = [sys.executable, "-m", "pytest_asyncexec.contract.frozen"]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.split() == [
        part
        for version in VERSIONS
        for part in (f'"{version}":', f'"{digest_of(contract_of(version))}",')
    ]
