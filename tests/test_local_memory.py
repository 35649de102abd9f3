"""Arguments, results and output of a finished task are not kept alive: rule HYG-06."""

import asyncio
import gc
import os
import tracemalloc
import weakref

import pytest
from pytest_asyncexec.reference_executor import DaskExecutor, LocalExecutor, ThreadExecutor

from local_workers import appearing, leaving_nothing, until
from pytest_asyncexec import run_task

MANY = 4 << 20


@pytest.fixture(params=["fresh", "warm", "dask"])
def make(request, tmp_path):
    """Hand out a maker of executors of each kind."""
    if request.param == "dask":
        yield DaskExecutor
    else:
        with leaving_nothing(tmp_path / "cache", warm=request.param == "warm") as make:
            yield lambda **settings: make(max_workers=1, **settings)


def function_of(ending, begun):
    """Return a task that prints a lot, and ends so."""

    def function(thing: object, data: bytes) -> object:
        import sys
        import time

        print(data.decode())
        print(data.decode(), file=sys.stderr)
        if ending == "fails":
            raise ValueError(data.decode())
        if ending == "dies":
            os._exit(1)
        if ending != "succeeds":
            with open(begun + "~", "w"):
                pass
            os.rename(begun + "~", begun)
            time.sleep(3600)
        return thing, data

    return function


async def end_a_task(executor, ending, begun) -> list[weakref.ref[object]]:
    """Run a task that ends so, and return what is left of an argument of it, and of its result."""

    class Thing:
        pass

    thing = Thing()
    kept, handles = [weakref.ref(thing)], []
    work = run_task(
        executor,
        function_of(ending, str(begun)),
        [thing, b"x" * MANY],
        {},
        "d",
        "unused",
        on_job_handle=handles.append,
    )
    executing = asyncio.create_task(work)
    del thing, work
    if ending in ("is cancelled", "is stopped"):
        await appearing(begun, executing)
        begun.unlink()
        if ending == "is cancelled":
            executing.cancel()
        else:
            assert await executor.cancel({}, handles[0])
    [outcome] = await asyncio.gather(executing, return_exceptions=True)
    if ending == "succeeds":
        kept.append(weakref.ref(outcome.result[0]))
    del outcome, executing, Thing
    return kept


@pytest.mark.parametrize(
    "ending", ["succeeds", "fails", "dies", "is late", "is cancelled", "is stopped"]
)
async def test_nothing_of_a_task_that_has_ended_is_kept(make, tmp_path, ending) -> None:
    executor = make(time_limit=1 if ending == "is late" else -1)
    await end_a_task(executor, ending, tmp_path / "begun")
    gc.collect()
    tracemalloc.start()
    try:
        things = []
        for _ in range(3):
            things += await end_a_task(executor, ending, tmp_path / "begun")

        # What a thread has just handed over goes once it comes to its next line.
        await until(lambda: gc.collect() >= 0 and not any(thing() for thing in things))
        await until(lambda: gc.collect() >= 0 and tracemalloc.get_traced_memory()[0] < MANY / 2)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", [ThreadExecutor, LocalExecutor, DaskExecutor])
async def test_nothing_of_a_task_that_cannot_be_sent_is_kept(form) -> None:
    class Thing:
        def __reduce__(self) -> str:
            raise ValueError("on purpose")

        def __deepcopy__(self, memo: object) -> "Thing":
            return self

    thing = Thing()
    kept = weakref.ref(thing)
    [outcome] = await asyncio.gather(
        form().execute(str, [thing], {}, "d", "unused"), return_exceptions=True
    )
    del thing, outcome

    await until(lambda: gc.collect() >= 0 and kept() is None)
