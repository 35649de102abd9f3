"""The watched loop: it lives on, and names the line where something hangs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from pytest_asyncexec.conformance.instruments.loop import Hang, WatchedLoop


@pytest.fixture
def loop() -> Iterator[WatchedLoop]:
    loop = WatchedLoop()
    yield loop
    loop.close()


def test_stories_share_one_loop(loop: WatchedLoop) -> None:
    async def story() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert loop.drive(story, 60) is loop.drive(story, 60)


def test_an_error_of_the_story_is_raised(loop: WatchedLoop) -> None:
    async def story() -> None:
        raise TimeoutError("the story's own")

    with pytest.raises(TimeoutError, match="the story's own"):
        loop.drive(story, 60)


def test_a_cancelled_story_is_an_error_like_any_other(loop: WatchedLoop) -> None:
    async def story() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        loop.drive(story, 60)
    assert loop.usable


def test_a_blocked_loop_is_a_hang_that_names_the_line(loop: WatchedLoop) -> None:
    released = threading.Event()

    async def story() -> None:
        released.wait()  # blocks the loop

    with pytest.raises(Hang, match="# blocks the loop"):
        loop.drive(story, limit=2)
    released.set()


def test_an_endless_wait_is_a_hang_that_names_the_line(loop: WatchedLoop) -> None:
    async def story() -> None:
        await asyncio.Event().wait()  # never set

    with pytest.raises(Hang, match="never set"):
        loop.drive(story, limit=2)


def test_closing_ends_what_is_still_running(loop: WatchedLoop) -> None:
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def story() -> None:
        background = asyncio.ensure_future(forever())
        await asyncio.sleep(0)
        assert not background.done()

    loop.drive(story, 60)
    loop.close()

    assert ended == ["cancelled"]
    assert not loop.usable


def test_a_loop_that_is_stopped_is_told_at_once(loop: WatchedLoop) -> None:
    async def story() -> None:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(3600)

    with pytest.raises(Hang, match="was stopped"):
        loop.drive(story, 60)
    assert not loop.usable


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_error_that_ends_loops_is_the_storys(
    loop: WatchedLoop, kind: type[BaseException]
) -> None:
    async def story() -> None:
        raise kind

    with pytest.raises(kind):
        loop.drive(story, 60)
    assert loop.usable


def test_a_loop_that_spins_is_ended(loop: WatchedLoop) -> None:
    async def story() -> None:
        while True:
            pass

    with pytest.raises(Hang, match="in story"):
        loop.drive(story, limit=1)
    loop._thread.join(timeout=60)
    assert not loop._thread.is_alive()
