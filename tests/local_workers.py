"""What the tests of `LocalExecutor` share: executors that leave nothing, and a look from outside.

Tasks must not refer to functions of a test module, which are sent by reference and would make each
worker import pytest: they are nested functions and lambdas, which travel by value.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pytest_asyncexec.reference_executor import LocalExecutor, _attempt, _pool

from pytest_asyncexec import TaskOutcome

#: Workers that other tests have left in this process: some executors there are wrong on purpose.
_strangers: set[int] = set()
_users: list[Path] = []


@contextlib.contextmanager
def leaving_nothing(cache: Path, **settings: Any) -> Iterator[Callable[..., LocalExecutor]]:
    """Hand out a maker of executors, and look in the end whether anything of them is left."""
    made: list[LocalExecutor] = []

    def make(*args: Any, **more: Any) -> LocalExecutor:
        executor = LocalExecutor(*args, **{"cache_dir": str(cache), **settings, **more})
        made.append(executor)
        return executor

    if not _users:
        _strangers.clear()
        _strangers.update(workers_of(os.getpid()))
    _users.append(cache)
    before = workers_of(os.getpid())
    try:
        yield make
    finally:
        _users.pop()
    for executor in made:
        _pool.end_idle_workers(executor._settings())
    assert not cache.exists() or os.listdir(cache) == []
    assert open_files(cache) == []
    assert _attempt._running == {}
    assert workers_of(os.getpid()) <= before


def open_files(folder: Path) -> list[str]:
    """Return the files in a folder that this process has open, also those without a name."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
    return [file for file in found if file.startswith(f"{folder}/")]


def workers_of(host: int) -> set[int]:
    """Return the processes that are alive and workers of a host, without those of other tests."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_worker = b"reference_executor/_worker.py" in (entry / "cmdline").read_bytes()
            if is_worker and _status(int(entry.name))[1] == str(host):
                found.add(int(entry.name))
    return found - _strangers


def is_alive(pid: int) -> bool:
    """Say whether a process exists that is more than a zombie waiting for its parent."""
    try:
        return _status(pid)[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _status(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


async def execute(executor: Any, function: Any, /, *args: Any, **kwargs: Any) -> TaskOutcome:
    outcome: TaskOutcome = await executor.execute(function, list(args), kwargs, "d", "unused")
    return outcome


async def pid_of(executor: LocalExecutor) -> int:
    """Return which worker an ordinary task finds, and see that the task finds it in order."""
    outcome = await execute(executor, os.getpid)
    assert outcome[1:] == ("", "", "COMPLETED")
    pid: int = outcome.result
    return pid


async def until(condition: Callable[[], object]) -> None:
    """Wait for what another process does, which sets no event here."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def gone(pid: int) -> None:
    """Wait for the end of what the kernel has been told to kill, and what it gets to later."""
    await until(lambda: not is_alive(pid))


async def appearing(path: Path, executing: asyncio.Task[Any]) -> str:
    """Wait for a file that the task writes, unless the task ends first."""
    await until(lambda: path.exists() or executing.done())
    assert not executing.done(), executing.result()
    return path.read_text()


def with_a_child(pids: Path) -> Callable[[], None]:
    """Return a task that ignores SIGTERM, has a child that does too, and never ends."""

    def function() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time\nwhile True: time.sleep(9)"])
        print("started")
        unfinished = f"{pids}.unfinished"
        with open(unfinished, "w") as file:
            json.dump([os.getpid(), child.pid], file)
        os.replace(unfinished, pids)
        while True:
            pass

    return function


def held(folder: Path, name: str = "") -> Callable[[], str]:
    """Return a task that writes `name`+ and `name`- into a log, and waits in between to be let go.

    `folder/go_on` lets all of them go.
    """
    log, go_on = str(folder / "log"), str(folder / "go_on")

    def function() -> str:
        import time

        with open(log, "a") as file:
            file.write(f"{name}+\n")
        while not os.path.exists(go_on):
            time.sleep(0.01)
        with open(log, "a") as file:
            file.write(f"{name}-\n")
        return name

    return function


def logged(folder: Path) -> list[str]:
    """Return what held tasks have written into their log."""
    log = folder / "log"
    return log.read_text().splitlines() if log.exists() else []
