"""What `execute()` itself costs, on a `run` that does next to nothing."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from . import covalent_host, tasks
from .in_process import InProcess
from .measure import Batch, Contender, Given, Measure
from .ratios import AT_MOST, Bound, Ratio

LINE = "a line of output\n"
CALL = "µs per call"


def measure(quick: bool) -> Measure:
    """Without logs; with both, which stay empty; with both and a line in each."""
    plain, logged = (200, 50) if quick else (50_000, 800)
    variants = {
        "no logs": (plain, False, ""),
        "both logs, empty": (logged, True, ""),
        "both logs, a line each": (logged, True, LINE),
    }
    return Measure(
        title="execute() per call",
        method=(
            f"`execute()` of an executor whose `run` is `return function(*args, **kwargs)`, one "
            f"after another: {plain:,} calls in a round without log files, {logged:,} with "
            "`log_stdout` and `log_stderr`. Ours derives from `AsyncBaseExecutor` of this "
            "package, Covalent's from its class of the same name, whose listener is left out."
        ),
        contenders=tuple(
            Contender(f"{who}, {variant}", f"execute:{factory}", arguments)
            for variant, arguments in variants.items()
            for who, factory in (("ours", "ours"), ("Covalent", "covalent"))
        ),
        ratios=tuple(
            Ratio(
                f"execute(), {variant}: ours / Covalent's",
                (f"ours, {variant}", CALL),
                (f"Covalent, {variant}", CALL),
                Bound(AT_MOST, 0.7 if arguments[1] else 1.0),
            )
            for variant, arguments in variants.items()
        ),
    )


@asynccontextmanager
async def ours(calls: int, logs: bool, line: str) -> Given:
    """This package's template."""
    executor = InProcess(*_log_files(logs))
    executor.line = line
    yield _batch(executor.execute, tasks.identity, calls)


@asynccontextmanager
async def covalent(calls: int, logs: bool, line: str) -> Given:
    """Covalent's template."""
    executor = covalent_host.in_process(*_log_files(logs), line)
    transport = covalent_host.load("covalent._workflow.transport")
    function = functools.partial(tasks.transported, transport.TransportableObject(1))
    timed = _batch(executor.execute, function, calls)

    async def batch() -> dict[str, float]:
        # Without a listener its queue would grow from round to round.
        executor._init_runtime()
        return await timed()

    yield batch


def _log_files(logs: bool) -> tuple[str, str]:
    return (os.path.abspath("out.log"), os.path.abspath("err.log")) if logs else ("", "")


def _batch(
    execute: Callable[..., Awaitable[Any]], function: Callable[..., Any], calls: int
) -> Batch:
    async def batch() -> dict[str, float]:
        folder = os.getcwd()
        started = time.perf_counter()
        for number in range(calls):
            await execute(function, [number], {}, "dispatch", folder)
        return {CALL: 1e6 * (time.perf_counter() - started) / calls}

    return batch
