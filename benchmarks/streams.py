"""How long 100 MB of output take to a file, and how long the event loop stands still meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from . import covalent_host
from .in_process import InProcess
from .measure import Batch, Contender, Given, Measure
from .ratios import AT_MOST, LESS_THAN, Bound, Ratio

SECONDS = "ms to write"
STALL = "ms of the longest stall"
BEAT = 0.001
TIMES = 5

Write = Callable[[str, str], Awaitable[None]]


def measure(quick: bool) -> Measure:
    """Ours against Covalent's and against a plain write."""
    megabytes = 5 if quick else 100
    factories = {"ours": "ours", "Covalent": "covalent", "plain write": "plain"}
    return Measure(
        title=f"write_streams_to_file of {megabytes} MB",
        method=(
            f"One stream, {megabytes} MB of ASCII text in lines of 100, to a new file in the "
            f"folder for temporary files, not flushed to the disk; {TIMES} times in a round, the "
            "medians of which count. Meanwhile a timer asks for a "
            "turn of the event loop every millisecond: the longest time between two of its turns "
            "is the stall, and no stall is shorter than that millisecond. The plain write is "
            '`open(path, "a").write(text)` on the loop itself.'
        ),
        contenders=tuple(
            Contender(name, f"streams:{factory}", (megabytes,))
            for name, factory in factories.items()
        ),
        ratios=(
            Ratio(
                "our longest stall / a plain write's time",
                ("ours", STALL),
                ("plain write", SECONDS),
                Bound(LESS_THAN, 0.1),
            ),
            Ratio(
                "time to write: ours / Covalent's",
                ("ours", SECONDS),
                ("Covalent", SECONDS),
                Bound(AT_MOST, 1.0),
            ),
            Ratio("time to write: ours / plain", ("ours", SECONDS), ("plain write", SECONDS)),
            Ratio("longest stall: ours / Covalent's", ("ours", STALL), ("Covalent", STALL)),
        ),
    )


@asynccontextmanager
async def ours(megabytes: int) -> Given:
    """This package's method."""
    executor = InProcess()

    async def write(text: str, path: str) -> None:
        await executor.write_streams_to_file([text], [path], "dispatch", ".")

    yield _batch(write, megabytes)


@asynccontextmanager
async def covalent(megabytes: int) -> Given:
    """Covalent's method."""
    executor = covalent_host.in_process("", "", "")

    async def write(text: str, path: str) -> None:
        await executor.write_streams_to_file([text], [path], "dispatch", ".")

    yield _batch(write, megabytes)


@asynccontextmanager
async def plain(megabytes: int) -> Given:
    """No method at all."""

    async def write(text: str, path: str) -> None:
        with open(path, "a") as file:  # noqa: ASYNC230 - that it blocks is the point
            file.write(text)

    yield _batch(write, megabytes)


def _batch(write: Write, megabytes: int) -> Batch:
    text = ("x" * 99 + "\n") * (megabytes * 10_000)

    async def batch() -> dict[str, float]:
        measured = [await once() for _ in range(TIMES)]
        seconds, stall = (1e3 * statistics.median(column) for column in zip(*measured, strict=True))
        return {SECONDS: seconds, STALL: stall}

    async def once() -> tuple[float, float]:
        path = os.path.abspath("stream.log")
        measured = await _watched(write(text, path))
        if os.path.getsize(path) != len(text):
            raise RuntimeError(f"{os.path.getsize(path)} of {len(text)} bytes were written")
        Path(path).unlink()
        return measured

    return batch


async def _watched(work: Awaitable[None]) -> tuple[float, float]:
    """Await `work`; return its seconds, and the longest time between two turns of the loop."""
    turns: list[float] = []

    async def beat() -> None:
        while True:
            turns.append(time.perf_counter())
            await asyncio.sleep(BEAT)

    heart = asyncio.ensure_future(beat())
    await asyncio.sleep(10 * BEAT)
    started = time.perf_counter()
    await work
    ended = time.perf_counter()
    # The stall may reach past the end, to the next turn.
    await asyncio.sleep(10 * BEAT)
    heart.cancel()
    gaps = [b - a for a, b in itertools.pairwise(turns) if b >= started and a <= ended]
    return ended - started, max(gaps)
