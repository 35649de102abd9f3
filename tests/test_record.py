"""report.json: what is written is what is read, and what was changed is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_asyncexec.evidence.record import RecordError, RunRecord, read_record
from runs import outcome, run, target, target_of


def _written(record: RunRecord, folder: Path, change: Callable[[Any], object] = id) -> Path:
    told = record.to_json()
    change(told)
    (folder / "report.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def test_what_is_written_is_read(tmp_path: Path) -> None:
    inherited = replace(outcome("RES-04", "failed"), inherited=True)
    odd = target_of(
        inherited,
        outcome("RET-02", "waived"),
        outcome("TIM-02", "not_run"),
        outcome("RES-13", "not_applicable"),
        name="Odd",
    )
    odd = replace(odd, objections=("something else",))
    record = run(target(), odd, profile="quick", selection=True)

    assert read_record(_written(record, tmp_path)) == record
    assert read_record(tmp_path / "report.json") == record


def _level(told: Any) -> None:
    told["targets"][0]["level"] = "resilient"
    told["level"] = "resilient"


def _verdict(told: Any) -> None:
    told["targets"][0]["verdict"] = "incomplete"
    told["verdict"] = "incomplete"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_level, "conformant, level resilient, and its rules make it conformant, level hardened"),
        (_verdict, "it says incomplete, level hardened"),
        (lambda told: told.update(level="core"), "says conformant, level core, and its executors"),
        (lambda told: told.update(verdict="incomplete"), "says incomplete, level hardened, and"),
        (lambda told: told["targets"][0]["rules"].pop(), "are not those of contract 1.1: SEC-05"),
        (lambda told: told["targets"][0]["rules"].reverse(), "stand twice, or in another order"),
        (
            lambda told: told["targets"][0]["rules"].append(told["targets"][0]["rules"][-1]),
            "stand twice, or in another order",
        ),
        (lambda told: told["targets"].clear(), "is no report.json of pytest-asyncexec: targets"),
        (lambda told: told.update(contract="0.9"), "this kit has no contract '0.9'"),
    ],
)
def test_what_was_changed_is_refused(
    change: Callable[[Any], object], says: str, tmp_path: Path
) -> None:
    with pytest.raises(RecordError) as refused:
        read_record(_written(run(), tmp_path, change))
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "is not there"),
        (b'{"contract": "1.0"', "is no JSON"),
        (b'{"contract": "1.0", "contract": "1.0"}', "stands twice"),
        (b"[]", "must be object"),
        (b"\xff", "is no JSON"),
    ],
)
def test_what_is_no_report_is_refused(content: bytes | None, says: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "report.json").write_bytes(content)

    with pytest.raises(RecordError) as refused:
        read_record(tmp_path)
    assert says in str(refused.value)
