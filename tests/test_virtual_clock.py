"""The loop with the virtual clock: exact where everything is on the loop, and honest elsewhere."""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import sys
import threading
import time

import pytest
from pytest_asyncexec.conformance.instruments import virtual_clock
from pytest_asyncexec.conformance.instruments.virtual_clock import NotPurelyAsynchronous, drive

YEAR = 365 * 24 * 3600.0


def test_a_year_is_over_at_once() -> None:
    async def story() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await virtual_clock.sleep(YEAR)
        return loop.time() - began

    assert drive(story) == pytest.approx(YEAR)


def test_timers_fire_in_their_order() -> None:
    fired: list[int] = []

    async def one(hours: int) -> None:
        await asyncio.sleep(hours * 3600)
        fired.append(hours)

    async def story() -> None:
        await asyncio.gather(*(one(hours) for hours in (3, 1, 2)))

    drive(story)

    assert fired == [1, 2, 3]


def test_a_limit_is_exact() -> None:
    async def took(limit: float, work: float) -> bool:
        try:
            async with asyncio.timeout(limit):
                await asyncio.sleep(work)
        except TimeoutError:
            return False
        return True

    async def story() -> tuple[bool, bool]:
        return await took(3600, 3599.9), await took(3600, 3600.1)

    assert drive(story) == (True, False)


def test_the_clock_is_held_while_a_thread_works() -> None:
    async def story() -> str:
        async with asyncio.timeout(0.01):
            await asyncio.to_thread(time.sleep, 0.1)
        # The pool's thread is still there, and idle: the clock jumps again.
        await asyncio.sleep(YEAR)
        return "in time"

    assert drive(story) == "in time"


def test_what_a_story_raises_is_raised() -> None:
    async def story() -> None:
        await asyncio.sleep(YEAR)
        raise KeyError("of the story")

    with pytest.raises(KeyError, match="of the story"):
        drive(story)


def test_a_thread_for_ever_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_clock, "_PATIENCE", 0.05)
    release = threading.Event()

    async def story() -> None:
        async with asyncio.timeout(YEAR):
            await asyncio.to_thread(release.wait)

    threading.Timer(0.5, release.set).start()
    with pytest.raises(NotPurelyAsynchronous, match="a function that runs in a thread"):
        drive(story)


def test_a_thread_of_the_storys_own_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_clock, "_PATIENCE", 0.05)
    release = threading.Event()

    async def story() -> None:
        with concurrent.futures.ThreadPoolExecutor(thread_name_prefix="mine") as pool:
            try:
                async with asyncio.timeout(YEAR):
                    await asyncio.wrap_future(pool.submit(release.wait))
            finally:
                release.set()

    with pytest.raises(NotPurelyAsynchronous, match="the thread 'mine_0'"):
        drive(story)


def test_a_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_clock, "_PATIENCE", 0.05)

    async def story() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "import time; time.sleep(600)"
        )
        try:
            async with asyncio.timeout(YEAR):
                await process.wait()
        finally:
            process.kill()
            await process.wait()

    with pytest.raises(NotPurelyAsynchronous):
        drive(story)


def test_a_socket_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_clock, "_PATIENCE", 0.05)
    mine, other = socket.socketpair()
    mine.setblocking(False)

    async def story() -> None:
        async with asyncio.timeout(YEAR):
            await asyncio.get_running_loop().sock_recv(mine, 1)

    with mine, other, pytest.raises(NotPurelyAsynchronous, match="a socket or a pipe"):
        drive(story)


def test_waiting_for_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_clock, "_PATIENCE", 0.05)

    async def story() -> None:
        await asyncio.Event().wait()

    with pytest.raises(NotPurelyAsynchronous, match="no timer of the loop"):
        drive(story)


def test_what_is_left_on_the_loop_is_ended() -> None:
    ended: list[str] = []

    async def rest() -> None:
        try:
            await asyncio.sleep(YEAR)
        finally:
            await asyncio.sleep(0.01)
            ended.append("rest")

    async def story() -> asyncio.Task[None]:
        task = asyncio.ensure_future(rest())
        await asyncio.sleep(0)
        return task

    assert drive(story).cancelled()
    assert ended == ["rest"]


def test_nobody_sleeps_for_a_year_on_another_loop() -> None:
    with pytest.raises(NotPurelyAsynchronous, match="of the executor's own"):
        asyncio.run(virtual_clock.sleep(YEAR))
