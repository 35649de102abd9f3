"""The report in Markdown: short, complete, and harmless whatever an executor says."""

from __future__ import annotations

import dataclasses

from pytest_asyncexec.contract.catalogue import RULES
from pytest_asyncexec.contract.verdict import RuleOutcome
from pytest_asyncexec.report.summary import summary
from runs import EVIL, broken, run, target_of


def test_a_run_without_fault_is_one_table() -> None:
    assert summary(run(target_of())) == (
        "## Executor contract 1.1: ✓ conformant\n"
        "\n"
        "| executor | verdict | level | passed | failed | waived | could not run | not run |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        f"| `MyExecutor` | ✓ conformant | hardened | {len(RULES)} | 0 | 0 | 0 | 0 |\n"
        "\n"
        "`pytest-asyncexec 0.1.0, Python 3.11.7, Linux 6.1 x86_64`, profile default, "
        "finished `2026-11-22T20:00:00Z`\n"
    )


def test_what_is_wrong_is_told_rule_by_rule() -> None:
    waived = dataclasses.replace(broken("TIM-01"), outcome="waived", waiver="known, see 12")
    inherited = dataclasses.replace(broken("LIF-03"), inherited=True)
    blocked = [RuleOutcome(f"CNC-0{n}", "could_not_run", "no backend") for n in (1, 2)]

    told = summary(run(target_of(broken("RET-02"), inherited, waived, *blocked)))

    assert f"- **RET-02** (MUST, resilient) {RULES['RET-02'].sentence}" in told
    assert "seen: `what was seen of RET-02`" in told
    assert "**LIF-03** (MUST, core, inherited)" in told
    assert "waived: `known, see 12`" in told
    assert "- CNC-01 to CNC-02: `no backend`" in told
    titles = ["**failed**", "**waived**", "**could not run**"]
    places = [told.index(title) for title in titles]
    assert places == sorted(places)


def test_a_demand_that_is_missed_is_told() -> None:
    told = summary(run(target_of(broken("RET-02"), demanded="hardened")))

    assert "**Too low:** level hardened was demanded, core was reached" in told


def test_a_selection_is_told_so() -> None:
    told = summary(run(target_of(RuleOutcome("CON-01", "not_run", "")), selection=True))

    assert "? incomplete (selection)" in told
    assert "- CON-01: `no reason given`" in told


def test_what_an_executor_says_is_code_and_nothing_else() -> None:
    hostile = [
        broken("RET-02", seen=EVIL),
        RuleOutcome("CNC-01", "could_not_run", EVIL),
        dataclasses.replace(broken("TIM-01", seen="`"), outcome="waived", waiver="a ``` b"),
    ]
    told = summary(run(target_of(*hostile, name="a|b`c\n# head")))

    # In the table a pipe is escaped, and the row has as many cells as the head.
    assert "| ``a\\|b`c # head`` | ✕ nonconformant |" in told
    # The fence is longer than any run of backticks in what it holds.
    line = next(line for line in told.splitlines() if "seen: " in line and "script" in line)
    quoted = line.partition("seen: ")[2]
    assert quoted.startswith("````<script>")
    assert quoted.endswith("````")
    assert "````" not in quoted.strip("`")
    assert "\\x00\\x1b[31m\\udc80\\u202e x" in quoted
    assert "seen: `` ` ``" in told
    assert "waived: ````a ``` b````" in told
    assert not set(told) & set("\0\x1b\u202e")
    told.encode("utf-8")


def test_it_stays_short_whatever_many_executors_say() -> None:
    verbose = [broken(rule_id, seen="x" * 10_000) for rule_id in RULES]
    wordy = [RuleOutcome(rule_id, "could_not_run", rule_id + "y" * 10_000) for rule_id in RULES]
    many = [target_of(*verbose, name=f"F{n}" + "n" * 500) for n in range(10)]
    many += [target_of(*wordy, name=f"C{n}") for n in range(10)]

    told = summary(run(*many))

    assert len(told.encode()) < 200_000
    # Those that are not told in words are named.
    assert f"and {len(RULES) - 15} more: " in told
