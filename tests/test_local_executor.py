"""`LocalExecutor` in both of its forms: a fresh interpreter per attempt, and warm workers."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from pytest_asyncexec.reference_executor import LocalExecutor, _attempt
from pytest_asyncexec.reference_executor._process import Worker

from local_workers import (
    appearing,
    execute,
    gone,
    held,
    is_alive,
    leaving_nothing,
    logged,
    until,
    with_a_child,
    workers_of,
)
from pytest_asyncexec import (
    TaskCancelledError,
    TaskRuntimeError,
    TaskStatus,
    TaskTimeoutError,
    run_task,
)

COMPLETED, FAILED, CANCELLED = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED


@pytest.fixture
def cache(tmp_path):
    """Name a cache_dir in which no task may leave anything."""
    return tmp_path / "cache"


@pytest.fixture(params=["fresh", "warm"])
def make(request, cache):
    """Hand out a maker of executors that leave nothing behind."""
    with leaving_nothing(cache, warm=request.param == "warm") as make:
        yield make


@pytest.fixture
def executor(make) -> LocalExecutor:
    return make()


# -- results


async def test_a_task_runs_in_another_process(executor) -> None:
    outcome = await execute(executor, os.getpid)

    assert outcome.status == COMPLETED
    assert outcome.result != os.getpid()


async def test_arguments_and_results_arrive_unchanged(executor) -> None:
    values = [1, "é\udc80", b"\0", {"x": (None, 2.5)}, {3}, 1j, range(4), Path("a")]

    outcome = await execute(executor, lambda *args, **kwargs: (args, kwargs), *values, self=1)

    assert outcome.result == (tuple(values), {"self": 1})


async def test_a_large_payload_arrives_unchanged(executor) -> None:
    payload = os.urandom(8 << 20)

    outcome = await execute(executor, lambda data: data[::-1], payload)

    assert outcome.result == payload[::-1]


async def test_classes_made_on_the_spot_come_back_as_themselves(executor) -> None:
    class Point:
        x = 0

    def moved(point: Point) -> Point:
        point.x += 1
        return point

    outcome = await execute(executor, moved, Point())

    assert type(outcome.result) is Point
    assert outcome.result.x == 1


async def test_what_can_be_imported_here_can_be_imported_there(
    executor, tmp_path, monkeypatch
) -> None:
    (tmp_path / "module_of_mine.py").write_text("def answer():\n    return 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    import module_of_mine

    assert (await execute(executor, module_of_mine.answer)).result == 42


async def test_the_working_directory_is_that_of_the_host(executor, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert (await execute(executor, os.getcwd)).result == str(tmp_path)


async def test_the_workers_own_folder_shadows_no_module(executor) -> None:
    outcome = await execute(executor, lambda: __import__("sys").path)

    assert outcome.result == sys.path


@pytest.mark.parametrize("warm", [False, True])
def test_functions_of_main_run(tmp_path, warm) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import asyncio, sys
            from pytest_asyncexec.reference_executor import LocalExecutor

            class Answer(Exception):
                pass

            def helper():
                return 41

            def main(one):
                raise Answer(helper() + one)

            if __name__ == "__main__":
                executor = LocalExecutor(warm="warm" in sys.argv)
                try:
                    asyncio.run(executor.execute(main, [1], {}, "d", "unused"))
                except Answer as answer:
                    print("answer", *answer.args)
            """
        )
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", script, *["warm"] * warm],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.stdout, ran.stderr) == ("answer 42\n", "")


# -- errors


async def test_an_error_of_the_task_is_raised_with_the_failing_line(executor) -> None:
    def function() -> None:
        numbers = {}
        numbers["the missing one"]  # the failing line

    with pytest.raises(KeyError) as caught:
        await execute(executor, function)

    assert caught.value.args == ("the missing one",)
    [note] = caught.value.__notes__
    assert note.startswith("Traceback in the worker process:\nTraceback (most recent call last):")
    assert "# the failing line" in note
    assert "_worker.py" not in note


async def test_a_task_runtime_error_is_the_status_failed_and_names_the_line(executor) -> None:
    def function() -> None:
        raise TaskRuntimeError("out of paper")

    outcome = await execute(executor, function)

    assert outcome.status == FAILED
    assert 'raise TaskRuntimeError("out of paper")' in outcome.stderr


async def test_a_task_cancelled_error_is_the_status_cancelled(executor) -> None:
    def function() -> None:
        raise TaskCancelledError

    assert (await execute(executor, function)).status == CANCELLED


def odd_exceptions() -> dict[str, object]:
    def two_arguments() -> None:
        class TwoArguments(Exception):
            def __init__(self, one: int, two: int) -> None:
                super().__init__(f"{one} and {two}")

        raise TwoArguments(1, 2)

    def other_message() -> None:
        class OtherMessage(Exception):
            def __init__(self, what: str) -> None:
                super().__init__(f"about {what}")

        raise OtherMessage("something")

    def unpicklable() -> None:
        error = OSError("with a lock")
        error.lock = threading.Lock()
        raise error

    def unprintable() -> None:
        class Unprintable(Exception):
            def __str__(self) -> str:
                raise RuntimeError

        raise Unprintable

    def stop_iteration() -> None:
        raise StopIteration("no more")

    def keyboard_interrupt() -> None:
        raise KeyboardInterrupt("pressed")

    def system_exit() -> None:
        sys.exit(3)

    def cancelled_error() -> None:
        async def main() -> None:
            job = asyncio.create_task(asyncio.sleep(3600))
            await asyncio.sleep(0)
            job.cancel("no pressure")
            await job

        asyncio.run(main())

    def generator_exit() -> None:
        raise GeneratorExit("thrown away")

    def base_exception() -> None:
        class OfItsOwn(BaseException):
            pass

        raise OfItsOwn("on purpose")

    def group() -> None:
        raise BaseExceptionGroup("both", [asyncio.CancelledError("one"), KeyboardInterrupt()])

    return {
        "TwoArguments: 1 and 2": two_arguments,
        "OtherMessage: about something": other_message,
        "OSError: with a lock": unpicklable,
        "Unprintable: <its message cannot be shown: RuntimeError>": unprintable,
        "StopIteration: no more": stop_iteration,
        "KeyboardInterrupt: pressed": keyboard_interrupt,
        "SystemExit: 3": system_exit,
        "CancelledError: no pressure": cancelled_error,
        "GeneratorExit: thrown away": generator_exit,
        "OfItsOwn: on purpose": base_exception,
        "BaseExceptionGroup: both (2 sub-exceptions)": group,
    }


@pytest.mark.parametrize(("description", "function"), odd_exceptions().items())
async def test_an_exception_that_cannot_be_sent_is_described(
    executor, description, function
) -> None:
    outcome = await execute(executor, function)

    assert outcome.status == FAILED
    assert description.split(": ", 1)[1] in outcome.stderr
    assert outcome.stderr.startswith(description)
    assert function.__name__ in outcome.stderr


@pytest.mark.parametrize("kind", [asyncio.CancelledError, GeneratorExit, StopIteration])
async def test_an_exception_of_the_task_that_plumbing_uses_is_a_failed_attempt(
    make, tmp_path, kind
) -> None:
    """Decision: a failed attempt as any other: type and message are found, it is repeated."""
    attempts = str(tmp_path / "attempts")

    def function() -> str:
        with open(attempts, "a") as file:
            file.write("+")
        with open(attempts) as file:
            if file.read() != "+++":
                raise kind("of its own")
        return "the third time"

    outcome = await execute(make(retries=2), function)

    assert outcome[:1] + outcome[3:] == ("the third time", COMPLETED)


async def test_groups_chains_and_notes_arrive(executor) -> None:
    def function() -> None:
        try:
            raise KeyError("the cause")
        except KeyError as cause:
            group = ExceptionGroup("several", [ValueError("one"), TypeError("two")])
            group.add_note("a note")
            raise group from cause

    with pytest.raises(ExceptionGroup) as caught:
        await execute(executor, function)

    assert [str(error) for error in caught.value.exceptions] == ["one", "two"]
    note, traceback = caught.value.__notes__
    assert note == "a note"
    assert "KeyError: 'the cause'" in traceback


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: os._exit(3), "died without a result (exit code 3)"),
        (
            lambda: os.kill(os.getpid(), signal.SIGKILL),
            "died without a result (signal SIGKILL). Did the system run out of memory?",
        ),
        (
            lambda: (os.write(2, b"about to fall"), os.abort()),
            "(signal SIGABRT)\nIts standard error ends with:\nabout to fall",
        ),
    ],
)
async def test_a_worker_that_dies_is_a_failed_task(executor, function, message) -> None:
    outcome = await execute(executor, function)

    assert outcome.status == FAILED
    assert message in outcome.stderr
    assert (await execute(executor, lambda: "next")).result == "next"


async def test_what_cannot_be_serialised_is_named(executor) -> None:
    lock = threading.Lock()

    for function, args, kwargs, message in [
        (lambda: lock, [], {}, "The function, of type function, cannot be sent to a worker"),
        (print, [1, lock], {}, "Argument 1, of type lock, cannot be sent to a worker process"),
        (print, [], {"file": lock}, "Keyword argument 'file', of type lock, cannot be sent"),
        (threading.Lock, [], {}, "The result, of type lock, cannot be sent back"),
    ]:
        outcome = await execute(executor, function, *args, **kwargs)
        assert outcome.status == FAILED
        assert message in outcome.stderr
        assert "cannot pickle" in outcome.stderr


async def test_what_cannot_be_loaded_in_the_worker_is_a_failed_task(executor) -> None:
    class OnlyHere:
        def __reduce__(self) -> tuple:
            return __import__, ("no_such_module_there",)

    outcome = await execute(executor, print, OnlyHere())

    assert outcome.status == FAILED
    assert "could not be loaded in the worker process: ModuleNotFoundError" in outcome.stderr


async def test_what_cannot_be_loaded_in_the_host_is_a_failed_task(executor) -> None:
    def function() -> object:
        class OnlyThere:
            def __reduce__(self) -> tuple:
                return eval, ("[].pop()",)

        return OnlyThere()

    outcome = await execute(executor, function)

    assert outcome.status == FAILED
    assert "cannot be loaded in the host: IndexError" in outcome.stderr


# -- output


async def test_output_is_captured_at_the_level_of_file_descriptors(executor, capfd) -> None:
    def function() -> None:
        print("printed é\r\n\udc80")
        os.write(1, b"written \xff\n")
        subprocess.run([sys.executable, "-c", "print('by a child')"], check=True)
        print("warned", file=sys.stderr)

    outcome = await execute(executor, function)

    assert outcome.stdout == "printed é\r\n\\udc80\nwritten \\xff\nby a child\n"
    assert outcome.stderr == "warned\n"
    assert capfd.readouterr() == ("", "")


async def test_the_locale_does_not_decide(executor, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.setenv("PYTHONCOERCECLOCALE", "0")
    monkeypatch.setenv("LC_ALL", "C")

    assert (await execute(executor, lambda: print("é"))).stdout == "é\n"


async def test_standard_input_is_empty(executor) -> None:
    assert (await execute(executor, lambda: sys.stdin.read())).result == ""


async def test_the_output_of_failed_and_successful_attempts_is_kept(make, tmp_path) -> None:
    marks = tmp_path / "marks"

    def function() -> str:
        with open(marks, "a") as file:
            file.write("x")
        attempt = os.path.getsize(marks)
        print("attempt", attempt)
        if attempt < 3:
            os._exit(1)
        return "done"

    outcome = await execute(make(retries=5), function)

    assert outcome == ("done", "attempt 1\nattempt 2\nattempt 3\n", "", COMPLETED)


async def test_concurrent_tasks_keep_to_themselves(executor) -> None:
    def function(number: int) -> int:
        print("task", number)
        return number

    outcomes = await asyncio.gather(*(execute(executor, function, number) for number in range(4)))

    assert [outcome.result for outcome in outcomes] == [0, 1, 2, 3]
    assert [outcome.stdout for outcome in outcomes] == [f"task {number}\n" for number in range(4)]


# -- stopping


async def test_a_task_over_its_limit_is_killed_with_its_children(make, tmp_path) -> None:
    limit = 1.0
    while True:
        pids = tmp_path / f"pids-{limit}"
        with pytest.raises(TaskTimeoutError):
            await execute(make(time_limit=limit), with_a_child(pids))
        if pids.exists():
            break
        limit *= 2  # too slow a machine to have started the task in time

    worker, child = json.loads(pids.read_text())
    assert not is_alive(worker)
    await gone(child)


async def test_a_cancelled_task_is_dead_before_the_host_knows(executor, tmp_path) -> None:
    executing = asyncio.create_task(execute(executor, with_a_child(tmp_path / "pids")))
    worker, child = json.loads(await appearing(tmp_path / "pids", executing))

    executing.cancel()
    await asyncio.sleep(0)
    executing.cancel()

    with pytest.raises(asyncio.CancelledError):
        await executing
    assert not is_alive(worker)
    await gone(child)


async def test_what_a_killed_attempt_had_printed_is_kept(make, tmp_path) -> None:
    executor = make(str(tmp_path / "out.log"))
    executing = asyncio.create_task(execute(executor, with_a_child(tmp_path / "pids")))
    await appearing(tmp_path / "pids", executing)

    executing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await executing

    assert (tmp_path / "out.log").read_text() == "started\n"


async def test_what_a_task_leaves_running_ends_with_it(executor) -> None:
    def function() -> int:
        return subprocess.Popen([sys.executable, "-c", "while True: pass"]).pid

    outcome = await execute(executor, function)

    await gone(outcome.result)


async def test_cancelled_at_any_moment_nothing_is_left(make) -> None:
    # The n-th trial cancels at the n-th turn of the loop, until a trial gets through uncancelled.
    executor = make(max_workers=1)
    turns, cancelled = 0, 0
    while True:
        executing = asyncio.create_task(execute(executor, lambda: "done"))
        for _ in range(turns):
            await asyncio.sleep(0.001)
        executing.cancel()
        try:
            assert (await executing).result == "done"
        except asyncio.CancelledError:
            cancelled += 1
        else:
            break
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert _attempt._running == {}
        turns = turns * 3 // 2 + 1
    assert cancelled
    # The one place there is has been given back each time.
    assert (await execute(executor, lambda: "next")).result == "next"


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_cancelled_while_the_worker_starts_it_is_killed(
    executor, monkeypatch, moment
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    workers = []
    real = Worker.start

    def start(self: Worker) -> None:
        workers.append(self)
        if moment == "after":
            real(self)
        reached.set()
        go_on.wait()
        if moment == "before":
            real(self)

    monkeypatch.setattr(Worker, "start", start)
    executing = asyncio.create_task(execute(executor, lambda: signal.pause()))
    await asyncio.to_thread(reached.wait)

    executing.cancel()
    await asyncio.sleep(0)
    executing.cancel()
    await asyncio.wait([executing], timeout=0.2)
    # The process is still to come, or to be killed, and only this task knows of it.
    assert not executing.done()
    go_on.set()

    with pytest.raises(asyncio.CancelledError):
        await executing
    [worker] = workers
    assert worker.process.returncode == -signal.SIGKILL


async def test_a_worker_that_cannot_be_started_is_an_error_and_leaves_nothing(
    executor, monkeypatch, tmp_path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(tmp_path / "no python"))
        with pytest.raises(FileNotFoundError, match="no python"):
            await execute(executor, lambda: None)

    assert (await execute(executor, lambda: "next")).result == "next"


def unfit() -> list[dict[str, str]]:
    """Return what makes an interpreter end before its first task, and its last words."""
    return [
        {"program": "exit 0", "words": "(exit code 0)"},
        {
            "program": "echo no licence >&2; exit 3",
            "words": "(exit code 3)\nIts standard error ends",
        },
        {"program": "kill -9 $$", "words": "(signal SIGKILL)"},
        {"program": "exec sleep 0.1", "words": "(exit code 0)"},
    ]


@pytest.mark.parametrize("interpreter", unfit(), ids=lambda interpreter: interpreter["program"])
async def test_an_interpreter_that_ends_before_its_first_task_is_a_failed_attempt(
    make, tmp_path, monkeypatch, interpreter
) -> None:
    script, started = tmp_path / "interpreter", tmp_path / "started"
    script.write_text(f"#!/bin/sh\necho >> {started}\n{interpreter['program']}\n")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    executor, twice = make(max_workers=1), make(max_workers=1, retries=1)

    outcomes = await asyncio.gather(*(execute(executor, pow, 2, 3) for _ in range(3)))
    outcomes += [await execute(twice, pow, 2, 3)]

    for outcome in outcomes:
        assert outcome.status == FAILED
        assert f"died without a result {interpreter['words']}" in outcome.stderr
    assert started.read_text().count("\n") == 3 + 2
    monkeypatch.undo()
    assert (await execute(executor, pow, 2, 3)).result == 8


async def test_the_host_can_stop_a_task_by_its_handle(make, tmp_path) -> None:
    executor, handles = make(retries=3), []
    executing = asyncio.create_task(
        run_task(
            executor,
            with_a_child(tmp_path / "pids"),
            [],
            {},
            "d",
            "unused",
            on_job_handle=handles.append,
        )
    )
    worker, _ = json.loads(await appearing(tmp_path / "pids", executing))
    [handle] = json.loads(json.dumps(handles))

    # Another instance, in another thread with a loop of its own, can do it too.
    stopped = await asyncio.to_thread(lambda: asyncio.run(LocalExecutor().cancel({}, handle)))
    late = await executor.cancel({}, handle)

    assert stopped is True
    assert not is_alive(worker)
    outcome = await executing
    assert (outcome.status, outcome.stdout) == (CANCELLED, "started\n")
    assert late is False


@pytest.mark.parametrize("function", [os.getpid, lambda: "closure"])
@pytest.mark.parametrize("warm", [False, True])
async def test_the_host_can_stop_a_task_when_it_is_told_of_its_handle(make, warm, function) -> None:
    executor, stopped = make(warm=warm), []

    async def told(handle: object) -> None:
        stopped.append(await executor.cancel({}, handle))

    outcome = await run_task(executor, function, [], {}, "d", "unused", on_job_handle=told)

    assert stopped == [True]
    assert (outcome.status, outcome.result) == (CANCELLED, None)
    assert (await execute(executor, abs, -1)).result == 1


@pytest.mark.parametrize("handle", [None, {}, {"token": "unknown"}, {"token": []}, "x", [1]])
async def test_a_handle_of_no_running_task_stops_nothing(handle) -> None:
    assert await LocalExecutor().cancel({}, handle) is False


# -- what is left behind


async def test_the_output_of_an_attempt_is_in_files_without_a_name(make, tmp_path) -> None:
    cache = tmp_path / "made" / "when missing"
    before = workers_of(os.getpid())
    executing = asyncio.create_task(execute(make(cache_dir=str(cache)), held(tmp_path)))
    await until(lambda: logged(tmp_path))

    [worker] = workers_of(os.getpid()) - before
    files = [Path(f"/proc/{worker}/fd/{fd}") for fd in (1, 2)]
    names = [os.readlink(file) for file in files]
    modes = [file.stat().st_mode & 0o777 for file in files]
    entries = os.listdir(cache)
    (tmp_path / "go_on").touch()
    await executing

    assert [name.startswith(f"{cache}/") for name in names] == [True, True]
    assert [name.endswith(" (deleted)") for name in names] == [True, True]
    assert modes == [0o600, 0o600]
    assert entries == []


async def test_home_is_expanded_in_the_cache_dir(make, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    await execute(make(cache_dir="~/cache"), lambda: None)

    assert os.listdir(tmp_path) == ["cache"]


async def test_a_cache_dir_that_cannot_be_made_is_an_error_before_anything_runs(
    make, tmp_path
) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(NotADirectoryError):
        await execute(make(cache_dir=str(tmp_path / "file" / "cache")), lambda: None)


def test_a_second_loop_works_after_the_first(executor) -> None:
    for number in range(2):
        assert asyncio.run(execute(executor, lambda x: x, number)).result == number


async def test_to_dict_is_the_same_after_tasks(executor) -> None:
    before = executor.to_dict()

    await execute(executor, lambda: None)
    with pytest.raises(ZeroDivisionError):
        await execute(executor, lambda: 1 / 0)

    assert executor.to_dict() == before


def test_no_descriptor_is_left_open_in_the_host(make, tmp_path) -> None:
    def descriptors() -> list[str]:
        return sorted(
            os.readlink(f"/proc/self/fd/{fd}")
            for fd in map(str, range(3, 200))
            if os.path.exists(f"/proc/self/fd/{fd}")
        )

    async def every_ending() -> None:
        executor = make(max_workers=2)
        await execute(executor, lambda: None)
        await execute(executor, lambda: os._exit(1))
        await execute(executor, print, threading.Lock())
        with pytest.raises(ZeroDivisionError):
            await execute(executor, lambda: 1 / 0)
        with pytest.raises(TaskTimeoutError):
            await execute(make(max_workers=2, time_limit=1e-9), lambda: None)
        executing = asyncio.create_task(execute(executor, with_a_child(tmp_path / "pids")))
        await appearing(tmp_path / "pids", executing)
        executing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await executing
        await executor.close()

    before = descriptors()

    asyncio.run(every_ending())

    assert descriptors() == before
