"""Blocking calls on the thread of the loop are found, and nothing else is."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from time import sleep
from typing import Any

import pytest
from pytest_asyncexec.conformance.instruments.blocking import Deadlock, deadlocks

PROGRAM = (sys.executable, "-S", "-c", "")


class _Executor:
    pass


async def _found(setup: Callable[[], Any]) -> list[Deadlock]:
    executor = _Executor()
    with deadlocks(executor) as seen:
        value = seen.within("setup")(setup, executor)
        if value is not None:
            await value
    return seen.found


async def _sleeps() -> None:
    time.sleep(0.001)  # noqa: ASYNC251


async def _sleeps_by_its_own_name() -> None:
    sleep(0.001)  # noqa: ASYNC251


async def _calls() -> None:
    os.system("exit 0")  # noqa: ASYNC221


async def _runs() -> None:
    subprocess.run(PROGRAM, check=True)  # noqa: ASYNC221


async def _reads_what_a_program_says() -> None:
    subprocess.check_output(PROGRAM)  # noqa: ASYNC221


async def _waits_for_a_child() -> None:
    lasts = (*PROGRAM[:-1], "import time; time.sleep(0.1)")
    child = os.posix_spawn(sys.executable, lasts, os.environ)  # noqa: ASYNC221
    os.waitpid(child, 0)  # noqa: ASYNC222


async def _connects() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()


async def _waits_for_a_pool() -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(len, "abc").result()


async def _waits_for_futures() -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        concurrent.futures.wait([pool.submit(len, "abc")])


async def _waits_in_a_task() -> None:
    await asyncio.create_task(_sleeps())


@pytest.mark.parametrize(
    ("setup", "call"),
    [
        (_sleeps, "time.sleep"),
        (_sleeps_by_its_own_name, "time.sleep"),
        (_calls, "os.system"),
        (_runs, "subprocess.Popen."),
        (_reads_what_a_program_says, "subprocess.Popen."),
        pytest.param(
            _waits_for_a_child,
            "os.waitpid",
            marks=pytest.mark.skipif(not hasattr(os, "waitid"), reason="nobody can tell"),
        ),
        (_connects, "socket.connect"),
        (_waits_for_a_pool, "Future.result"),
        (_waits_for_futures, "concurrent.futures.wait"),
        (_waits_in_a_task, "time.sleep"),
    ],
)
async def test_a_blocking_call_is_found(setup: Callable[[], Any], call: str) -> None:
    first, *_ = await _found(setup)

    assert call in first.call
    assert first.method == "setup"
    assert "test_blocking.py" in first.where


async def _awaits() -> None:
    await asyncio.sleep(0.001)
    time.sleep(0)  # noqa: ASYNC251
    await asyncio.to_thread(time.sleep, 0.001)
    await asyncio.to_thread(subprocess.run, PROGRAM)


async def _awaits_a_program() -> None:
    process = await asyncio.create_subprocess_exec(*PROGRAM, stdout=subprocess.PIPE)
    await process.communicate()


async def _awaits_a_connection() -> None:
    async with await asyncio.start_server(lambda _, line: line.close(), "127.0.0.1", 0) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.close()
        await writer.wait_closed()


async def _awaits_a_pool() -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        await asyncio.get_running_loop().run_in_executor(pool, len, "abc")


async def _fetches_what_has_ended() -> None:
    child = await asyncio.to_thread(subprocess.Popen, PROGRAM)
    await asyncio.to_thread(os.waitid, os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    os.waitpid(child.pid, 0)  # noqa: ASYNC222
    child.returncode = 0


async def _greets_a_thread() -> None:
    ready = threading.Event()
    threading.Thread(target=ready.set).start()
    ready.wait()


def _is_synchronous() -> None:
    time.sleep(0.001)


@pytest.mark.parametrize(
    "setup",
    [
        _awaits,
        _awaits_a_program,
        _awaits_a_connection,
        _awaits_a_pool,
        pytest.param(
            _fetches_what_has_ended,
            marks=pytest.mark.skipif(not hasattr(os, "waitid"), reason="nobody can tell"),
        ),
        _greets_a_thread,
    ],
)
async def test_nothing_else_is(setup: Callable[[], Any]) -> None:
    assert await _found(setup) == []


async def test_a_synchronous_method_may_block_its_own_thread() -> None:
    executor = _Executor()
    with deadlocks(executor) as seen:
        await asyncio.to_thread(seen.within("setup"), _is_synchronous, executor)
    assert seen.found == []


async def test_everything_is_put_back() -> None:
    before = time.sleep, subprocess.Popen.wait, socket.socket.connect
    await _found(_awaits)
    assert (time.sleep, subprocess.Popen.wait, socket.socket.connect) == before
