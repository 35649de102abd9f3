"""What the plugin costs a run of pytest that does not use it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from importlib.metadata import entry_points
from pathlib import Path

from .measure import Contender, Given, Measure
from .ratios import AT_MOST, Bound, Ratio

TESTS = 200
WALL = "ms of wall time"
CPU = "ms of processor time"
WITH, WITHOUT = "with the plugin", "without, -p no:asyncexec"


def measure(quick: bool) -> Measure:
    """The same run with and without the plugin."""
    return Measure(
        title="The plugin where it is not used",
        method=(
            f"A whole `python -m pytest -q` on {TESTS} trivial tests in a folder of their own, "
            "from the start of the process to its end. The two differ by a few milliseconds, so "
            "there are more rounds than elsewhere; processor time is user and system time, and "
            "waits for nobody else. For POSIX systems."
        ),
        contenders=(
            Contender(WITH, "tax:pytest_run"),
            Contender(WITHOUT, "tax:pytest_run", ("-p", "no:asyncexec")),
        ),
        ratios=tuple(
            Ratio(
                f"{what.removeprefix('ms of ')} of a run of pytest: with the plugin / without",
                (WITH, what),
                (WITHOUT, what),
                Bound(AT_MOST, 1.01),
            )
            for what in (WALL, CPU)
        ),
        rounds=(1, 2) if quick else (41, 1000),
    )


@asynccontextmanager
async def pytest_run(*options: str) -> Given:
    """Two hundred tests that do nothing."""
    if not entry_points(group="pytest11", name="asyncexec"):
        raise RuntimeError("pytest does not find the plugin: pip install -e .")
    body = "".join(f"def test_{number}():\n    pass\n\n\n" for number in range(TESTS))
    Path("test_trivial.py").write_text(body, encoding="utf-8")
    Path("pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", *options]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    async def batch() -> dict[str, float]:
        before = _children_seconds()
        started = time.perf_counter()
        run = subprocess.run(  # noqa: ASYNC221 - nothing else lives on this loop
            command, env=environment, capture_output=True, text=True, check=False
        )
        wall = time.perf_counter() - started
        cpu = _children_seconds() - before
        if run.returncode != 0 or f"{TESTS} passed" not in run.stdout:
            raise RuntimeError(f"pytest ended with {run.returncode}: {run.stdout[-500:]}")
        return {WALL: 1e3 * wall, CPU: 1e3 * cpu}

    yield batch


def _children_seconds() -> float:
    """Processor time of all children that have ended; finer than what `os.times` tells."""
    import resource

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
