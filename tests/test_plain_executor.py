"""The synchronous base class: plain methods, called in threads."""

from __future__ import annotations

import asyncio
import functools
import json
import queue
import subprocess
import sys
import threading
from contextvars import ContextVar
from typing import Any

import pytest
from pytest_asyncexec.reference_executor import ThreadExecutor

from pytest_asyncexec import (
    AsyncBaseExecutor,
    BaseExecutor,
    DispatchInfo,
    TaskCancelledError,
    TaskRuntimeError,
    TaskStatus,
    TaskTimeoutError,
    get_active_dispatch,
    run_task,
)

pytest_plugins = ["pytester"]

PATIENCE = 60


async def execute(executor: Any, function: Any, *args: Any) -> Any:
    return await executor.execute(function, list(args), {}, "d", "unused", 7)


class Calls(BaseExecutor):
    """Calls the function in the thread of `run`."""

    def run(self, function, args, kwargs, task_metadata):
        return function(*args, **kwargs)


# -- as a plugin's author knows it


class ShelfExecutor(BaseExecutor):
    """A plugin as its author wrote it for Covalent's synchronous class, but for the import line."""

    def __init__(self, shelf: str = "A", *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.shelf = shelf
        self._jobs: dict[str, threading.Event] = {}
        self._events: list[str] = []

    def setup(self, task_metadata: dict) -> Any:
        self._events.append("setup")

    def run(self, function, args: list, kwargs: dict, task_metadata: dict) -> Any:
        job_id = f"{task_metadata['dispatch_id']}-{task_metadata['node_id']}"
        self._jobs[job_id] = stopped = threading.Event()
        if self.get_cancel_requested():
            raise TaskCancelledError(f"{job_id} was not even begun")
        self.set_job_handle(job_id)
        print("on shelf", self.shelf, file=self.task_stdout)
        self.task_stderr.write("dusty\n")
        try:
            return function(stopped, *args, **kwargs)
        except ZeroDivisionError as error:
            raise TaskRuntimeError("there is nothing on it") from error
        finally:
            self._events.append("run ends")

    def cancel(self, task_metadata: dict, job_handle: Any) -> bool:
        self._events.append(f"cancel {job_handle}")
        job = self._jobs.get(job_handle)
        if job is None:
            return False
        job.set()
        return True

    def teardown(self, task_metadata: dict) -> Any:
        self._events.append("teardown")


def holds(stopped: threading.Event, held: threading.Event | None = None) -> str:
    if held is not None:
        held.set()
    if not stopped.wait(PATIENCE):
        return "nobody stopped it"
    raise TaskCancelledError("stopped")


async def test_a_covalent_plugin_with_only_its_import_line_changed(tmp_path) -> None:
    executor = ShelfExecutor("B", "out.log", log_stderr="err.log", retries=1)
    handles: list[Any] = []

    outcome = await run_task(
        executor,
        lambda stopped, a, b: a + b,
        [1],
        {"b": 2},
        "d",
        str(tmp_path),
        7,
        cancel_requested=lambda: asyncio.sleep(0, False),
        on_job_handle=handles.append,
    )

    assert outcome == (3, "on shelf B\n", "dusty\n", TaskStatus.COMPLETED)
    assert executor._events == ["setup", "run ends", "teardown"]
    assert handles == ["d-7"]
    assert (tmp_path / "d" / "out.log").read_text() == "on shelf B\n"
    assert (tmp_path / "d" / "err.log").read_text() == "dusty\n"


async def test_its_failures_are_those_of_the_asynchronous_class() -> None:
    executor = ShelfExecutor(retries=2)

    failed = await execute(executor, lambda stopped: 1 / 0)
    assert (failed.result, failed.status) == (None, TaskStatus.FAILED)
    assert "there is nothing on it" in failed.stderr
    assert executor._events.count("run ends") == 3

    with pytest.raises(LookupError, match="why"):
        await execute(executor, lambda stopped: {}["why"])


def test_it_needs_no_event_loop_but_for_the_call() -> None:
    outcome = asyncio.run(execute(ShelfExecutor(), lambda stopped: "done"))

    assert (outcome.result, outcome.status) == ("done", "COMPLETED")


async def test_a_host_that_wants_it_no_more_is_heard_in_the_thread() -> None:
    executor = ShelfExecutor()
    asked: list[int] = []

    def answer() -> bool:
        asked.append(threading.get_ident())
        return len(asked) > 2

    outcome = await run_task(
        executor, lambda stopped: 1, [], {}, "d", ".", 7, cancel_requested=answer
    )

    assert outcome.status == TaskStatus.CANCELLED
    assert "d-7 was not even begun" in outcome.stderr
    assert set(asked) == {threading.get_ident()}


async def test_it_travels_as_the_asynchronous_class_does() -> None:
    described = ShelfExecutor("C", retries=2, time_limit=9.5).to_dict()

    assert described == json.loads(json.dumps(described))
    assert described["type"] == f"{__name__}.ShelfExecutor"
    assert described["attributes"] == {
        "log_stdout": "",
        "log_stderr": "",
        "cache_dir": "",
        "time_limit": 9.5,
        "retries": 2,
        "shelf": "C",
    }
    executor = ShelfExecutor()
    assert executor.from_dict(described) is executor
    assert executor.to_dict() == described
    with executor.get_dispatch_context(DispatchInfo("other")) as info:
        assert get_active_dispatch() == info
    assert not isinstance(executor, AsyncBaseExecutor)


# -- threads and contexts


async def test_every_method_has_a_thread_and_none_is_the_loops() -> None:
    threads: dict[str, int] = {}

    class Executor(BaseExecutor):
        def setup(self, task_metadata):
            threads["setup"] = threading.get_ident()

        def run(self, function, args, kwargs, task_metadata):
            threads["run"] = threading.get_ident()

        def teardown(self, task_metadata):
            threads["teardown"] = threading.get_ident()

    assert (await execute(Executor(), None)).status == TaskStatus.COMPLETED

    assert threads.keys() == {"setup", "run", "teardown"}
    assert threading.get_ident() not in threads.values()


async def test_context_variables_reach_the_threads_and_each_other() -> None:
    of_host: ContextVar[str] = ContextVar("of_host")
    of_task: ContextVar[str] = ContextVar("of_task", default="nothing")
    seen: list[Any] = []

    class Executor(BaseExecutor):
        def setup(self, task_metadata):
            of_task.set("from setup")

        def run(self, function, args, kwargs, task_metadata):
            seen.append((of_host.get(), of_task.get(), get_active_dispatch()))
            of_task.set("from run")

        def teardown(self, task_metadata):
            seen.append(of_task.get())

    of_host.set("from the host")
    await execute(Executor(), None)

    assert seen == [("from the host", "from setup", DispatchInfo("d")), "from run"]
    assert of_task.get() == "nothing"


async def test_a_hundred_tasks_wait_for_each_other() -> None:
    # Each ends only once all have begun: as many threads as there are tasks.
    barrier = threading.Barrier(100)

    outcomes = await asyncio.gather(
        *(execute(Calls(), lambda number: (barrier.wait(PATIENCE), number)[1], n)
          for n in range(100))
    )  # fmt: skip

    assert [outcome.result for outcome in outcomes] == list(range(100))


async def test_the_loop_is_not_blocked() -> None:
    go_on = threading.Event()
    executing = asyncio.create_task(execute(Calls(), lambda: go_on.wait(PATIENCE)))
    await asyncio.sleep(0)
    go_on.set()

    assert (await executing).result is True


def test_a_thread_that_hangs_keeps_nothing_from_ending() -> None:
    script = (
        "import asyncio, threading\n"
        "from pytest_asyncexec import BaseExecutor\n"
        "class Hangs(BaseExecutor):\n"
        "    def run(self, function, args, kwargs, task_metadata):\n"
        "        loop.call_soon_threadsafe(loop.stop)\n"
        "        threading.Event().wait()\n"
        "loop = asyncio.new_event_loop()\n"
        "task = loop.create_task(Hangs().execute(abs, [1], {}, 'd', '.'))\n"
        "loop.run_forever()\n"
        "print('over', flush=True)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE
    )

    assert (done.stdout, done.returncode) == ("over\n", 0)


# -- stopping


async def test_a_limit_is_kept_by_cancel_and_told_once_run_has_returned() -> None:
    executor = ShelfExecutor(time_limit=0.05)

    with pytest.raises(TaskTimeoutError):
        await execute(executor, holds)

    assert executor._events == ["setup", "cancel d-7", "run ends", "teardown"]


async def test_a_late_attempt_is_tried_again() -> None:
    executor = ShelfExecutor(time_limit=0.2, retries=1)
    attempts: list[int] = []

    def late_at_first(stopped: threading.Event) -> Any:
        attempts.append(1)
        return holds(stopped) if len(attempts) == 1 else "in time"

    assert (await execute(executor, late_at_first)).result == "in time"


async def test_a_cancelled_execute_ends_once_run_has_returned() -> None:
    executor, held = ShelfExecutor(), threading.Event()
    executing = asyncio.create_task(execute(executor, functools.partial(holds, held=held)))
    await asyncio.to_thread(held.wait, PATIENCE)

    for _ in range(3):
        executing.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await executing

    assert executor._events == ["setup", "cancel d-7", "run ends", "teardown"]


async def test_cancel_is_asked_again_where_it_was_too_early_or_failed() -> None:
    answers = queue.SimpleQueue()
    for answer in (False, OSError("no connection"), False):
        answers.put(answer)
    over = threading.Event()

    class Executor(BaseExecutor):
        def run(self, function, args, kwargs, task_metadata):
            over.wait(PATIENCE)
            raise TaskCancelledError

        def cancel(self, task_metadata, job_handle):
            try:
                answer = answers.get_nowait()
            except queue.Empty:
                over.set()
                return True
            if isinstance(answer, Exception):
                raise answer
            return answer

    with pytest.raises(TaskTimeoutError):
        await execute(Executor(time_limit=0.01), None)

    assert over.is_set()


async def test_a_job_that_is_known_late_is_cancelled_by_its_handle() -> None:
    cancelled: list[Any] = []
    asked, over = threading.Event(), threading.Event()

    class Executor(BaseExecutor):
        def run(self, function, args, kwargs, task_metadata):
            asked.wait(PATIENCE)
            self.set_job_handle({"pid": 1})
            over.wait(PATIENCE)

        def cancel(self, task_metadata, job_handle):
            cancelled.append(job_handle)
            asked.set()
            if job_handle == {"pid": 1}:
                over.set()
            return True  # a careless plugin says so of a job that it does not know

    with pytest.raises(TaskTimeoutError):
        await execute(Executor(time_limit=0.01), None)

    assert cancelled == [None, {"pid": 1}]


async def test_a_run_that_looks_whether_it_is_wanted_stops_itself() -> None:
    class Polls(BaseExecutor):
        cannot = frozenset()

        def run(self, function, args, kwargs, task_metadata):
            pause = threading.Event()
            while not self.get_cancel_requested():
                pause.wait(0.01)
            raise TaskCancelledError

    with pytest.raises(TaskTimeoutError):
        await execute(Polls(time_limit=0.02), None)

    executing = asyncio.create_task(execute(Polls(), None))
    await asyncio.sleep(0.02)
    executing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await executing


async def test_without_a_cancel_of_its_own_a_class_refuses_limits_before_anything_runs() -> None:
    history: list[str] = []

    class Executor(Calls):
        def setup(self, task_metadata):
            history.append("setup")

    assert Executor.cannot == {"stop"}
    with pytest.raises(ValueError, match=r"Executor cannot keep time_limit=5, .* stop a task"):
        await execute(Executor(time_limit=5), history.append, "run")
    assert history == []
    assert (await execute(Executor(time_limit=0), abs, -1)).result == 1


def test_what_a_class_says_of_itself_stands() -> None:
    class Stops(Calls):
        def cancel(self, task_metadata, job_handle):
            return True

    class Mixin:
        def cancel(self, task_metadata, job_handle):
            return True

    class StopsByMixin(Mixin, Calls):
        pass

    class SaysSo(Stops):
        cannot = frozenset({"stop", "streams"})

    class Below(SaysSo):
        def cancel(self, task_metadata, job_handle):
            return False

    assert Calls.cannot == {"stop"}
    assert Stops.cannot == StopsByMixin.cannot == frozenset()
    assert SaysSo.cannot == Below.cannot == {"stop", "streams"}


async def test_who_cannot_stop_waits_for_the_end_before_the_teardown() -> None:
    history: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    class Executor(Calls):
        def teardown(self, task_metadata):
            history.append("teardown")

    def function() -> None:
        begun.set()
        go_on.wait(PATIENCE)
        history.append("run ends")

    executing = asyncio.create_task(execute(Executor(), function))
    await asyncio.to_thread(begun.wait, PATIENCE)
    executing.cancel()
    await asyncio.wait({executing}, timeout=0.05)
    assert history == []
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await executing

    assert history == ["run ends", "teardown"]


async def test_by_default_nothing_can_be_cancelled() -> None:
    assert Calls().cancel({}, None) is False
    assert Calls().get_cancel_requested() is False


# -- mistakes


@pytest.mark.parametrize("name", ["setup", "run", "teardown", "cancel"])
def test_a_coroutine_function_is_refused_where_the_class_is_defined(name) -> None:
    async def method(self, *args: Any, **kwargs: Any) -> None: ...

    @functools.wraps(method)
    def wrapped(self, *args: Any, **kwargs: Any) -> Any:
        return method(self, *args, **kwargs)

    async def generator(self, *args: Any, **kwargs: Any) -> Any:
        yield

    for wrong in (method, wrapped, generator):
        with pytest.raises(
            TypeError, match=rf"Wrong\.{name} is a coroutine function, .*AsyncBaseExecutor"
        ):
            type("Wrong", (Calls,), {name: wrong})
        with pytest.raises(TypeError, match=rf"Wrong\.{name} is a coroutine function"):
            type("Wrong", (type("Mixin", (), {name: wrong}), Calls), {})


def test_the_suite_tells_so_in_one_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        wrong_plugin="""
        from pytest_asyncexec import BaseExecutor

        class Wrong(BaseExecutor):
            async def run(self, function, args, kwargs, task_metadata):
                return function(*args, **kwargs)
        """
    )

    result = pytester.runpytest_subprocess("asyncexec", "--asyncexec-plugin=wrong_plugin:Wrong")

    assert result.ret == 4
    result.stderr.fnmatch_lines(["*Wrong.run is a coroutine function, *AsyncBaseExecutor*"])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_the_methods_of_an_asynchronous_executor_are_refused_too() -> None:
    with pytest.raises(TypeError, match=r"is a coroutine function"):
        type("Both", (ThreadExecutor, BaseExecutor), {})


async def test_a_run_that_returns_a_coroutine_is_told() -> None:
    async def never() -> None: ...

    with pytest.raises(TypeError, match=r"returned a coroutine.* AsyncBaseExecutor"):
        await execute(Calls(), never)


def test_run_must_be_implemented() -> None:
    with pytest.raises(TypeError, match=r"abstract method '?run"):
        BaseExecutor()


async def test_the_host_is_not_asked_on_its_own_thread() -> None:
    class Executor(AsyncBaseExecutor):
        async def run(self, function, args, kwargs, task_metadata):
            return BaseExecutor.get_cancel_requested(self)

    with pytest.raises(RuntimeError, match="thread of the event loop"):
        await run_task(
            Executor(), None, [], {}, "d", ".", cancel_requested=lambda: asyncio.sleep(0, False)
        )


@pytest.mark.parametrize("handle", [object(), {1: 2}, float("nan"), b"x"])
def test_a_job_handle_must_be_json(handle) -> None:
    with pytest.raises(TypeError, match="the job handle"):
        Calls().set_job_handle(handle)


# -- streams


async def test_streams_are_written_where_it_may_block_and_where_it_may_not(tmp_path) -> None:
    executor = Calls()
    await asyncio.to_thread(executor.write_streams_to_file, ["a"], ["log"], "d", str(tmp_path))
    executor.write_streams_to_file(["b"], ["log"], "d", str(tmp_path))

    assert (tmp_path / "d" / "log").read_text() == "ab"
    with pytest.raises(ValueError, match="one path for each stream"):
        executor.write_streams_to_file(["b"], [], "d", str(tmp_path))


async def test_logs_go_where_a_subclass_writes_them() -> None:
    written: list[Any] = []

    class Executor(Calls):
        def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
            written.append((list(stream_strings), list(filepaths), dispatch_id, results_dir))

        def run(self, function, args, kwargs, task_metadata):
            print("said", file=self.task_stdout)

    await execute(Executor("out", "err"), None)

    assert written == [(["said\n", ""], ["out", "err"], "d", "unused")]
