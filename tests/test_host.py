"""Hosts: every way in which `execute` can end is seen, and none of them ends the suite."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys

import cloudpickle
import pytest
from pytest_asyncexec.conformance.instruments import probes
from pytest_asyncexec.conformance.instruments.by_value import ByValue
from pytest_asyncexec.conformance.instruments.seen import Seen
from pytest_asyncexec.conformance.subject.host import NativeHost, TemplateHost, host_for
from pytest_asyncexec.reference_executor import ThreadExecutor

from pytest_asyncexec import TaskOutcome


class Ends:
    """An executor whose `execute` ends as it is told."""

    def __init__(self, ending):
        self.ending = ending

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id):
        if isinstance(self.ending, BaseException):
            raise self.ending
        return self.ending


async def _seen(ending: object) -> Seen:
    return await NativeHost().execute(Ends(ending), abs, [1])


async def test_an_outcome_is_seen() -> None:
    seen = await _seen(TaskOutcome(3, "out", "err", "COMPLETED"))

    assert seen == Seen(result=3, stdout="out", stderr="err", status="COMPLETED")
    assert seen.completed


@pytest.mark.parametrize("error", [ValueError("told so"), SystemExit(3), TimeoutError("late")])
async def test_an_error_is_seen(error: BaseException) -> None:
    seen = await _seen(error)

    assert seen.error is error
    assert not seen.completed
    assert repr(error) in seen.everything_said


async def test_the_error_of_a_coroutine_that_is_thrown_away_is_seen_where_somebody_raised_it() -> (
    None
):
    seen = await _seen(GeneratorExit("told so"))

    assert repr(seen.error) == "GeneratorExit('told so')"


async def test_a_call_that_is_thrown_away_is_not_seen() -> None:
    class Waits:
        async def execute(self, *task, **named):
            await asyncio.sleep(60)

    calling = NativeHost().execute(Waits(), abs, [1])
    calling.send(None)

    # As another thread would, in which no event loop runs.
    await asyncio.to_thread(calling.close)


async def test_what_a_synchronous_execute_raises_is_seen_whatever_it_is() -> None:
    class Raises:
        def execute(self, *task, **named):
            raise StopIteration("told so")

    seen = await asyncio.wait_for(NativeHost().execute(Raises(), abs, [1]), 60)

    assert "StopIteration: told so" in seen.everything_said


async def test_a_cancelled_error_of_nobodys_making_is_seen() -> None:
    seen = await _seen(asyncio.CancelledError())

    assert isinstance(seen.error, asyncio.CancelledError)


async def test_a_cancellation_of_the_host_is_raised() -> None:
    class Waits:
        async def execute(self, **task):
            await asyncio.Event().wait()

    executing = asyncio.ensure_future(NativeHost().execute(Waits(), abs))
    await asyncio.sleep(0)
    executing.cancel()

    with pytest.raises(asyncio.CancelledError):
        await executing


@pytest.mark.parametrize("answer", [None, 3, (1, 2), ["result", "", "", "COMPLETED"]])
async def test_what_is_no_outcome_is_seen(answer: object) -> None:
    seen = await _seen(answer)

    assert not seen.completed
    assert f"execute returned {answer!r}, not a tuple" in str(seen)


async def test_a_synchronous_executor_is_called_on_a_thread() -> None:
    class Synchronous:
        def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id):
            return asyncio.run(asyncio.sleep(0, ("ran", "", "", "COMPLETED")))

    seen = await NativeHost().execute(Synchronous(), abs)

    assert seen.result == "ran"


async def test_the_template_host_runs_setup_run_and_teardown(tmp_path) -> None:
    executor = ThreadExecutor()
    host = TemplateHost(host_for(executor))

    seen = await host.execute(executor, pow, [2, 10], results_dir=str(tmp_path))

    assert seen.result == 1024


@pytest.mark.parametrize("pickler", [pickle, cloudpickle])
def test_a_probe_needs_nothing_of_this_package_on_the_worker(pickler) -> None:
    # A worker on another machine has cloudpickle, and has never heard of this package.
    carried = pickler.dumps(ByValue(probes.echo))
    code = (
        "import sys, pickle; echo = pickle.load(sys.stdin.buffer); print(echo('heard'));"
        "assert not [name for name in sys.modules if name.startswith('pytest')]"
    )

    worker = subprocess.run([sys.executable, "-c", code], input=carried, capture_output=True)

    assert worker.stdout.strip() == b"heard", worker.stderr.decode()
