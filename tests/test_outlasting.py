"""How long it is waited for what is to be stopped, once nothing has stopped another one."""

from __future__ import annotations

import asyncio
from unittest import mock

import pytest
from pytest_asyncexec.conformance.instruments import patience
from pytest_asyncexec.conformance.instruments.outlasting import Outlasting

#: Seconds that no test lasts.
_FOR_EVER = 1e6


async def _is_given_up(guard: Outlasting, *, merely_waits: bool) -> bool:
    """Whether the guard has given up what never ends, as soon as it may."""
    work: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(guard.over(work, 0.0, merely_waits=merely_waits))
    await asyncio.wait({waiting}, timeout=0.6)
    given_up = waiting.done()
    work.set_result(None)
    await waiting
    return given_up


@pytest.mark.parametrize("merely_waits", [True, False])
def test_others_are_given_up_early_where_one_that_merely_waits_has_stood(
    merely_waits: bool,
) -> None:
    async def story() -> bool:
        guard = Outlasting()
        with mock.patch.object(patience, "PAST_LIMIT", 0.0):
            assert await _is_given_up(guard, merely_waits=merely_waits)
        with mock.patch.multiple(patience, PAST_LIMIT=_FOR_EVER, SHORTLY=0.0):
            return await _is_given_up(guard, merely_waits=False)

    assert asyncio.run(story()) is merely_waits


def test_what_ends_is_waited_for_to_its_end() -> None:
    async def story() -> None:
        work: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.05, work.set_result, None)
        await Outlasting().over(work, 0.0, merely_waits=True)
        assert work.done()

    asyncio.run(story())
