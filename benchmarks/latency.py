"""How long the suite waits for a slow backend, beside version 0.1.0."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

from .measure import Contender, Given, Measure
from .ratios import AT_MOST, Bound, Ratio

ROOT = Path(__file__).parents[1]

#: The commit that was 0.1.0.
OLD = "16fcd7d"
NOW, BEFORE = "this build", f"0.1.0 ({OLD})"
WAITS, SECONDS = "waits, one after the other", "s, whole run"

#: Seconds that every attempt takes longer.
DELAY = 1.0
QUICK_DELAY = 0.1


def measure(quick: bool) -> Measure:
    """One run of the suite by each build and in each profile."""
    profiles = ("quick",) if quick else ("quick", "default")
    delay = QUICK_DELAY if quick else DELAY
    contenders = tuple(
        Contender(f"{build}, {profile}", "latency:suite", (commit, profile, delay))
        for profile in profiles
        for build, commit in ((NOW, ""), (BEFORE, OLD))
    )
    return Measure(
        title="A backend that takes its time",
        method=(
            f"One run of the suite on a `LocalExecutor` whose attempts take {delay:g} s longer "
            "(benchmarks/delayed.py), any number of them at once. A wait is as long as that: the "
            "time in which at least one attempt waits, divided by its delay. 0.1.0 is built from "
            f"commit {OLD} of this repository."
        ),
        contenders=contenders,
        ratios=tuple(
            Ratio(
                f"{what}, {profile}: this build / 0.1.0",
                (f"{NOW}, {profile}", what),
                (f"{BEFORE}, {profile}", what),
                Bound(AT_MOST, 0.22),
            )
            for profile in profiles
            for what in (WAITS, SECONDS)
        ),
        rounds=(1, 1),
        warm_up=False,
    )


@asynccontextmanager
async def suite(commit: str, profile: str, delay: float) -> Given:
    """The suite in a process of its own, of this build or of an older commit."""
    paths = [str(Path(__file__).parent)]
    if commit:
        paths.insert(0, str(await asyncio.to_thread(_installed, commit)))
    log = Path("waits.log")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "ASYNCEXEC_DELAY": str(delay),
        "ASYNCEXEC_DELAY_LOG": str(log.absolute()),
    }

    async def batch() -> dict[str, float]:
        log.unlink(missing_ok=True)
        started = time.perf_counter()
        run = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pytest", "asyncexec", "-q"),
            *("--asyncexec-plugin=delayed:Delayed", f"--asyncexec-profile={profile}"),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await run.communicate()
        whole = time.perf_counter() - started
        if run.returncode != 0:
            last = said.decode(errors="replace").strip().rpartition("\n")[2]
            raise RuntimeError(f"the suite ended with code {run.returncode}: {last}")
        return {WAITS: waited(log.read_text(encoding="ascii")) / delay, SECONDS: whole}

    yield batch


def waited(log: str) -> float:
    """The seconds in which at least one attempt waited.

    Args:
        log: a line for each of them, with the times of its beginning and its end in seconds.
    """
    spans = sorted(tuple(map(float, line.split())) for line in log.splitlines())
    total, covered = 0.0, float("-inf")
    for begun, ended in spans:
        total += max(0.0, ended - max(begun, covered))
        covered = max(covered, ended)
    return total


def _installed(commit: str) -> Path:
    """The package as it was in a commit, in a folder that can stand on the path of imports."""
    source, target = Path("source").absolute(), Path("installed").absolute()
    if not target.exists():
        source.mkdir(exist_ok=True)
        archive = subprocess.run(
            ["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=False
        )
        if archive.returncode != 0:
            raise RuntimeError(f"commit {commit} is not in this clone: {archive.stderr.decode()}")
        subprocess.run(["tar", "-x", "-C", str(source)], input=archive.stdout, check=True)
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps"]
        subprocess.run([*command, "--target", str(target), str(source)], check=True)
    return target
