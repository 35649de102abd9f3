"""Many tasks at once: whoever serves them in turn, in whatever order, is right."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from unittest import mock

import pytest
from pytest_asyncexec.broken.many_at_once import _HasPlaces, _Places, _TakesPlaces
from pytest_asyncexec.conformance.instruments import patience
from pytest_asyncexec.conformance.runner import judge_target
from pytest_asyncexec.reference_executor import ThreadExecutor

from pytest_asyncexec.targets.target import Target

MANY = {"CNC-06", "CNC-08"}


class HasFourPlaces(_HasPlaces):
    async def run(self, function, args, kwargs, task_metadata):
        async with self._places:
            return await super().run(function, args, kwargs, task_metadata)


class _Lots(_Places):
    def next_in_line(self):
        self.line.rotate(random.randrange(len(self.line)))
        return self.line.popleft()


class DrawsLots(_TakesPlaces):
    def _new_places(self):
        return _Lots()


class RunsAllAtOnce(ThreadExecutor):
    async def run(self, function, args, kwargs, task_metadata):
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def tell(result, error):
            if not done.done():
                done.set_result(result) if error is None else done.set_exception(error)

        def work():
            result, failed = None, None
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                failed = error
            loop.call_soon_threadsafe(tell, result, failed)

        threading.Thread(target=work, daemon=True).start()
        return await done


class AcquiresInSetup(_HasPlaces):
    """Gives back in `teardown` what it may not have taken in `setup`."""

    async def setup(self, task_metadata):
        await self._places.acquire()

    async def teardown(self, task_metadata):
        self._places.release()


def _outcomes(executor: type, **near: float) -> dict[str, str]:
    target = Target(f"{__name__}:{executor.__name__}", executor.__name__, executor, is_class=True)
    with mock.patch.multiple(patience, **near) if near else contextlib.nullcontext():
        return {i: f.outcome for i, f in judge_target(target, MANY, "quick").items()}


@pytest.mark.parametrize("executor", [HasFourPlaces, DrawsLots, RunsAllAtOnce])
def test_who_serves_all_of_them_is_right(executor: type) -> None:
    assert _outcomes(executor) == dict.fromkeys(MANY, "passed")


def test_who_gives_back_in_teardown_what_setup_never_took_is_found() -> None:
    assert _outcomes(AcquiresInSetup, PAST_LIMIT=3.0, SHORTLY=1.0)["CNC-08"] == "failed"
