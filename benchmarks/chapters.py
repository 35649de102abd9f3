"""How long the suite itself takes, chapter by chapter."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from .measure import Contender, Given, Measure
from .peers import peer

TARGET = "pytest_asyncexec.reference_executor:LocalExecutor"


def measure(quick: bool) -> Measure:
    """One run of the suite."""
    return Measure(
        title="The suite's own time",
        method=(
            "One run of the suite on `LocalExecutor` as it comes, and the seconds of its rules "
            "added up by chapter; `whole run` is the whole process."
        ),
        contenders=(
            Contender("LocalExecutor", "chapters:suite", ("asyncexec/test_construction.py",))
            if quick
            else Contender("LocalExecutor", "chapters:suite", ("asyncexec",)),
        ),
        rounds=(1, 1),
        warm_up=False,
    )


@asynccontextmanager
async def suite(selection: str) -> Given:
    """The suite in a process of its own, as a user runs it."""
    options = [f"--asyncexec-plugin={TARGET}", "--asyncexec-report=report", "-q"]

    async def batch() -> dict[str, float]:
        started = time.perf_counter()
        run = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pytest", selection, *options),
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await run.communicate()
        whole = time.perf_counter() - started
        if run.returncode != 0:
            last = said.decode(errors="replace").strip().rpartition("\n")[2]
            raise RuntimeError(f"the suite ended with code {run.returncode}: {last}")
        report = json.loads(Path("report", "report.json").read_text(encoding="utf-8"))
        return {**_by_chapter(report["targets"][0]["rules"]), "s, whole run": whole}

    yield batch


def _by_chapter(rules: list[dict[str, Any]]) -> dict[str, float]:
    titles = peer("pytest_asyncexec.contract.catalogue").CHAPTERS
    seconds: dict[str, float] = {}
    for rule in rules:
        if rule["outcome"] != "not_run":
            chapter = rule["id"].partition("-")[0]
            name = f"s, {chapter}: {titles[chapter].title}"
            seconds[name] = seconds.get(name, 0.0) + rule["seconds"]
    return seconds
