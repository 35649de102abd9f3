"""The base class, and the template by which a host runs a task."""

import asyncio
import copy
import io
import json
import logging
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import cloudpickle
import pytest

from pytest_asyncexec import (
    AsyncBaseExecutor,
    TaskCancelledError,
    TaskOutcome,
    TaskRuntimeError,
    TaskStatus,
    TaskTimeoutError,
    run_task,
)

COMPLETED, FAILED, CANCELLED = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED


class Recorder(AsyncBaseExecutor):
    """Calls the function here, awaits what it returns, and notes what happens."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._history: list[str] = []

    async def setup(self, task_metadata) -> None:
        self._history.append("setup")

    async def run(self, function, args, kwargs, task_metadata) -> Any:
        self._history.append("run")
        result = function(*args, **kwargs)
        return await result if asyncio.iscoroutine(result) else result

    async def teardown(self, task_metadata) -> None:
        self._history.append("teardown")


async def execute(executor: Any, function: Any = None, *args: Any, **kwargs: Any) -> TaskOutcome:
    return await executor.execute(function or (lambda: None), list(args), kwargs, "d", "unused", 7)


async def for_ever() -> None:
    await asyncio.Event().wait()


def raising(error: BaseException):
    def function() -> None:
        raise error

    return function


def failing(times: int, error: type[Exception] = ValueError):
    """Return a function that fails as often as told, and then returns how often it was called."""
    calls = 0

    def function() -> int:
        nonlocal calls
        calls += 1
        if calls <= times:
            raise error(f"failure {calls}")
        return calls

    return function


# -- a task from beginning to end


async def test_a_task_is_set_up_run_and_torn_down() -> None:
    executor = Recorder()

    outcome = await execute(executor, lambda a, b: a + b, 1, b=2)

    assert outcome == TaskOutcome(3, "", "", COMPLETED)
    assert executor._history == ["setup", "run", "teardown"]


async def test_an_outcome_unpacks_as_hosts_expect() -> None:
    result, stdout, stderr, status = await execute(Recorder(), lambda: 1)

    assert (result, stdout, stderr, status) == (1, "", "", "COMPLETED")


async def test_arguments_of_any_name_reach_the_task() -> None:
    kwargs = {"function": 1, "args": 2, "kwargs": 3, "self": 4, "timeout": 5, "task_metadata": 6}

    outcome = await Recorder().execute(lambda **given: given, [], kwargs, "d", "unused")

    assert outcome.result == kwargs


async def test_any_error_of_the_task_is_raised_as_it_is() -> None:
    executor = Recorder()
    error = ZeroDivisionError("by the task")

    with pytest.raises(ZeroDivisionError) as caught:
        await execute(executor, raising(error))

    assert caught.value is error
    assert not hasattr(error, "__notes__")
    assert executor._history == ["setup", "run", "teardown"]


async def test_a_task_runtime_error_is_the_status_failed() -> None:
    error = TaskRuntimeError("out of paper")
    error.add_note("tray 2")

    outcome = await execute(Recorder(), raising(error))

    assert outcome == TaskOutcome(None, "", "out of paper\ntray 2\n", FAILED)


async def test_a_message_already_in_stderr_is_not_repeated() -> None:
    class Executor(Recorder):
        async def run(self, function, args, kwargs, task_metadata) -> Any:
            self.task_stderr.write("printer: out of paper!")
            raise TaskRuntimeError("out of paper")

    outcome = await execute(Executor())

    assert outcome.stderr == "printer: out of paper!"


async def test_a_task_cancelled_error_is_the_status_cancelled() -> None:
    executor = Recorder(retries=3)

    outcome = await execute(executor, raising(TaskCancelledError()))

    assert outcome == TaskOutcome(None, "", "", CANCELLED)
    assert executor._history == ["setup", "run", "teardown"]


async def test_a_cancelled_error_of_the_backend_is_the_status_cancelled() -> None:
    async def backend() -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    assert (await execute(Recorder(), backend)).status == CANCELLED


async def test_system_exit_is_a_failed_task() -> None:
    outcome = await execute(Recorder(retries=1), raising(SystemExit(3)))

    assert outcome.status == FAILED
    assert "SystemExit(3)" in outcome.stderr


@pytest.mark.parametrize("host", [Recorder.execute, run_task])
async def test_a_task_that_is_given_no_node_id_has_none(host) -> None:
    seen = []

    class Reading(Recorder):
        async def run(self, function, args, kwargs, task_metadata) -> None:
            seen.append(task_metadata["node_id"])

    await host(Reading(), len, [""], {}, "d", "unused")

    assert seen == [-1]


async def test_metadata_are_equal_for_all_and_changed_for_none() -> None:
    seen = []

    class Executor(Recorder):
        async def setup(self, task_metadata) -> None:
            seen.append(dict(task_metadata))
            task_metadata.clear()

        async def run(self, function, args, kwargs, task_metadata) -> None:
            seen.append(dict(task_metadata))
            task_metadata["node_id"] = 8

        teardown = setup

    await execute(Executor())

    assert seen == [{"dispatch_id": "d", "node_id": 7, "results_dir": "unused"}] * 3


async def test_the_callers_arguments_never_change() -> None:
    original = {"items": [1]}

    outcome = await execute(Recorder(), lambda data: data["items"].append(2) or data, original)

    assert outcome.result == {"items": [1, 2]}
    assert original == {"items": [1]}


async def test_what_cannot_be_copied_is_handed_on_and_the_rest_is_copied() -> None:
    lock, items = threading.Lock(), [1]

    outcome = await execute(Recorder(), lambda *both: both, lock, items)

    assert outcome.result[0] is lock
    assert outcome.result[1] == items
    assert outcome.result[1] is not items


# -- setup and teardown that fail


async def test_a_failed_setup_is_torn_down_without_a_run() -> None:
    class Executor(Recorder):
        async def setup(self, task_metadata) -> None:
            self._history.append("setup")
            raise ConnectionError("no route")

    executor = Executor(retries=2)
    with pytest.raises(ConnectionError, match="no route"):
        await execute(executor)

    assert executor._history == ["setup", "teardown"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TaskRuntimeError, FAILED),
        (TaskCancelledError, CANCELLED),
        (asyncio.CancelledError, CANCELLED),
    ],
)
async def test_the_task_errors_mean_the_same_in_setup(error, status) -> None:
    class Executor(Recorder):
        async def setup(self, task_metadata) -> None:
            raise error

    executor = Executor()
    assert (await execute(executor)).status == status
    assert executor._history == ["teardown"]


class BadTeardown(Recorder):
    async def teardown(self, task_metadata) -> None:
        self._history.append("teardown")
        raise OSError("still running")


async def test_a_result_outlives_a_failed_teardown(caplog) -> None:
    outcome = await execute(BadTeardown(), lambda: 42)

    assert outcome.result == 42
    assert outcome.status == COMPLETED
    assert "OSError('still running')" in outcome.stderr
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.message == "The teardown of the task of dispatch 'd', node 7 failed"
    assert "still running" in caplog.text


async def test_an_error_of_the_task_outlives_a_failed_teardown() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        await execute(BadTeardown(), lambda: 1 / 0)

    [note] = caught.value.__notes__
    assert "teardown" in note
    assert "OSError('still running')" in note


@pytest.mark.parametrize("error", [SystemExit, asyncio.CancelledError])
async def test_a_teardown_cannot_end_the_host(error) -> None:
    class Executor(Recorder):
        async def teardown(self, task_metadata) -> None:
            raise error

    outcome = await execute(Executor(), lambda: 42)

    assert (outcome.result, outcome.status) == (42, COMPLETED)
    assert error.__name__ in outcome.stderr


# -- retries


@pytest.mark.parametrize("failures", [0, 1, 3])
async def test_a_task_is_attempted_until_it_succeeds(failures) -> None:
    executor = Recorder(retries=3)

    outcome = await execute(executor, failing(failures))

    assert outcome.result == failures + 1
    assert executor._history == ["setup", *["run"] * (failures + 1), "teardown"]


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_the_last_error_wins(retries) -> None:
    executor = Recorder(retries=retries)

    with pytest.raises(ValueError, match=f"^failure {retries + 1}$"):
        await execute(executor, failing(9))

    assert executor._history.count("run") == retries + 1
    assert executor.retries == retries


async def test_a_failed_status_is_retried_as_any_failure() -> None:
    outcome = await execute(Recorder(retries=1), failing(1, TaskRuntimeError))

    assert (outcome.result, outcome.status, outcome.stderr) == (2, COMPLETED, "")


async def test_each_attempt_gets_the_original_arguments() -> None:
    seen = []

    def greedy(items: list[int], more: list[int]) -> None:
        seen.append((list(items), list(more)))
        items.clear()
        more.clear()
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        await execute(Recorder(retries=2), greedy, [1], more=[2])

    assert seen == [([1], [2])] * 3


async def test_the_output_of_all_attempts_is_kept_in_order() -> None:
    class Executor(Recorder):
        async def run(self, function, args, kwargs, task_metadata) -> Any:
            self._history.append("run")
            attempt = self._history.count("run")
            self.task_stdout.write(f"out {attempt}\n")
            self.task_stderr.write(f"err {attempt}\n")
            if attempt < 3:
                raise ValueError
            return "done"

    outcome = await execute(Executor(retries=2))

    assert outcome == ("done", "out 1\nout 2\nout 3\n", "err 1\nerr 2\nerr 3\n", COMPLETED)


async def test_no_attempt_follows_once_the_host_wants_the_task_cancelled() -> None:
    executor = Recorder(retries=5)

    async def cancel_requested() -> bool:
        return executor._history.count("run") == 2

    outcome = await run_task(
        executor, failing(9), [], {}, "d", "unused", cancel_requested=cancel_requested
    )

    assert outcome.status == CANCELLED
    assert executor._history.count("run") == 2


# -- time limits


@pytest.mark.parametrize(
    "limit", [-1, 0, -0.5, None, float("inf"), pytest.param(10**400, id="huge"), 1e300]
)
async def test_no_limit_means_no_limit(limit) -> None:
    async def some_steps() -> str:
        for _ in range(5):
            await asyncio.sleep(0.001)
        return "done"

    assert (await execute(Recorder(time_limit=limit), some_steps)).result == "done"


async def test_a_task_over_its_limit_times_out() -> None:
    executor = Recorder(time_limit=0.01)

    with pytest.raises(TaskTimeoutError) as caught:
        await execute(executor, for_ever)

    assert str(caught.value) == (
        "The task of dispatch 'd', node 7 took longer than its time_limit of 0.01 seconds "
        "(attempt 1 of 1)"
    )
    assert isinstance(caught.value, TimeoutError)
    assert executor._history == ["setup", "run", "teardown"]
    assert executor.time_limit == 0.01


async def test_a_time_out_is_retried_and_each_attempt_has_the_whole_limit() -> None:
    executor = Recorder(time_limit=0.01, retries=2)

    with pytest.raises(TaskTimeoutError, match=r"\(attempt 3 of 3\)"):
        await execute(executor, for_ever)

    assert executor._history == ["setup", "run", "run", "run", "teardown"]


@pytest.mark.parametrize(
    "ending", [None, KeyError("late"), TaskRuntimeError(), TaskCancelledError()]
)
async def test_over_the_limit_nothing_else_counts(ending) -> None:
    async def stubborn() -> str:
        try:
            await for_ever()
        except asyncio.CancelledError:
            if ending is not None:
                raise ending from None
        return "done all the same"

    with pytest.raises(TaskTimeoutError):
        await execute(Recorder(time_limit=0.01), stubborn)


async def test_a_timeout_error_of_the_tasks_own_passes_as_it_is() -> None:
    error = TimeoutError("mine")

    with pytest.raises(TimeoutError) as caught:
        await execute(Recorder(time_limit=3600), raising(error))

    assert caught.value is error


async def test_setup_and_teardown_are_not_limited() -> None:
    class Slow(Recorder):
        async def setup(self, task_metadata) -> None:
            await asyncio.sleep(0.03)

        teardown = setup

    outcome = await execute(Slow(time_limit=0.01), lambda: "done")

    assert outcome.result == "done"


async def test_what_the_backend_enforces_is_not_enforced_twice() -> None:
    class Backend(Recorder):
        enforces = frozenset({"time_limit", "retries"})

    executor = Backend(time_limit=0.000001, retries=3)

    assert (await execute(executor, lambda: asyncio.sleep(0.01, "done"))).result == "done"
    with pytest.raises(ValueError, match="failure 1"):
        await execute(executor, failing(9))
    assert executor._history.count("run") == 2


# -- cancellation


class Held(Recorder):
    """Waits where it is told to, for ever or until it is let go on."""

    def __init__(self, where: str) -> None:
        super().__init__(retries=3)
        self._where = where
        self._reached = asyncio.Event()
        self._go_on = asyncio.Event()

    async def _pass(self, here: str) -> None:
        self._history.append(here)
        if here == self._where:
            self._reached.set()
            await self._go_on.wait()
            self._history.append(f"{here} went on")

    async def setup(self, task_metadata) -> None:
        await self._pass("setup")

    async def run(self, function, args, kwargs, task_metadata) -> None:
        await self._pass("run")

    async def teardown(self, task_metadata) -> None:
        await self._pass("teardown")


@pytest.mark.parametrize(
    ("where", "history"),
    [("setup", ["setup", "teardown"]), ("run", ["setup", "run", "teardown"])],
)
async def test_a_cancelled_task_is_torn_down(where, history) -> None:
    executor = Held(where)
    executing = asyncio.create_task(execute(executor))
    await executor._reached.wait()

    executing.cancel()

    with pytest.raises(asyncio.CancelledError):
        await executing
    assert executor._history == history
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_no_cancellation_cuts_the_teardown_short(tmp_path) -> None:
    executor = Held("teardown")
    executor.log_stdout = str(tmp_path / "out")
    executing = asyncio.create_task(execute(executor))
    await executor._reached.wait()

    for _ in range(3):
        executing.cancel()
        await asyncio.sleep(0)
    assert not executing.done()
    executor._go_on.set()

    with pytest.raises(asyncio.CancelledError):
        await executing
    assert executor._history == ["setup", "run", "teardown", "teardown went on"]
    assert (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "ending", ["returned", KeyError(), TaskRuntimeError(), TaskCancelledError()]
)
async def test_a_cancellation_that_run_swallows_is_raised_all_the_same(ending) -> None:
    started = asyncio.Event()

    async def stubborn() -> str:
        started.set()
        try:
            await for_ever()
        except asyncio.CancelledError:
            if isinstance(ending, Exception):
                raise ending from None
        return ending

    executor = Recorder(retries=3, time_limit=3600)
    executing = asyncio.create_task(execute(executor, stubborn))
    await started.wait()
    executing.cancel()

    with pytest.raises(asyncio.CancelledError):
        await executing
    assert executor._history == ["setup", "run", "teardown"]


async def test_a_time_limit_of_the_callers_own_works_around_a_task() -> None:
    executor = Recorder()

    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.01):
            await execute(executor, for_ever)

    assert not isinstance(caught.value, TaskTimeoutError)
    assert executor._history == ["setup", "run", "teardown"]


async def test_a_cancelled_task_tells_of_its_failed_teardown() -> None:
    executor = BadTeardown()
    executing = asyncio.create_task(execute(executor, for_ever))
    await asyncio.sleep(0)
    executing.cancel()

    with pytest.raises(asyncio.CancelledError) as caught:
        await executing
    assert "still running" in caught.value.__notes__[0]


def test_a_task_dropped_with_its_loop_makes_no_noise() -> None:
    coroutine = execute(Recorder(), for_ever)
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(asyncio.sleep(0))
        coroutine.close()
    finally:
        loop.close()


# -- logs


class Printer(Recorder):
    async def run(self, function, args, kwargs, task_metadata) -> Any:
        self.task_stdout.write("printed\n")
        self.task_stderr.write("warned\n")
        return await super().run(function, args, kwargs, task_metadata)


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (lambda: None, None),
        (lambda: 1 / 0, ZeroDivisionError),
        (for_ever, TaskTimeoutError),
        (raising(StopAsyncIteration()), StopAsyncIteration),
    ],
)
def test_logs_are_written_however_the_task_ends(tmp_path, function, error) -> None:
    executor = Printer("out.log", str(tmp_path / "err.log"), time_limit=0.05)
    work = executor.execute(function, [], {}, "d", str(tmp_path))

    if error is None:
        asyncio.run(work)
    else:
        with pytest.raises(error):
            asyncio.run(work)

    assert (tmp_path / "d" / "out.log").read_text() == "printed\n"
    assert (tmp_path / "err.log").read_text() == "warned\n"
    assert executor._history == ["setup", "run", "teardown"]


async def test_logs_that_cannot_be_written_do_not_lose_the_result(tmp_path, caplog) -> None:
    (tmp_path / "file").write_text("")
    executor = Printer(str(tmp_path / "file" / "out"), str(tmp_path / "err"))

    outcome = await execute(executor, lambda: 42)

    assert outcome.result == 42
    assert outcome.stderr.startswith("warned\nWriting the logs of the task of dispatch 'd', node 7")
    assert (tmp_path / "err").read_text() == "warned\n"
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_logs_that_cannot_be_written_do_not_hide_the_error(tmp_path) -> None:
    executor = Printer(str(tmp_path))

    with pytest.raises(ZeroDivisionError) as caught:
        await execute(executor, lambda: 1 / 0)

    assert "IsADirectoryError" in caught.value.__notes__[0]


# -- inside a task


async def test_concurrent_tasks_of_one_instance_do_not_share_streams() -> None:
    everybody = asyncio.Barrier(5)

    class Executor(Recorder):
        async def run(self, function, args, kwargs, task_metadata) -> Any:
            self.task_stdout.write(f"begin {args[0]}\n")
            await everybody.wait()
            await asyncio.to_thread(lambda: self.task_stdout.write(f"end {args[0]}\n"))

    executor = Executor()
    outcomes = await asyncio.gather(*(execute(executor, None, number) for number in range(5)))

    assert [outcome.stdout for outcome in outcomes] == [f"begin {n}\nend {n}\n" for n in range(5)]
    assert executor.task_stdout is executor.task_stderr is None


async def test_a_task_within_a_task_prints_to_its_own_streams() -> None:
    class Outer(Recorder):
        async def run(self, function, args, kwargs, task_metadata) -> Any:
            self.task_stdout.write("before ")
            inner = await execute(Printer())
            self.task_stdout.write("after")
            return inner.stdout

    outcome = await execute(Outer())

    assert (outcome.result, outcome.stdout) == ("printed\n", "before after")


async def test_a_context_variable_set_in_setup_is_seen_to_the_end() -> None:
    variable: ContextVar[str] = ContextVar("connection")
    seen = []

    class Executor(Recorder):
        async def setup(self, task_metadata) -> None:
            variable.set("open")

        async def run(self, function, args, kwargs, task_metadata) -> None:
            seen.append(variable.get())

        async def teardown(self, task_metadata) -> None:
            seen.append(variable.get())

    await execute(Executor())

    assert seen == ["open", "open"]


class Asking(Recorder):
    async def run(self, function, args, kwargs, task_metadata) -> Any:
        await self.set_job_handle({"pid": 1, "parts": (2, 3)})
        return await self.get_cancel_requested()


async def test_the_host_answers_and_is_told() -> None:
    handles = []

    async def told(handle: Any) -> None:
        handles.append(handle)

    async def run(**host: Any) -> Any:
        return (await run_task(Asking(), None, [], {}, "d", "unused", **host)).result

    def once_the_job_is_known() -> bool:
        return bool(handles)

    assert await run() is False
    assert await run(cancel_requested=once_the_job_is_known, on_job_handle=handles.append) is True
    assert await run(cancel_requested=lambda: asyncio.sleep(0, False), on_job_handle=told) is False
    assert handles == [{"pid": 1, "parts": [2, 3]}] * 2


@pytest.mark.parametrize("handle", [object(), {1: 2}, float("nan"), b"x"])
async def test_a_job_handle_must_be_json(handle) -> None:
    with pytest.raises(TypeError, match="the job handle"):
        await Recorder().set_job_handle(handle)


async def test_by_default_nothing_can_be_cancelled() -> None:
    assert await Recorder().cancel({}, None) is False
    assert await Recorder().get_cancel_requested() is False


# -- executors of other makes


async def test_a_synchronous_executor_runs_in_threads() -> None:
    threads = []

    class Synchronous:
        time_limit = None
        retries = 1

        def setup(self, task_metadata) -> None:
            threads.append(threading.get_ident())

        def run(self, function, args, kwargs, task_metadata) -> Any:
            threads.append(threading.get_ident())
            return function(*args, **kwargs)

        def teardown(self, task_metadata) -> None:
            threads.append(threading.get_ident())

    outcome = await run_task(Synchronous(), failing(1), [], {}, "d", "unused")

    assert outcome.result == 2
    assert len(threads) == 4
    assert threading.get_ident() not in threads


async def test_stop_iteration_out_of_a_thread_hangs_nobody() -> None:
    class Synchronous:
        def run(self, function, args, kwargs, task_metadata) -> Any:
            raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        await run_task(Synchronous(), None, [], {}, "d", "unused")


async def test_a_method_may_return_an_awaitable() -> None:
    class Odd:
        def run(self, function, args, kwargs, task_metadata) -> Any:
            return asyncio.sleep(0, "slept")

    assert (await run_task(Odd(), None, [], {}, "d", "unused")).result == "slept"


async def test_streams_of_an_executors_own_are_read() -> None:
    class Own:
        task_stdout = io.StringIO("mine")
        task_stderr = None

        async def run(self, function, args, kwargs, task_metadata) -> None: ...

    outcome = await run_task(Own(), None, [], {}, "d", "unused")

    assert (outcome.stdout, outcome.stderr) == ("mine", "")


@pytest.mark.parametrize(
    ("attributes", "error", "message"),
    [
        ({"time_limit": ""}, TypeError, r"Odd\.time_limit must be a number of seconds, not ''"),
        ({"time_limit": float("nan")}, ValueError, "not nan"),
        ({"retries": None}, TypeError, r"Odd\.retries must be an int, not None"),
        ({"retries": -1}, ValueError, "must not be negative, got -1"),
        ({"enforces": "retries"}, TypeError, r"write frozenset\(\{'retries'\}\)"),
    ],
)
async def test_rubbish_in_a_foreign_executor_is_refused_before_anything_runs(
    attributes, error, message
) -> None:
    class Odd(Recorder):
        pass

    executor = Odd()
    vars(executor).update(attributes)
    with pytest.raises(error, match=message):
        await execute(executor)

    assert executor._history == []


# -- construction


def test_the_documented_defaults() -> None:
    executor = Recorder()

    assert (executor.log_stdout, executor.log_stderr, executor.cache_dir) == ("", "", "")
    assert (executor.time_limit, executor.retries) == (-1, 0)
    assert executor.enforces == executor.cannot == frozenset()


def test_given_values_are_kept_as_given() -> None:
    executor = Recorder("o", "e", "c", 0, 2)

    assert vars(executor) == {
        "log_stdout": "o",
        "log_stderr": "e",
        "cache_dir": "c",
        "time_limit": 0,
        "retries": 2,
        "_history": [],
    }
    assert Recorder(time_limit=None).time_limit == -1
    assert Recorder(time_limit=2.5).time_limit == 2.5


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("time_limit", True, TypeError),
        ("time_limit", "60", TypeError),
        ("time_limit", float("nan"), ValueError),
        ("retries", True, TypeError),
        ("retries", 1.0, TypeError),
        ("retries", None, TypeError),
        ("retries", -1, ValueError),
        ("log_stdout", None, TypeError),
        ("log_stderr", b"x", TypeError),
        ("cache_dir", io, TypeError),
    ],
)
def test_a_value_outside_its_domain_is_refused_by_name(name, value, error) -> None:
    with pytest.raises(error, match=rf"Recorder\.{name} must .*{str(value)[:5]}"):
        Recorder(**{name: value})


def test_an_unknown_keyword_is_refused() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'timelimit'"):
        Recorder(timelimit=3)


def test_run_must_be_implemented() -> None:
    with pytest.raises(TypeError, match="abstract method"):
        AsyncBaseExecutor()


# -- to_dict and from_dict


class Plugin(Recorder):
    def __init__(self, options: Any = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.options = options
        self._secret = "hidden"


@dataclass
class AsDataclass(AsyncBaseExecutor):
    host: str = "localhost"
    ports: tuple[int, ...] = (1, 2)

    async def run(self, function, args, kwargs, task_metadata) -> Any: ...


class InSlots(Recorder):
    __slots__ = ("host", "unset")

    def __init__(self, host: str = "here") -> None:
        super().__init__()
        self.host = host


class WithProperty(Recorder):
    def __init__(self) -> None:
        super().__init__()
        self._port = 1

    @property
    def port(self) -> int:
        return self._port

    @port.setter
    def port(self, value: int) -> None:
        if value < 0:
            raise ValueError("no such port")
        self._port = value

    @property
    def address(self) -> str:
        return f"localhost:{self._port}"


def test_an_executor_as_json() -> None:
    as_dict = Plugin({"x": (1, None)}, retries=1).to_dict()

    assert as_dict == {
        "type": f"{__name__}.Plugin",
        "short_name": "test_executor",
        "attributes": {
            "log_stdout": "",
            "log_stderr": "",
            "cache_dir": "",
            "time_limit": -1,
            "retries": 1,
            "options": {"x": [1, None]},
        },
    }
    assert json.loads(json.dumps(as_dict, allow_nan=False)) == as_dict


@pytest.mark.parametrize(
    ("executor", "own"),
    [
        (AsDataclass(), {"host": "localhost", "ports": [1, 2]}),
        (InSlots(), {"host": "here"}),
        (WithProperty(), {"port": 1}),
    ],
)
def test_attributes_of_every_make_travel(executor, own) -> None:
    documented = Recorder().to_dict()["attributes"]
    as_dict = executor.to_dict()
    assert as_dict["attributes"] == documented | own

    as_dict["attributes"].update(dict.fromkeys(own, 5))
    other = type(executor)()
    assert other.from_dict(as_dict) is other
    assert other.to_dict() == as_dict


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ({"x": [1, 2, object()]}, TypeError, r"attributes\.options\['x'\]\[2\] is <object"),
        ([float("nan")], ValueError, r"attributes\.options\[0\] is nan"),
        (float("-inf"), ValueError, r"attributes\.options is -inf"),
        ({1: 2}, TypeError, r"attributes\.options has the key 1"),
        (b"x", TypeError, r"attributes\.options is b'x' of type bytes"),
        ({1, 2}, TypeError, "of type set"),
    ],
)
def test_what_json_cannot_hold_is_named(value, error, message) -> None:
    with pytest.raises(error, match=message):
        Plugin(value).to_dict()


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)

    with pytest.raises(ValueError, match=r"attributes\.options\[0\] contains itself"):
        Plugin(loop).to_dict()
    twice = [1]
    assert Plugin([twice, twice]).to_dict()["attributes"]["options"] == [[1], [1]]


def test_subclasses_of_json_types_become_the_types_themselves() -> None:
    [status] = Plugin([TaskStatus.FAILED]).to_dict()["attributes"]["options"]

    assert status == "FAILED"
    assert type(status) is str


def test_nothing_mutable_is_shared() -> None:
    plugin = Plugin({"x": []})
    as_dict = plugin.to_dict()
    other = Plugin().from_dict(as_dict)

    as_dict["attributes"]["options"]["x"].append("from outside")

    assert plugin.options == other.options == {"x": []}


def test_an_older_dictionary_leaves_the_rest_alone() -> None:
    plugin = Plugin("kept", retries=3)

    assert plugin.from_dict({"attributes": {"retries": 1}}) is plugin
    assert (plugin.options, plugin.retries) == ("kept", 1)
    assert plugin.from_dict({}) is plugin
    assert (plugin.options, plugin.retries) == ("kept", 1)


@pytest.mark.parametrize(
    "type_name", [f"{__name__}.Plugin", f"{__name__}:Plugin", f"<class '{__name__}.Plugin'>"]
)
def test_the_type_may_be_written_in_three_ways(type_name) -> None:
    plugin = Plugin().from_dict({"type": type_name, "attributes": {"options": 1}})

    assert plugin.options == 1


@pytest.mark.parametrize(
    ("object_dict", "error", "message"),
    [
        (None, TypeError, "not None"),
        ([], TypeError, r"not \[\]"),
        ({"type": "x.Y"}, ValueError, "of the executor class 'x.Y'"),
        ({"type": "os.system", "attributes": {}}, ValueError, "'os.system'"),
        ({"type": 3, "attributes": {}}, TypeError, "'type' must be a str, not 3"),
        ({"short_name": 3, "attributes": {}}, TypeError, "'short_name' must be a str"),
        ({"short_name": "x"}, ValueError, "has no 'attributes'"),
        ({"attributes": [1]}, TypeError, r"'attributes' must be a dictionary, not \[1\]"),
        ({"attributes": {1: 1}}, TypeError, "attributes has the key 1"),
        ({"attributes": {"retries": 2, "options": {1}}}, TypeError, r"\['options'\]"),
        ({"attributes": {"retries": 2, "time_limit": "x"}}, TypeError, "Plugin.time_limit"),
        ({"attributes": {"retries": -2}}, ValueError, "Plugin.retries"),
        ({"attributes": {"retries": 2, "log_stdout": 1}}, TypeError, "Plugin.log_stdout"),
        ({"attributes": {"__class__": "x"}}, ValueError, "'__class__' is not the name"),
        ({"attributes": {"_secret": "x"}}, ValueError, "'_secret' is not the name"),
        ({"attributes": {"a b": "x"}}, ValueError, "'a b' is not the name"),
        ({"attributes": {"run": "x"}}, ValueError, "'run' is a part of the class Plugin"),
        ({"attributes": {"enforces": ["retries"]}}, ValueError, "'enforces' is a part"),
        ({"attributes": {"task_stdout": "x"}}, ValueError, "'task_stdout' is a part"),
    ],
)
def test_a_malformed_dictionary_is_refused_and_changes_nothing(object_dict, error, message) -> None:
    plugin = Plugin("kept", retries=1)
    before = copy.deepcopy(vars(plugin))

    with pytest.raises(error, match=message):
        plugin.from_dict(object_dict)

    assert vars(plugin) == before


def test_a_setter_that_refuses_undoes_everything() -> None:
    executor = WithProperty()
    attributes = {"retries": 4, "new": 1, "log_stdout": "x", "port": -1}

    with pytest.raises(ValueError, match="no such port"):
        executor.from_dict({"attributes": attributes})

    assert (executor.retries, executor.log_stdout, executor.port) == (0, "", 1)
    assert not hasattr(executor, "new")


async def test_an_executor_can_be_copied_fresh_and_after_a_task() -> None:
    executor = Plugin({"x": [1]})
    for _ in range(2):
        for other in (copy.deepcopy(executor), cloudpickle.loads(cloudpickle.dumps(executor))):
            assert other.to_dict() == executor.to_dict()
            assert (await execute(other, lambda: "ran")).result == "ran"
        await execute(executor)


# -- a plugin written for Covalent: only its import line is another


class CovalentStylePlugin(AsyncBaseExecutor):
    def __init__(
        self, host, log_stdout="", log_stderr="", cache_dir="", time_limit=-1, retries=0
    ) -> None:
        super().__init__(log_stdout, log_stderr, cache_dir, time_limit, retries)
        self.host = host

    async def setup(self, task_metadata: dict) -> None:
        pass

    async def run(self, function, args: list, kwargs: dict, task_metadata: dict) -> Any:
        if await self.get_cancel_requested():
            raise TaskCancelledError
        await self.set_job_handle(handle={"host": self.host, "node": task_metadata["node_id"]})
        print(f"{self.short_name()} on {self.host}", end="", file=self.task_stdout)
        print("no warnings", file=self.task_stderr)
        return function(*args, **kwargs)

    async def teardown(self, task_metadata: dict) -> None:
        pass

    async def cancel(self, task_metadata: dict, job_handle: Any) -> bool:
        return True


async def test_a_covalent_plugin_with_only_its_import_line_changed(tmp_path) -> None:
    plugin = CovalentStylePlugin("gpu", "out.log", retries=1)

    result, stdout, stderr, status = await plugin.execute(
        lambda x: x * 2, [21], {}, "dispatch", str(tmp_path), 0
    )

    assert (result, status) == (42, COMPLETED)
    assert (stdout, stderr) == ("test_executor on gpu", "no warnings\n")
    assert (tmp_path / "dispatch" / "out.log").read_text() == "test_executor on gpu"


async def test_a_failing_task_group_is_a_failure_and_no_cancellation() -> None:
    # In Python 3.11 the group leaves the asyncio task that awaits it marked as cancelled.
    async def fail() -> None:
        raise ValueError("in the group")

    class Grouped(AsyncBaseExecutor):
        attempts = 0

        async def run(self, function, args, kwargs, task_metadata):
            self.attempts += 1
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())

    executor = Grouped(retries=1)
    with pytest.raises(ExceptionGroup, match="unhandled errors in a TaskGroup"):
        await executor.execute(abs, [-1], {}, "dispatch", "results")
    assert executor.attempts == 2


async def test_setup_run_and_teardown_share_their_context() -> None:
    where: ContextVar[str] = ContextVar("where", default="nowhere")
    found = []

    class Contextual(AsyncBaseExecutor):
        async def setup(self, task_metadata):
            where.set("set by setup")

        async def run(self, function, args, kwargs, task_metadata):
            found.append(where.get())

        async def teardown(self, task_metadata):
            found.append(where.get())

    await Contextual().execute(abs, [-1], {}, "dispatch", "results")

    assert found == ["set by setup", "set by setup"]
    assert where.get() == "nowhere"


async def test_a_cancellation_right_after_the_end_of_the_teardown_is_raised() -> None:
    class CancelledAtTheEnd(Recorder):
        async def run(self, function, args, kwargs, task_metadata):
            await asyncio.sleep(0.001)

        async def teardown(self, task_metadata):
            asyncio.get_running_loop().call_soon(executing.cancel)

    executing = asyncio.create_task(execute(CancelledAtTheEnd()))

    with pytest.raises(asyncio.CancelledError):
        await executing


async def test_a_run_that_cancels_itself_last_of_all_does_not_cut_the_teardown_short() -> None:
    class CancelsItself(Recorder):
        async def run(self, function, args, kwargs, task_metadata):
            await asyncio.sleep(0)
            asyncio.current_task().cancel()
            return "done"

        async def teardown(self, task_metadata):
            await asyncio.sleep(0)
            self._history.append("torn down")

    executor = CancelsItself()

    assert (await execute(executor)).result == "done"
    assert executor._history == ["setup", "torn down"]
