"""Short tasks that wait in line for warm workers, are sent ahead, and taken back."""

import asyncio
import gc
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from contextvars import copy_context
from pathlib import Path

import pytest
from pytest_asyncexec.reference_executor import _attempt, _channel, _job, _line, _pool
from pytest_asyncexec.reference_executor._process import Worker

from local_workers import execute, leaving_nothing, until, workers_of
from pytest_asyncexec import TaskStatus, run_task

FAILED, CANCELLED = TaskStatus.FAILED, TaskStatus.CANCELLED

TASKS = """
import os, sys, time

def note(log, text):
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, f"{text}\\n".encode())
    os.close(fd)
    return text

def wait(log, text, go_on):
    note(log, text)
    while not os.path.exists(go_on):
        time.sleep(0.005)
    return text

def leave(log, text, code):
    note(log, text)
    os._exit(code)

def shout(text, count):
    print(text * count)
    return text

def linger(path):
    import threading
    threading.Thread(target=threading.Event().wait).start()
    open(path, "w").close()
    return "returned"

def repeated(log, text, count):
    note(log, text)
    return text * count

def last_of_path():
    return sys.path[-1]

def change(log, text):
    note(log, text)
    os.dup2(1, 2)
    return text
"""


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    """A module whose functions are sent by name, so that they may wait in line."""
    (tmp_path / "tasks_of_lines.py").write_text(TASKS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import tasks_of_lines

    yield tasks_of_lines
    del sys.modules["tasks_of_lines"]


@pytest.fixture
def make(tmp_path):
    with leaving_nothing(tmp_path / "cache", warm=True, max_workers=1) as make:
        yield make


@pytest.fixture
def log(tmp_path) -> Path:
    return tmp_path / "log"


def lines(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


@pytest.fixture(autouse=True)
def however_slow_this_machine_is(monkeypatch):
    """Have each worker count as quick."""
    monkeypatch.setattr(_line, "QUICK", 3600)


def begun(executor, function, *args) -> asyncio.Task:
    return asyncio.create_task(execute(executor, function, *args))


async def one_at_work(executor, tasks, log, go_on, behind):
    """Begin a task that waits for `go_on`, with those of `behind` sent ahead to the same worker.

    Returns all of them, and the desk of the worker.
    """
    first = [begun(executor, tasks.note, str(log), "first") for _ in range(2)]
    at_work = begun(executor, tasks.wait, str(log), "at_work", str(go_on))
    ahead = [begun(executor, *task) for task in behind]
    await asyncio.gather(*first)
    await until(lambda: "at_work" in lines(log))
    [desk] = (desk for line in _line._lines.values() for desk in line.desks)
    assert len(desk.jobs) == 1 + len(ahead)
    return at_work, ahead, desk


def freeze(pid: int) -> None:
    """Stop a worker, and return once it does nothing any more."""
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)


def handle_of(desk, position: int) -> dict[str, str]:
    """Return what the host has been told of a job."""
    return {"token": list(desk.jobs.values())[position]._token}


async def stopped(how: str, executor, task: asyncio.Task, handle: dict[str, str]) -> None:
    """Stop a task in one of three ways, and see that it says so."""
    if how == "cancelled":
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return
    if how == "cancel()":
        assert await executor.cancel({}, handle) is True
    else:
        assert await asyncio.to_thread(lambda: asyncio.run(executor.cancel({}, handle))) is True
    assert (await task).status == CANCELLED


def notes(tasks, log, count) -> list[tuple]:
    return [(tasks.note, str(log), f"n{i}") for i in range(count)]


# -- what is sent ahead


async def test_each_task_runs_once_and_has_its_own_result_and_output(make, tasks) -> None:
    executor = make(max_workers=2)
    outcomes = await asyncio.gather(
        *(execute(executor, tasks.shout, f"{i},", 2) for i in range(300))
    )

    assert [outcome.result for outcome in outcomes] == [f"{i}," for i in range(300)]
    assert [outcome.stdout for outcome in outcomes] == [f"{i},{i},\n" for i in range(300)]
    assert len(workers_of(os.getpid())) == 2


async def test_much_output_is_nobody_elses(make, tasks) -> None:
    executor = make()
    counts = [1, 100_000, 1, 1, 300_000, 100_000, 1]
    outcomes = await asyncio.gather(
        *(execute(executor, tasks.shout, str(i), count) for i, count in enumerate(counts))
    )

    for i, count in enumerate(counts):
        assert outcomes[i].stdout == str(i) * count + "\n"
    assert len(workers_of(os.getpid())) == 1


async def test_tasks_begin_in_the_order_in_which_they_came(make, tasks, log) -> None:
    executor = make()
    await asyncio.gather(*(execute(executor, tasks.note, str(log), i) for i in range(100)))

    assert lines(log) == [str(i) for i in range(100)]


async def test_each_task_ahead_has_its_own_folder(make, tmp_path) -> None:
    executor = make(workdir=str(tmp_path / "work"), create_unique_workdir=True)
    outcomes = await asyncio.gather(
        *(run_task(executor, os.getcwd, [], {}, "d", "unused", node) for node in range(30))
    )

    assert [outcome.result for outcome in outcomes] == [
        str(tmp_path / f"work/d/node_{node}") for node in range(30)
    ]


async def test_each_task_ahead_has_the_import_path_of_its_host(make, tasks, log, tmp_path) -> None:
    executor, path = make(), list(sys.path)
    at_work, _, _ = await one_at_work(executor, tasks, log, tmp_path / "go_on", [])
    found = []
    try:
        for number in range(10):
            if number % 3 == 0:
                sys.path.append(f"/nowhere/{number}")
            found.append(begun(executor, tasks.last_of_path))
            await asyncio.sleep(0)
        found.pop(3).cancel()
        (tmp_path / "go_on").touch()
        paths = [(await task).result for task in found]
    finally:
        sys.path[:] = path
    await at_work

    # When a task is sent is up to the executor: it may find what the host has by then.
    assert paths == ["/nowhere/9"] * 9


async def test_a_task_that_is_too_long_waits_for_a_worker_of_its_own(make, tasks) -> None:
    executor, text = make(), "x" * _job.LONGEST
    outcomes = await asyncio.gather(
        *(execute(executor, tasks.shout, text[: i * 1000], 1) for i in range(10))
    )

    assert [len(outcome.result) for outcome in outcomes] == [i * 1000 for i in range(9)] + [8192]


# -- what becomes of it


async def test_what_is_ahead_of_a_worker_that_dies_is_done_by_the_next(make, tasks, log) -> None:
    executor = make()
    behind = [begun(executor, *task) for task in notes(tasks, log, 3)]
    dies = begun(executor, tasks.leave, str(log), "dies", 3)
    behind += [begun(executor, *task) for task in notes(tasks, log, 6)]

    outcome = await dies

    assert outcome.status == FAILED
    assert "exit code 3" in outcome.stderr
    assert {(await task).status for task in behind} == {"COMPLETED"}
    assert Counter(lines(log)) == Counter(["n0", "n1", "n2"] * 2 + ["n3", "n4", "n5", "dies"])


async def test_what_is_ahead_of_a_worker_that_has_changed_is_done_by_the_next(
    make, tasks, log
) -> None:
    executor = make()
    pids = [begun(executor, os.getpid), begun(executor, os.getpid)]
    changes = begun(executor, tasks.change, str(log), "changes")
    behind = [begun(executor, *task) for task in notes(tasks, log, 6)] + [
        begun(executor, os.getpid)
    ]

    assert (await changes).status == "COMPLETED"
    await asyncio.gather(*behind)

    assert lines(log) == ["changes", "n0", "n1", "n2", "n3", "n4", "n5"]
    assert (await pids[0]).result == (await pids[1]).result != (await behind[-1]).result


@pytest.mark.parametrize("how", ["cancelled", "cancel()", "cancel() elsewhere"])
async def test_what_is_ahead_of_a_task_that_is_stopped_is_done_by_the_next(
    make, tasks, log, tmp_path, how
) -> None:
    executor = make()
    at_work, ahead, desk = await one_at_work(
        executor, tasks, log, tmp_path / "never", notes(tasks, log, 5)
    )
    pid, handle = desk.worker.process.pid, handle_of(desk, 0)

    await stopped(how, executor, at_work, handle)

    assert not Path(f"/proc/{pid}").exists()
    assert [(await task).result for task in ahead] == ["n0", "n1", "n2", "n3", "n4"]
    assert lines(log) == ["first", "first", "at_work", "n0", "n1", "n2", "n3", "n4"]


@pytest.mark.parametrize("how", ["cancelled", "cancel()", "cancel() elsewhere"])
@pytest.mark.parametrize("which", [0, 2, 4])
async def test_a_task_that_is_not_begun_can_be_stopped_without_harm(
    make, tasks, log, tmp_path, how, which
) -> None:
    executor = make()
    at_work, ahead, desk = await one_at_work(
        executor, tasks, log, tmp_path / "go_on", notes(tasks, log, 5)
    )
    worker, handle = desk.worker, handle_of(desk, 1 + which)

    await stopped(how, executor, ahead[which], handle)
    (tmp_path / "go_on").touch()

    assert (await at_work).result == "at_work"
    del ahead[which]
    others = [(await task).result for task in ahead]
    assert others == [f"n{i}" for i in range(5) if i != which]
    assert lines(log) == ["first", "first", "at_work", *others]
    assert workers_of(os.getpid()) == {worker.process.pid}


async def test_a_task_in_line_can_be_stopped(make, tasks, log, tmp_path) -> None:
    executor, handles = make(), []
    at_work, ahead, _ = await one_at_work(
        executor, tasks, log, tmp_path / "go_on", notes(tasks, log, 7)
    )
    in_line = asyncio.create_task(
        run_task(
            executor, *(tasks.note, [str(log), "x"], {}), "d", "r", on_job_handle=handles.append
        )
    )
    last = begun(executor, tasks.note, str(log), "last")
    await until(lambda: handles)

    assert await executor.cancel({}, handles[0]) is True
    assert (await in_line).status == CANCELLED
    (tmp_path / "go_on").touch()
    await asyncio.gather(at_work, *ahead, last)
    assert "x" not in lines(log)
    assert len(workers_of(os.getpid())) == 1


async def test_a_task_whose_answer_has_come_is_not_stopped_any_more(make, tasks, log) -> None:
    executor = make()
    await execute(executor, tasks.note, str(log), "starts the worker")
    done = begun(executor, tasks.note, str(log), "done")
    next_one = begun(executor, tasks.note, str(log), "next")
    after = begun(executor, tasks.wait, str(log), "after", f"{log}.go_on")
    await asyncio.sleep(0)
    [(line, desk)] = ((line, desk) for line in _line._lines.values() for desk in line.desks)
    handle = handle_of(desk, 0)
    # As if the host had sent it ahead, and then was busy with something else.
    with _line.guard:
        desk.is_quick = True
        line._send(desk, _line.AHEAD)
    assert len(desk.jobs) == 3
    while "after" not in lines(log):
        pass

    assert await executor.cancel({}, handle) is False
    done.cancel()
    with pytest.raises(asyncio.CancelledError):
        await done

    Path(f"{log}.go_on").touch()
    assert ((await next_one).result, (await after).result) == ("next", "after")
    assert lines(log) == ["starts", "the", "worker", "done", "next", "after"]


async def test_the_worker_may_begin_a_task_while_others_are_taken_back(
    make, tasks, log, tmp_path, monkeypatch
) -> None:
    executor = make()
    go_on = tmp_path / "go_on"
    at_work, ahead, desk = await one_at_work(executor, tasks, log, go_on, notes(tasks, log, 5))
    channel = desk.worker.channel
    unread = channel._unread

    class Unread:
        """The worker's end of its queue, with a worker that reads after the host has once."""

        reads = 0

        def recv(self, *args) -> bytes:
            self.reads += 1
            if self.reads == 3:
                go_on.touch()
                while "n2" not in lines(log):
                    pass
            return unread.recv(*args)

    monkeypatch.setattr(channel, "_unread", Unread())
    ahead[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await ahead[0]
    monkeypatch.setattr(channel, "_unread", unread)

    assert [(await task).result for task in ahead[1:]] == ["n1", "n2", "n3", "n4"]
    assert (await at_work).result == "at_work"
    assert lines(log)[3] == "n2"
    assert sorted(lines(log)[3:]) == ["n1", "n2", "n3", "n4"]


async def test_a_task_that_is_cancelled_while_its_worker_starts_leaves_it_to_the_next(
    make, tasks, log, monkeypatch
) -> None:
    executor, started = make(), []
    reached, go_on = threading.Event(), threading.Event()
    real = Worker.start

    def start(self: Worker) -> None:
        started.append(self)
        reached.set()
        go_on.wait()
        real(self)

    monkeypatch.setattr(Worker, "start", start)
    executing = begun(executor, tasks.note, str(log), "never")
    await asyncio.to_thread(reached.wait)
    executing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await executing
    go_on.set()

    pid = (await execute(executor, os.getpid)).result
    assert [worker.process.pid for worker in started] == [pid]
    assert lines(log) == []


async def test_each_task_learns_that_no_worker_can_be_started(make, monkeypatch, tmp_path) -> None:
    executor = make(max_workers=2)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(tmp_path / "no python"))
        outcomes = await asyncio.gather(
            *(execute(executor, abs, -1) for _ in range(5)), return_exceptions=True
        )

    assert [type(outcome) for outcome in outcomes] == [FileNotFoundError] * 5
    assert (await execute(executor, abs, -1)).result == 1


@pytest.mark.parametrize("how", ["cancelled", "cancel() elsewhere"])
async def test_a_worker_whose_only_task_is_stopped_before_it_begins_goes_on(
    make, tasks, log, how
) -> None:
    executor = make()
    pid = (await execute(executor, os.getpid)).result
    first = begun(executor, tasks.note, str(log), "stopped")
    behind = begun(executor, tasks.note, str(log), "behind")
    freeze(pid)  # as if it had not come to anything yet
    await asyncio.sleep(0)
    [desk] = (desk for line in _line._lines.values() for desk in line.desks)

    await stopped(how, executor, first, handle_of(desk, 0))
    os.kill(pid, signal.SIGCONT)

    assert (await behind).result == "behind"
    assert (await execute(executor, os.getpid)).result == pid
    assert (await execute(executor, lambda: "alone")).result == "alone"
    assert lines(log) == ["behind"]


async def test_a_worker_with_nothing_left_to_do_gives_its_place_back(make, tasks, log) -> None:
    executor = make()
    pid = (await execute(executor, os.getpid)).result
    stopped = begun(executor, tasks.note, str(log), "stopped")
    freeze(pid)
    await asyncio.sleep(0)
    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped
    os.kill(pid, signal.SIGCONT)

    # This one needs a place of its own.
    assert (await execute(executor, lambda: "alone")).result == "alone"
    assert lines(log) == []


async def test_nothing_is_sent_behind_what_tells_a_worker_of_the_import_path(
    make, tasks, log, monkeypatch
) -> None:
    executor = make()
    pid = (await execute(executor, os.getpid)).result
    monkeypatch.setattr(sys, "path", [*sys.path, "/nowhere"])
    freeze(pid)
    found = [begun(executor, tasks.last_of_path) for _ in range(3)]
    await asyncio.sleep(0)
    [(line, desk)] = ((line, desk) for line in _line._lines.values() for desk in line.desks)
    with _line.guard:
        desk.is_quick, desk.turn = True, _line.AHEAD
        line._fill(desk)

    # Were the first one taken back, the worker could begin the second one without that path.
    assert len(desk.jobs) == 1
    found[0].cancel()
    os.kill(pid, signal.SIGCONT)
    assert [(await task).result for task in found[1:]] == ["/nowhere"] * 2


async def test_an_answer_that_is_there_is_heard_when_the_next_task_is_stopped(
    make, tasks, log, tmp_path
) -> None:
    executor = make()
    await execute(executor, abs, -1)
    first = begun(executor, tasks.shout, "first", 1)
    next_one = begun(executor, tasks.wait, str(log), "next", str(tmp_path / "never"))
    await asyncio.sleep(0)
    [(line, desk)] = ((line, desk) for line in _line._lines.values() for desk in line.desks)
    with _line.guard:
        desk.is_quick = True
        line._send(desk, _line.AHEAD)
    while "next" not in lines(log):
        pass  # the host is busy with something else

    next_one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await next_one
    assert await first == ("first", "first\n", "", "COMPLETED")


async def test_a_task_that_has_returned_and_lingers_can_still_be_stopped(
    make, tasks, tmp_path
) -> None:
    executor, handles = make(), []
    lingers = asyncio.create_task(
        run_task(
            executor,
            *(tasks.linger, [str(tmp_path / "returned")], {}),
            *("d", "unused"),
            on_job_handle=handles.append,
        )
    )
    await until((tmp_path / "returned").exists)
    await until(lambda: _attempt.attempt_of(handles[0]["token"]).worker)

    # Late, in that it has a result; but what it had left running is gone.
    assert await executor.cancel({}, handles[0]) is False
    assert (await lingers).result == "returned"
    assert workers_of(os.getpid()) == set()


async def test_an_answer_that_is_too_large_for_the_host_is_the_only_one_that_is_lost(
    make, tasks, log, monkeypatch
) -> None:
    executor = make()
    real = _channel.messages.room

    def room(length: int, first: bytes) -> memoryview:
        if length > 1_000_000:
            raise MemoryError
        return real(length, first)

    monkeypatch.setattr(_channel.messages, "room", room)
    small = begun(executor, tasks.note, str(log), "small")
    large = begun(executor, tasks.repeated, str(log), "large", 2_000_000)
    behind = begun(executor, tasks.note, str(log), "behind")

    assert (await small).result == "small"
    assert (await large).status == FAILED
    assert "too large for the memory of this process" in (await large).stderr
    assert (await behind).result == "behind"
    assert lines(log) == ["small", "large", "behind"]


@pytest.mark.parametrize("number", [700, 0])
async def test_an_import_path_that_cannot_be_sent_with_a_task_is_told_or_sent_otherwise(
    make, tasks, monkeypatch, number
) -> None:
    executor = make()
    if number:
        more: list[object] = [f"/nowhere/{'x' * 100}/{i}" for i in range(number)]
    else:
        more = [threading.Lock()]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, *more])
        outcomes = await asyncio.gather(
            *(execute(executor, abs, -i) for i in range(5)), return_exceptions=True
        )
    if number:
        assert [outcome.result for outcome in outcomes] == [0, 1, 2, 3, 4]
    else:
        assert [str(outcome) for outcome in outcomes] == ["cannot pickle '_thread.lock' object"] * 5

    assert (await execute(executor, abs, -1)).result == 1


async def test_a_task_that_is_slow_to_join_the_line_finds_the_same_places(
    make, tasks, log, tmp_path
) -> None:
    executor, told = make(), asyncio.Event()

    async def slow_host(handle) -> None:
        await told.wait()

    late = asyncio.create_task(
        run_task(
            executor, *(tasks.note, [str(log), "late"], {}), *("d", "r"), on_job_handle=slow_host
        )
    )
    await asyncio.sleep(0)
    # Tasks with other settings make the others' workers and places superfluous, or so it seems.
    await execute(make(max_workers=2), abs, -1)
    at_work = begun(executor, tasks.wait, str(log), "at_work", str(tmp_path / "go_on"))
    await until(lambda: "at_work" in lines(log))

    told.set()
    await until(lambda: [line for line in _line._lines.values() if line.waiting])
    (tmp_path / "go_on").touch()
    await asyncio.gather(late, at_work)
    assert lines(log) == ["at_work", "late"]


# -- who else could begin it


async def test_an_idle_worker_takes_over_what_waits_for_another(make, tasks, log, tmp_path) -> None:
    executor = make(max_workers=2)
    first = [begun(executor, tasks.note, str(log), "first") for _ in range(8)]
    slow = begun(executor, tasks.wait, str(log), "slow", str(tmp_path / "go_on"))
    ahead = [begun(executor, *task) for task in notes(tasks, log, 8)]

    await asyncio.gather(*first)
    assert [(await task).result for task in ahead] == [f"n{i}" for i in range(8)]
    assert not slow.done()
    (tmp_path / "go_on").touch()
    assert (await slow).result == "slow"


async def test_what_waits_for_a_worker_that_is_not_quick_any_more_is_taken_back(
    make, tasks, log, tmp_path, monkeypatch
) -> None:
    executor = make(max_workers=2)
    first = [begun(executor, tasks.note, str(log), "first") for _ in range(8)]
    slow = begun(executor, tasks.wait, str(log), "slow", str(tmp_path / "go_on"))
    ahead = [begun(executor, *task) for task in notes(tasks, log, 8)]
    stopped = asyncio.Event()

    async def others() -> None:
        while not stopped.is_set():
            await asyncio.gather(*(execute(executor, abs, 1) for _ in range(30)))

    # There is always something to do for the other worker.
    other = [asyncio.create_task(others()) for _ in range(3)]
    await asyncio.gather(*first)
    await until(lambda: "slow" in lines(log))
    monkeypatch.setattr(_line, "QUICK", 0.001)

    assert [(await task).result for task in ahead] == [f"n{i}" for i in range(8)]
    assert not slow.done()
    stopped.set()
    await asyncio.gather(*other)
    (tmp_path / "go_on").touch()
    assert (await slow).result == "slow"


async def test_a_place_that_becomes_free_elsewhere_is_for_what_waits(
    make, tasks, log, tmp_path
) -> None:
    executor = make(max_workers=2)
    waits = str(tmp_path / "alone")

    def alone() -> str:
        import os
        import time

        while not os.path.exists(waits):
            time.sleep(0.005)
        return "alone"

    holds = begun(executor, alone)
    await until(lambda: len(workers_of(os.getpid())) == 1)
    at_work, ahead, _ = await one_at_work(
        executor, tasks, log, tmp_path / "go_on", notes(tasks, log, 5)
    )

    Path(waits).touch()

    assert (await holds).result == "alone"
    assert [(await task).result for task in ahead] == [f"n{i}" for i in range(5)]
    assert not at_work.done()
    (tmp_path / "go_on").touch()
    await at_work


async def test_tasks_in_line_leave_their_turn_to_others(make, tasks) -> None:
    executor, other, order = make(), make(retries=1), []

    async def note(name: str, executor) -> None:
        await execute(executor, tasks.shout, name, 1)
        order.append(name)

    in_line = [asyncio.create_task(note("in line", executor)) for _ in range(400)]
    alone = asyncio.create_task(note("alone", other))
    await asyncio.gather(*in_line, alone)

    assert order.index("alone") < 200


async def test_no_more_tasks_are_in_run_than_are_of_use(make, tasks) -> None:
    executor, in_run, most = make(max_workers=2), set(), 0
    run = executor.run

    async def counted(function, args, kwargs, task_metadata):
        nonlocal most
        in_run.add(args[0])
        most = max(most, len(in_run))
        try:
            return await run(function, args, kwargs, task_metadata)
        finally:
            in_run.remove(args[0])

    executor.run = counted
    numbers = [str(i) for i in range(1_000)]
    outcomes = await asyncio.gather(*(execute(executor, tasks.shout, i, 1) for i in numbers))

    assert [outcome.result for outcome in outcomes] == numbers
    assert most == 2 * _line.IN_RUN


async def test_tasks_that_leave_before_their_turn_hold_up_nobody(make, tasks) -> None:
    executor = make()
    many = [asyncio.create_task(execute(executor, tasks.shout, "a", 1)) for _ in range(400)]
    await asyncio.sleep(0)
    for task in many[1:-1]:
        task.cancel()

    await asyncio.wait(many)

    assert many[-1].result().result == "a"
    assert all(task.cancelled() for task in many[1:-1])


async def test_further_tasks_are_let_in_after_failures(make, tasks) -> None:
    executor = make()

    outcomes = await asyncio.gather(
        *(execute(executor, divmod, 1, 0) for _ in range(200)), return_exceptions=True
    )

    assert {type(outcome) for outcome in outcomes} == {ZeroDivisionError}


async def test_who_waits_in_line_and_who_does_not_take_turns(make, tasks) -> None:
    executor, counts, ended = make(), Counter(), asyncio.Event()

    async def again_and_again(name: str, function, *args) -> None:
        while not ended.is_set():
            await execute(executor, function, *args)
            counts[name] += 1
            if min(counts["short"], counts["alone"]) > 100:
                ended.set()

    await asyncio.gather(
        *(again_and_again("short", abs, -1) for _ in range(20)),
        *(again_and_again("alone", lambda: None) for _ in range(20)),
    )

    assert max(counts.values()) < 4 * min(counts.values())


def test_threads_with_event_loops_of_their_own_share_the_workers(make, tasks) -> None:
    executor, found = make(max_workers=2), []

    async def many(thread: int) -> list[str]:
        outcomes = await asyncio.gather(
            *(execute(executor, tasks.shout, f"{thread}-{i}", 1) for i in range(200))
        )
        return [outcome.result for outcome in outcomes]

    threads = [
        threading.Thread(target=lambda i=i: found.append((i, asyncio.run(many(i)))))
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found) == [(i, [f"{i}-{j}" for j in range(200)]) for i in range(4)]
    assert len(workers_of(os.getpid())) <= 2


# -- event loops that end


def test_a_loop_that_ends_takes_its_tasks_along(make, tasks, log, tmp_path) -> None:
    executor = make(max_workers=2)

    async def host() -> None:
        for i in range(50):
            begun(executor, tasks.wait, str(log), i, str(tmp_path / "never"))
        await until(lambda: len(lines(log)) == 2)

    asyncio.run(host())

    assert sorted(lines(log)) == ["0", "1"]
    assert asyncio.run(execute(executor, abs, -1)).result == 1
    assert _attempt._running == {}


async def test_a_task_that_is_thrown_away_leaves_its_place(make, tasks, log, tmp_path) -> None:
    executor = make()
    await execute(executor, tasks.note, str(log), "first")
    thrown = executor.run(tasks.wait, [str(log), "at_work", str(tmp_path / "never")], {}, {})
    thrown.send(None)
    behind = begun(executor, tasks.note, str(log), "behind")
    await until(lambda: "at_work" in lines(log))

    thrown.close()

    assert (await behind).result == "behind"


@pytest.mark.parametrize("seconds", [0, 0.3])
def test_loops_that_are_closed_in_the_middle_leave_no_worker(
    make, tasks, log, monkeypatch, seconds
) -> None:
    executor, before, real = make(max_workers=2), set(threading.enumerate()), Worker._start

    def start(self: Worker) -> None:
        time.sleep(seconds)
        real(self)

    monkeypatch.setattr(Worker, "_start", start)

    async def host() -> None:
        for i in range(10):
            begun(executor, tasks.note, str(log), i)
        await asyncio.sleep(0.01)

    for _ in range(8):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(host())
        loop.close()
        del loop
        gc.collect()

    assert asyncio.run(execute(executor, abs, -1)).result == 1
    # A worker may still be starting, in a thread that knows of its loop.
    for thread in set(threading.enumerate()) - before:
        thread.join()
    gc.collect()
    # One that was killed may not have ended yet.
    _pool._end_condemned()
    assert len(workers_of(os.getpid())) <= 2


@pytest.mark.parametrize("function", [abs, lambda number: number])
def test_a_host_that_ends_while_a_worker_starts_leaves_none(make, monkeypatch, function) -> None:
    executor, reached = make(max_workers=2), threading.Event()
    real = Worker._start

    def start(self: Worker) -> None:
        reached.set()
        # Until the host has cancelled everything: it waits for its threads after that.
        is_ending.wait()
        real(self)

    async def host() -> None:
        begun(executor, function, -1)
        await asyncio.to_thread(reached.wait)

    is_ending = threading.Event()
    monkeypatch.setattr(Worker, "_start", start)
    threads = asyncio.BaseEventLoop.shutdown_default_executor

    async def shutdown(self, *args) -> None:
        is_ending.set()
        await threads(self, *args)

    monkeypatch.setattr(asyncio.BaseEventLoop, "shutdown_default_executor", shutdown)
    asyncio.run(host())


# -- everything at once


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_nothing_is_lost_and_nothing_runs_twice(
    make, tasks, log, seed
) -> None:
    executor, chance = make(max_workers=2), random.Random(seed)
    expected = {}
    running = {}
    for i in range(150):
        kind = chance.choice(["note"] * 8 + ["leave", "change", "shout", "cancelled", "cancelled"])
        if kind == "leave":
            running[i] = begun(executor, tasks.leave, str(log), i, 3)
        elif kind == "change":
            running[i] = begun(executor, tasks.change, str(log), i)
        elif kind == "shout":
            running[i] = begun(executor, tasks.shout, str(i), 30_000)
        else:
            running[i] = begun(executor, tasks.note, str(log), i)
        expected[i] = kind
        if chance.random() < 0.1:
            await asyncio.sleep(chance.random() / 50)
        if kind == "cancelled" and chance.random() < 0.8:
            asyncio.get_running_loop().call_later(chance.random() / 10, running[i].cancel)
    outcomes = await asyncio.gather(*running.values(), return_exceptions=True)

    ran = Counter(lines(log))
    for i, outcome in enumerate(outcomes):
        if isinstance(outcome, asyncio.CancelledError):
            assert expected[i] == "cancelled"
            assert ran[str(i)] <= 1
            continue
        assert not isinstance(outcome, BaseException), outcome
        assert outcome.status == (FAILED if expected[i] == "leave" else "COMPLETED")
        assert ran[str(i)] == (expected[i] != "shout")
        if expected[i] == "shout":
            assert outcome.stdout == str(i) * 30_000 + "\n"
    assert (await execute(executor, abs, -1)).result == 1


# -- hosts that do it in their own way

METADATA = {"dispatch_id": "d", "node_id": 1, "results_dir": "r"}


async def test_tasks_that_are_stopped_while_they_wait_leave_nothing_in_line(
    make, tasks, log, tmp_path
) -> None:
    executor = make()
    at_work = begun(executor, tasks.wait, str(log), "at_work", str(tmp_path / "go_on"))
    await until(lambda: lines(log))
    first = begun(executor, tasks.note, str(log), "first")
    for _ in range(20):
        stopped = begun(executor, tasks.note, str(log), "stopped")
        await asyncio.sleep(0)
        stopped.cancel()
        await asyncio.wait([stopped])

    line = _line.line_of(_pool.pool_of(executor._settings()))
    assert len(line.waiting) == 1
    (tmp_path / "go_on").touch()
    await asyncio.gather(at_work, first)
    assert lines(log) == ["at_work", "first"]


async def test_a_run_that_is_closed_while_it_waits_takes_nothing_from_the_task_at_work(
    make, tasks, log, tmp_path, monkeypatch
) -> None:
    executor = make()
    monkeypatch.setattr(_line, "QUICK", 3600)
    await asyncio.gather(*(execute(executor, abs, -1) for _ in range(3)))
    quick = [begun(executor, abs, -1) for _ in range(3)]
    at_work = begun(executor, tasks.wait, str(log), "at_work", str(tmp_path / "go_on"))
    await asyncio.sleep(0)
    closed = executor.run(tasks.note, [str(log), "closed"], {}, METADATA)
    closed.send(None)
    await asyncio.gather(*quick)
    await until(lambda: lines(log))

    # As where the event loop is at rest.
    monkeypatch.setattr(asyncio.get_running_loop(), "is_running", lambda: False)
    closed.close()
    monkeypatch.undo()

    (tmp_path / "go_on").touch()
    assert (await at_work).result == "at_work"
    assert lines(log) == ["at_work"]


async def test_a_run_that_is_closed_while_its_output_is_read_leaves_its_worker_to_others(
    make, tasks
) -> None:
    executor = make()
    for _ in range(3):
        shouting = executor.run(tasks.shout, ["x", 1_000_000], {}, METADATA)
        shouting.send(None).add_done_callback(lambda _: None)
        [attempt] = [attempt() for attempt in _attempt._running.values()]
        await asyncio.wait([attempt._heard])
        del attempt
        shouting.send(None)
        shouting.close()
        await until(lambda: _pool.pool_of(executor._settings()).places.are_free)

    assert (await execute(executor, abs, -1)).result == 1
    await until(lambda: len(workers_of(os.getpid())) == 1)


async def test_a_host_may_set_up_and_run_in_different_event_loops(make, tasks) -> None:
    executor, other = make(time_limit=60), asyncio.new_event_loop()
    thread = threading.Thread(target=other.run_forever)
    thread.start()

    async def elsewhere(number: int) -> int:
        await executor.setup(METADATA)
        context = copy_context()
        try:
            run = context.run(
                asyncio.run_coroutine_threadsafe,
                executor.run(abs, [number], {}, METADATA),
                other,
            )
            return await asyncio.wrap_future(run)
        finally:
            await executor.teardown(METADATA)

    async def here(number: int) -> int:
        return (await execute(executor, abs, number)).result

    try:
        for _ in range(5):
            both = [run(-i) for i in range(5) for run in (elsewhere, here)]
            assert await asyncio.gather(*both) == [i for i in range(5) for _ in range(2)]
    finally:
        await executor.close()
        other.call_soon_threadsafe(other.stop)
        await asyncio.to_thread(thread.join)
        other.close()
