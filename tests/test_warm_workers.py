"""Warm workers: tasks share a process, and nothing that one does there reaches the next."""

import asyncio
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pytest_asyncexec.reference_executor import LocalExecutor, _attempt

from local_workers import (
    appearing,
    execute,
    gone,
    held,
    is_alive,
    leaving_nothing,
    logged,
    pid_of,
    until,
    with_a_child,
    workers_of,
)
from pytest_asyncexec import TaskStatus, TaskTimeoutError, run_task

COMPLETED, FAILED, CANCELLED = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED


@pytest.fixture
def make(tmp_path):
    """Hand out a maker of executors with warm workers, which leave nothing behind."""
    with leaving_nothing(tmp_path / "cache", warm=True) as make:
        yield make


@pytest.fixture
def executor(make) -> LocalExecutor:
    """One with a single worker, so that every task has to do with all that came before."""
    return make(max_workers=1)


# -- what is shared


async def test_tasks_and_attempts_take_one_worker_after_the_other(make, tmp_path) -> None:
    executor, pids = make(max_workers=1, retries=2), str(tmp_path / "pids")

    def fails_twice() -> int:
        with open(pids, "a") as file:
            file.write(f"{os.getpid()}\n")
        with open(pids) as file:
            if len(file.readlines()) < 3:
                raise ValueError
        return os.getpid()

    first, again = await pid_of(executor), await execute(executor, fails_twice)
    with pytest.raises(ZeroDivisionError):
        await execute(make(max_workers=1), lambda: 1 / 0)
    third = await pid_of(executor)

    assert again.result == first == third
    assert Path(pids).read_text() == f"{first}\n" * 3


async def test_each_worker_has_a_session_and_a_group_of_its_own(make, tmp_path) -> None:
    executor = make(max_workers=2)

    def function(number: int) -> tuple[int, int, int]:
        (tmp_path / str(number)).touch()
        while not ((tmp_path / "0").exists() and (tmp_path / "1").exists()):
            time.sleep(0.01)
        return os.getpid(), os.getsid(0), os.getpgrp()

    outcomes = await asyncio.gather(*(execute(executor, function, number) for number in (0, 1)))

    workers = [outcome.result for outcome in outcomes]
    assert all(pid == session == group for pid, session, group in workers)
    pids = {pid for pid, *_ in workers}
    assert len(pids) == 2
    assert not pids & {os.getpid(), os.getsid(0), os.getpgrp()}


async def test_close_ends_the_workers_that_wait_and_leaves_those_that_work(make, tmp_path) -> None:
    executor = make(max_workers=2)
    executing = asyncio.create_task(execute(executor, held(tmp_path)))
    await until(lambda: logged(tmp_path))
    busy, idle = workers_of(os.getpid()), await pid_of(executor)

    await executor.close()

    assert not is_alive(idle)
    assert workers_of(os.getpid()) == busy
    (tmp_path / "go_on").touch()
    assert (await executing).status == COMPLETED
    assert {await pid_of(executor)} == busy


async def test_a_worker_that_died_while_it_waited_is_replaced(executor) -> None:
    first = await pid_of(executor)

    os.kill(first, signal.SIGKILL)
    await gone(first)

    assert await pid_of(executor) != first


# -- stopping


async def test_a_worker_over_its_limit_is_dead_with_its_children_and_replaced(
    make, tmp_path
) -> None:
    first = await pid_of(make(max_workers=1))
    limit = 0.3
    while True:
        pids = tmp_path / f"pids-{limit}"
        with pytest.raises(TaskTimeoutError):
            await execute(make(max_workers=1, time_limit=limit), with_a_child(pids))
        dead = not workers_of(os.getpid())
        if pids.exists():
            break
        limit *= 2  # too slow a machine to have started the child in time

    worker, child = json.loads(pids.read_text())
    assert dead
    assert limit > 0.3 or worker == first
    await gone(child)
    assert await pid_of(make(max_workers=1)) != worker


async def test_a_cancelled_worker_is_dead_with_its_children_and_replaced(
    executor, tmp_path
) -> None:
    first = await pid_of(executor)
    executing = asyncio.create_task(execute(executor, with_a_child(tmp_path / "pids")))
    worker, child = json.loads(await appearing(tmp_path / "pids", executing))

    executing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await executing

    assert worker == first
    assert not is_alive(worker)
    await gone(child)
    assert await pid_of(executor) != first


async def test_a_worker_stopped_by_cancel_is_dead_with_its_children_and_replaced(
    executor, tmp_path
) -> None:
    first, handles = await pid_of(executor), []
    task = with_a_child(tmp_path / "pids")
    executing = asyncio.create_task(
        run_task(executor, task, [], {}, "d", "unused", on_job_handle=handles.append)
    )
    worker, child = json.loads(await appearing(tmp_path / "pids", executing))

    assert await executor.cancel({}, handles[0]) is True

    assert worker == first
    assert not is_alive(worker)
    await gone(child)
    assert (await executing).status == CANCELLED
    assert await pid_of(executor) != first
    # The handle is of an attempt, not of a worker: later it stops nobody else's task.
    assert await executor.cancel({}, handles[0]) is False


async def test_a_handle_of_a_task_that_is_over_does_not_stop_the_next_on_its_worker(
    executor, tmp_path
) -> None:
    handles = []
    first = await run_task(executor, os.getpid, [], {}, "d", "unused", on_job_handle=handles.append)
    executing = asyncio.create_task(execute(executor, held(tmp_path, "next")))
    await until(lambda: logged(tmp_path))

    assert await executor.cancel({}, handles[0]) is False

    assert workers_of(os.getpid()) == {first.result}
    (tmp_path / "go_on").touch()
    assert (await executing).result == "next"


async def test_cancelled_at_every_turn_of_the_loop_the_next_task_is_unharmed(executor) -> None:
    # With a worker that is there already, and a task so short that the turns can be counted.
    await pid_of(executor)
    turns, is_cancelled = 0, True
    while is_cancelled:
        executing = asyncio.create_task(execute(executor, abs, -turns))
        for _ in range(turns):
            await asyncio.sleep(0)
        executing.cancel()
        try:
            assert (await executing).result == turns
            is_cancelled = False
        except asyncio.CancelledError:
            turns += 1
        await pid_of(executor)
    assert turns > 2


# -- what a task leaves behind


def restored():
    def changes_directory() -> None:
        os.chdir("/")

    def changes_environment() -> None:
        os.environ["LEFT"] = "behind"
        del os.environ["PATH"]

    def changes_import_path() -> None:
        sys.path.insert(0, "/nowhere")

    def replaces_import_path() -> None:
        sys.path = ["/nowhere"]

    def changes_umask() -> None:
        os.umask(0o077)

    def raises_system_exit() -> None:
        sys.exit(3)

    def opens_a_few_files() -> None:
        sys.left = [os.open("/dev/null", os.O_RDONLY) for _ in range(5)]

    def writes_before_the_beginning() -> None:
        os.lseek(1, 0, os.SEEK_SET)
        os.ftruncate(1, 0)

    return [
        changes_directory,
        changes_environment,
        changes_import_path,
        replaces_import_path,
        changes_umask,
        raises_system_exit,
        opens_a_few_files,
        writes_before_the_beginning,
    ]


def replaced():
    def changes_signal_handler() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def ignores_a_signal() -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    def blocks_a_signal() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])

    def sets_a_timer() -> None:
        signal.setitimer(signal.ITIMER_REAL, 3600)

    def sets_a_limit() -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))

    def leaves_a_thread() -> None:
        threading.Thread(target=threading.Event().wait, daemon=True).start()

    def leaves_a_thread_that_ends() -> None:
        threading.Thread(target=time.sleep, args=(0.1,)).start()

    def leaves_a_child() -> None:
        subprocess.Popen([sys.executable, "-c", "while True: pass"])

    def leaves_a_fork() -> None:
        if os.fork() == 0:
            while True:
                time.sleep(9)

    def leaves_a_grandchild() -> None:
        # Its parent is gone when the task returns.
        subprocess.run(
            [
                sys.executable,
                "-c",
                "import os, time\nif os.fork() == 0:\n while True: time.sleep(9)",
            ],
            check=True,
        )

    def leaks_descriptors() -> None:
        sys.left = [os.open("/dev/null", os.O_RDONLY) for _ in range(200)]

    def closes_stdout() -> None:
        sys.stdout.close()

    def replaces_stdout() -> None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115

    def reconfigures_stdout() -> None:
        sys.stdout.reconfigure(encoding="ascii", errors="strict")

    def replaces_stdin() -> None:
        sys.stdin = None

    def redirects_descriptor(fd: int) -> None:
        os.dup2(os.pipe()[fd > 0], fd)

    def closes_descriptor(fd: int) -> None:
        os.close(fd)

    def swaps_descriptors() -> None:
        kept = os.dup(1)
        os.dup2(2, 1)
        os.dup2(kept, 2)

    def removes_its_directory() -> None:
        import tempfile

        folder = tempfile.mkdtemp()
        os.chdir(folder)
        os.rmdir(folder)

    return [
        (changes_signal_handler,),
        (ignores_a_signal,),
        (blocks_a_signal,),
        (sets_a_timer,),
        (sets_a_limit,),
        (leaves_a_thread,),
        (leaves_a_thread_that_ends,),
        (leaves_a_child,),
        (leaves_a_fork,),
        (leaves_a_grandchild,),
        (leaks_descriptors,),
        (closes_stdout,),
        (replaces_stdout,),
        (reconfigures_stdout,),
        (replaces_stdin,),
        *((redirects_descriptor, fd) for fd in (0, 1, 2)),
        *((closes_descriptor, fd) for fd in (0, 1, 2)),
        (swaps_descriptors,),
        (removes_its_directory,),
    ]


def surroundings():
    """Return a task that tells what it finds, and prints."""

    def function() -> tuple:
        print("printed")
        print("warned", file=sys.stderr)
        umask = os.umask(0)
        os.umask(umask)
        return (
            os.getcwd(),
            dict(os.environ),
            list(sys.path),
            umask,
            sys.stdin.read(),
            [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)],
            signal.pthread_sigmask(signal.SIG_BLOCK, []),
            signal.getitimer(signal.ITIMER_REAL),
            resource.getrlimit(resource.RLIMIT_NOFILE),
            threading.active_count(),
        )

    return function


@pytest.mark.parametrize("function", restored(), ids=lambda function: function.__name__)
async def test_what_can_be_undone_is_undone(executor, function) -> None:
    before, first = await execute(executor, surroundings()), await pid_of(executor)

    await execute(executor, function)

    assert await pid_of(executor) == first
    assert await execute(executor, surroundings()) == before
    assert before[1:] == ("printed\n", "warned\n", COMPLETED)


@pytest.mark.parametrize(
    "change",
    replaced(),
    ids=lambda change: "-".join(getattr(x, "__name__", str(x)) for x in change),
)
async def test_what_cannot_be_undone_ends_the_worker(executor, change) -> None:
    before, first = await execute(executor, surroundings()), await pid_of(executor)

    outcome = await execute(executor, *change)

    assert outcome.status == COMPLETED
    assert not is_alive(first)
    assert await execute(executor, surroundings()) == before
    assert before[1:] == ("printed\n", "warned\n", COMPLETED)


async def test_a_process_that_has_left_for_a_session_of_its_own_does_not_reach_the_next_task(
    executor, tmp_path
) -> None:
    first, pid_file, printed = await pid_of(executor), tmp_path / "pid", tmp_path / "printed"
    program = (
        "import os, time\n"
        "os.setsid()\n"
        "if os.fork(): os._exit(0)\n"
        f"open({str(pid_file)!r} + '~', 'w').write(str(os.getpid()))\n"
        f"os.rename({str(pid_file)!r} + '~', {str(pid_file)!r})\n"
        "while True:\n"
        "    os.write(1, b'late'), os.write(2, b'late')\n"
        f"    open({str(printed)!r}, 'w').close()\n"
        "    time.sleep(0.01)\n"
    )

    def function() -> None:
        subprocess.run([sys.executable, "-c", program], check=True)
        while not os.path.exists(pid_file):
            time.sleep(0.01)

    await execute(executor, function)
    daemon = int(pid_file.read_text())
    try:
        printed.unlink(missing_ok=True)
        await until(printed.exists)

        assert await pid_of(executor) != first  # and has found no output but its own
        assert is_alive(daemon)
    finally:
        os.kill(daemon, signal.SIGKILL)


async def test_what_a_task_does_to_modules_stays_there(executor) -> None:
    def function() -> int:
        sys.count = getattr(sys, "count", 0) + 1
        return sys.count

    assert [(await execute(executor, function)).result for _ in range(3)] == [1, 2, 3]


# -- results and errors that cannot be had


def poisoned():
    def result_that_cannot_be_loaded() -> object:
        class Poisoned:
            def __reduce__(self) -> tuple:
                return eval, ("1 / 0",)

        return Poisoned()

    def error_that_cannot_be_loaded() -> None:
        class PoisonedError(Exception):
            def __reduce__(self) -> tuple:
                return eval, ("1 / 0",)

        raise PoisonedError("in a bottle")

    def result_that_ends_the_worker() -> object:
        class Poisoned:
            def __reduce__(self) -> tuple:
                os._exit(7)

        return Poisoned()

    def result_that_is_never_pickled() -> object:
        return threading.Lock()

    def error_that_ends_whoever_prints_it() -> None:
        class PoisonedError(Exception):
            def __str__(self) -> str:
                raise SystemExit("by a trick")

        raise PoisonedError

    def recursion() -> object:
        nested: list = []
        for _ in range(100_000):
            nested = [nested]
        return nested

    return [
        (result_that_cannot_be_loaded, "cannot be loaded in the host: ZeroDivisionError", True),
        (error_that_cannot_be_loaded, "PoisonedError: in a bottle", True),
        (result_that_ends_the_worker, "died without a result (exit code 7)", False),
        (result_that_is_never_pickled, "The result, of type lock, cannot be sent back", True),
        (error_that_ends_whoever_prints_it, "its message cannot be shown: SystemExit", True),
        (recursion, "The result, of type list, cannot be sent back", True),
        (lambda: os._exit(0), "died without a result (exit code 0)", False),
        (lambda: os.closerange(3, 256), "died without a result", False),
        (lambda: os.kill(0, signal.SIGKILL), "died without a result (signal SIGKILL)", False),
        (lambda: ctypes.string_at(0), "died without a result (signal SIGSEGV)", False),
        (lambda: sys.exit("no more"), "SystemExit: no more", True),
    ]


@pytest.mark.parametrize(
    ("function", "message", "is_kept"),
    poisoned(),
    ids=lambda value: getattr(value, "__name__", "") if callable(value) else "",
)
async def test_a_poisoned_task_fails_and_harms_nobody_else(
    executor, function, message, is_kept
) -> None:
    first = await pid_of(executor)

    outcome = await execute(executor, function)

    assert outcome.status == FAILED
    assert message in outcome.stderr
    assert (await pid_of(executor) == first) is is_kept


@pytest.mark.parametrize(
    "error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit, StopIteration]
)
async def test_a_result_that_raises_what_would_end_the_host_is_a_failed_task(
    executor, error
) -> None:
    def function() -> object:
        class Poisoned:
            def __reduce__(self) -> tuple:
                return exec, (f"import asyncio\nraise {name}('in the host')",)

        return Poisoned()

    name = error.__name__ if error is not asyncio.CancelledError else "asyncio.CancelledError"
    first, outcome = await pid_of(executor), await execute(executor, function)

    assert outcome.status == FAILED
    assert f"cannot be loaded in the host: {error.__name__}: in the host" in outcome.stderr
    assert await pid_of(executor) == first


async def test_an_error_that_raises_what_would_end_the_host_is_described(executor) -> None:
    host = os.getpid()

    def function() -> None:
        class PoisonedError(Exception):
            def __reduce__(self) -> tuple:
                text = f"SystemExit() if os.getpid() == {host} else ValueError('in a bottle')"
                return exec, (f"import os\nraise {text}",)

        raise PoisonedError("in a bottle")

    outcome = await execute(executor, function)

    assert outcome.status == FAILED
    assert "PoisonedError: in a bottle" in outcome.stderr
    await pid_of(executor)


async def test_a_task_over_its_quota_of_disk_or_memory_fails_clearly(executor, tmp_path) -> None:
    def fills_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
        with open(tmp_path / "large", "wb") as file:
            file.write(bytes(1 << 20))

    def prints_too_much() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
        print("x" * (1 << 20))

    def fills_memory() -> int:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 26),) * 2)
        return len(bytearray(1 << 30))

    for function in (fills_disk, prints_too_much):
        with pytest.raises(OSError, match="File too large"):
            await execute(executor, function)
        await pid_of(executor)
    with pytest.raises(MemoryError):
        await execute(executor, fills_memory)
    await pid_of(executor)


# -- output


@pytest.mark.parametrize("size", [1, 1 << 15, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 9 << 20])
async def test_output_of_any_length_is_kept_and_so_is_the_worker(executor, size) -> None:
    def function() -> None:
        sys.stdout.write("é" + "o" * (size - 2) if size > 1 else "o")
        sys.stderr.write("e" * size)

    first = await pid_of(executor)
    for _ in range(2):
        outcome = await execute(executor, function)
        assert outcome.stdout == ("é" + "o" * (size - 2) if size > 1 else "o")
        assert outcome.stderr == "e" * size
    assert await pid_of(executor) == first


async def test_what_a_thread_prints_late_belongs_to_its_own_task(executor) -> None:
    def function() -> None:
        def late() -> None:
            time.sleep(0.2)
            print("late")

        threading.Thread(target=late).start()
        print("in time")

    outcome = await execute(executor, function)

    assert outcome.stdout == "in time\nlate\n"
    await pid_of(executor)


async def test_what_is_printed_for_ever_reaches_no_later_task(executor) -> None:
    def thread() -> None:
        def late() -> None:
            while True:
                os.write(1, b"late")

        threading.Thread(target=late, daemon=True).start()

    def child() -> None:
        subprocess.Popen([sys.executable, "-c", "import os\nwhile True: os.write(1, b'late')"])

    for function in (thread, child):
        outcome = await execute(executor, function)
        assert set(outcome.stdout.split("late")) <= {"", "l", "la", "lat"}
        await pid_of(executor)


async def test_output_of_tasks_at_once_is_kept_apart(make) -> None:
    def function(number: int) -> None:
        for _ in range(number):
            print(number)

    executor = make(max_workers=3)

    outcomes = await asyncio.gather(*(execute(executor, function, n) for n in range(60)))

    assert [outcome.stdout for outcome in outcomes] == [f"{n}\n" * n for n in range(60)]


async def test_output_before_a_death_is_kept(executor) -> None:
    await pid_of(executor)

    outcome = await execute(executor, lambda: (os.write(1, b"last words"), os._exit(1)))

    assert outcome.stdout == "last words"
    await pid_of(executor)


async def test_a_cancel_that_comes_after_the_answer_costs_nothing_but_the_worker(make) -> None:
    executor, loop = make(max_workers=1), asyncio.get_running_loop()
    await pid_of(executor)
    handles, answers = [], []

    def told(handle) -> None:
        handles.append(handle)
        loop.call_soon(wait_for_the_answer)

    def wait_for_the_answer() -> None:
        worker = _attempt.attempt_of(handles[0]["token"]).worker
        select.select([worker.channel._control], [], [])
        # In the next turn the loop reads the answer, and a timer that is due comes right after it.
        loop.call_later(0, cancel)

    def cancel() -> None:
        attempt = _attempt.attempt_of(handles[0]["token"])
        cancelling = executor.cancel({}, handles[0])
        threading.Thread(target=lambda: answers.append(asyncio.run(cancelling))).start()
        while not attempt.stopped:
            time.sleep(0.001)

    def function() -> str:
        print("printed")
        return "done"

    outcome = await run_task(executor, function, [], {}, "d", "unused", on_job_handle=told)

    assert outcome == ("done", "printed\n", "", "COMPLETED")
    for _ in range(3):
        assert (await execute(executor, lambda: "next")).result == "next"
    await until(lambda: answers)
    assert answers == [False]


async def test_two_runs_in_one_place_leave_no_worker_behind(tmp_path) -> None:
    class Twice(LocalExecutor):
        async def run(self, *args):
            return await asyncio.gather(super().run(*args), super().run(*args))

    executor = Twice(cache_dir=str(tmp_path), warm=True, max_workers=1)
    before = workers_of(os.getpid())
    for _ in range(3):
        await execute(executor, lambda: None)

    assert len(workers_of(os.getpid()) - before) <= 2
    await executor.close()
    assert workers_of(os.getpid()) <= before


async def test_a_time_bomb_of_faulthandler_is_defused(make) -> None:
    def arm() -> int:
        import faulthandler

        faulthandler.dump_traceback_later(3, exit=True)
        return os.getpid()

    executor = make(max_workers=1)
    first = (await execute(executor, arm)).result

    assert (await execute(executor, lambda: (time.sleep(3.5), os.getpid())[1])).result == first


async def test_what_a_task_does_to_its_streams_changes_nobody_elses_output(make) -> None:
    def newline() -> None:
        sys.stdout.reconfigure(newline="\r\n")

    def deaf() -> None:
        sys.stdout.write = lambda text: len(text)

    executor = make(max_workers=1)
    for function in (newline, deaf):
        await execute(executor, function)
        assert (await execute(executor, lambda: print("hello"))).stdout == "hello\n"
