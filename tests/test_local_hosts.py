"""Hosts of `LocalExecutor`: with many event loops and threads; that fork, end or are killed."""

import asyncio
import gc
import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest
from pytest_asyncexec.reference_executor import _pool
from pytest_asyncexec.reference_executor._process import Worker

from local_workers import (
    appearing,
    execute,
    gone,
    is_alive,
    leaving_nothing,
    pid_of,
    until,
    with_a_child,
    workers_of,
)

# -- event loops and threads


@pytest.fixture
def make(tmp_path):
    """Hand out a maker of executors with warm workers, which leave nothing behind."""
    with leaving_nothing(tmp_path / "cache", warm=True) as make:
        yield make


def test_a_second_event_loop_takes_the_workers_of_the_first(make) -> None:
    pids = {asyncio.run(pid_of(make(max_workers=1))) for _ in range(3)}

    assert len(pids) == 1


def test_event_loops_in_threads_pass_workers_on_to_each_other(make) -> None:
    before = workers_of(os.getpid())
    pids: list[int] = []

    def host() -> None:
        async def tasks() -> None:
            executor = make(max_workers=2)
            outcomes = await asyncio.gather(*(execute(executor, os.getpid) for _ in range(100)))
            pids.extend(outcome.result for outcome in outcomes)

        asyncio.run(tasks())

    threads = [threading.Thread(target=host) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(pids) == 400
    # A worker on its way from one loop to another may be missed, and a new one started.
    assert workers_of(os.getpid()) - before <= set(pids)


def test_a_loop_that_is_dropped_in_the_middle_of_tasks_keeps_no_place(
    make, tmp_path, monkeypatch, caplog
) -> None:
    # Not by asyncio.run(), which would cancel them: loop and tasks are dropped as they are.
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    executor = make(max_workers=1)
    loop = asyncio.new_event_loop()
    tasks = [
        loop.create_task(execute(executor, with_a_child(tmp_path / name)))
        for name in ("runs", "waits")
    ]
    loop.run_until_complete(until((tmp_path / "runs").exists))
    loop.close()
    worker, child = json.loads((tmp_path / "runs").read_text())

    del loop, tasks
    gc.collect()

    assert asyncio.run(pid_of(executor)) != worker
    for pid in (worker, child):
        asyncio.run(gone(pid))


async def test_an_executor_in_use_can_be_copied_and_described(make, tmp_path) -> None:
    import copy
    import pickle

    executor = make(max_workers=1)
    before = executor.to_dict()
    executing = asyncio.create_task(execute(executor, with_a_child(tmp_path / "pids")))
    await appearing(tmp_path / "pids", executing)

    assert executor.to_dict() == before
    assert copy.deepcopy(executor).to_dict() == before
    assert pickle.loads(pickle.dumps(executor)).to_dict() == before
    executing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await executing


async def test_a_task_without_setup_and_teardown_runs_and_gives_its_worker_back(make) -> None:
    # As hosts do that call `run` alone.
    executor = make(max_workers=1)
    metadata = {"dispatch_id": "d", "node_id": 0, "results_dir": "unused"}

    first = await executor.run(os.getpid, [], {}, metadata)

    assert await executor.run(os.getpid, [], {}, metadata) == first
    assert await pid_of(executor) == first


# -- the end of a host

HOST = """
import asyncio, json, os, signal, subprocess, sys, threading, time
from pytest_asyncexec.reference_executor import DaskExecutor, LocalExecutor

# Started by a program in the background, it would ignore an interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

folder, form, ending = sys.argv[1:]
if form == "dask":
    executor = DaskExecutor(cache_dir=folder + "/cache")
else:
    executor = LocalExecutor(cache_dir=folder + "/cache", warm=form == "warm", max_workers=2)

def busy(pids):
    def function():
        import json, os, signal, subprocess, sys
        program = (
            "import signal, sys, time\\n"
            "for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:\\n"
            "    signal.signal(number, signal.SIG_IGN)\\n"
            "print(flush=True)\\n"
            "while True: time.sleep(9)"
        )
        child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        child.stdout.readline()
        with open(pids + "~", "w") as file:
            json.dump([os.getpid(), child.pid], file)
        os.rename(pids + "~", pids)
        while True:
            pass
    return function

async def main():
    def execute(function):
        return executor.execute(function, [], {}, "d", "unused")

    # Two at once, for two workers: one for the busy task, and one that waits.
    both = await asyncio.gather(*(execute(lambda: (time.sleep(0.1), os.getpid())) for _ in "12"))
    if ending != "idle":
        asyncio.get_running_loop().create_task(execute(busy(folder + "/busy")))
        while not os.path.exists(folder + "/busy"):
            await asyncio.sleep(0.01)
    with open(folder + "/first~", "w") as file:
        json.dump([outcome.result[1] for outcome in both], file)
    os.rename(folder + "/first~", folder + "/first")
    if ending in ("idle", "cancelled"):
        return
    if ending == "os._exit":
        os._exit(0)
    if ending == "error":
        raise ZeroDivisionError
    started.set()
    await asyncio.sleep(3600)

started = threading.Event()
if ending == "thread":
    # The main thread ends, and takes no notice of the loop in the other.
    threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
    started.wait()
else:
    asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("form", "ending"),
    [
        *itertools.product(
            ["fresh", "warm"],
            ["SIGKILL", "SIGTERM", "SIGINT", "os._exit", "error", "cancelled", "thread", "idle"],
        ),
        *itertools.product(["dask"], ["SIGKILL", "SIGTERM", "os._exit", "cancelled", "idle"]),
    ],
)
def test_a_host_leaves_no_worker_and_no_child_of_one(tmp_path, form, ending) -> None:
    script = tmp_path / "host.py"
    script.write_text(HOST)
    with open(tmp_path / "printed", "wb") as printed:
        host = subprocess.Popen(
            [sys.executable, script, tmp_path, form, ending], stdout=printed, stderr=printed
        )
    asyncio.run(until(lambda: (tmp_path / "first").exists() or host.poll() is not None))
    assert (tmp_path / "first").exists(), (tmp_path / "printed").read_text()
    pids = json.loads((tmp_path / "first").read_text())
    if ending != "idle":
        pids += json.loads((tmp_path / "busy").read_text())

    if ending.startswith("SIG"):
        assert all(is_alive(pid) for pid in pids[2:])
        host.send_signal(signal.Signals[ending])
    host.wait()

    for pid in pids:
        asyncio.run(gone(pid))
    assert os.listdir(tmp_path / "cache") == []
    text = (tmp_path / "printed").read_text()
    wanted = {"SIGINT": "KeyboardInterrupt\n", "error": "ZeroDivisionError\n"}.get(ending, "")
    assert text.endswith(wanted)
    # A loop in another thread may yet see what happens to its task.
    assert wanted or not text or ending == "thread"


def test_a_host_that_is_killed_while_workers_start_leaves_none(tmp_path) -> None:
    # Killed sooner and later, with many workers on their way.
    script = tmp_path / "host.py"
    script.write_text(
        textwrap.dedent(
            """
            import asyncio, signal, sys
            from pytest_asyncexec.reference_executor import LocalExecutor

            async def main():
                executor = LocalExecutor(cache_dir=sys.argv[1], warm=True, max_workers=4)
                print("ready", flush=True)
                work = (signal.pause, [], {}, "d", "unused")
                await asyncio.gather(*(executor.execute(*work) for _ in "1234"))

            asyncio.run(main())
            """
        )
    )
    for delay in range(0, 120, 10):
        host = subprocess.Popen(
            [sys.executable, script, tmp_path],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert host.stdout.readline() == b"ready\n"
        asyncio.run(asyncio.sleep(delay / 1000))
        workers = workers_of(host.pid)
        host.kill()
        workers |= workers_of(host.pid)
        host.wait()
        host.stdout.close()

        for worker in workers:
            asyncio.run(gone(worker))


def test_a_host_that_forks_and_its_child_have_workers_of_their_own(tmp_path) -> None:
    script = tmp_path / "host.py"
    script.write_text(
        textwrap.dedent(
            """
            import asyncio, os, sys
            from pytest_asyncexec.reference_executor import LocalExecutor

            executor = LocalExecutor(cache_dir=sys.argv[1], warm=True, max_workers=1)

            def pid():
                outcome = asyncio.run(executor.execute(os.getpid, [], {}, "d", "unused"))
                assert outcome[1:] == ("", "", "COMPLETED"), outcome
                return outcome.result

            first = pid()
            child = os.fork()
            if child == 0:
                of_child = pid()
                assert of_child != first
                assert pid() == of_child
                asyncio.run(executor.close())
                assert pid() != of_child
                sys.exit()  # with all that a process does at its end
            _, status = os.waitpid(child, 0)
            assert status == 0, status
            assert pid() == first
            # Of two who hold the ties, the first to go must not end the worker for the other.
            if os.fork() == 0:
                os._exit(0)
            os.wait()
            assert pid() == first
            print("right")
            """
        )
    )

    ran = subprocess.run(
        [sys.executable, script, tmp_path], capture_output=True, text=True, check=False
    )

    assert (ran.stdout, ran.stderr) == ("right\n", "")


def test_a_forked_child_that_lives_on_does_not_keep_the_workers_of_its_killed_parent(
    tmp_path,
) -> None:
    script = tmp_path / "host.py"
    script.write_text(
        textwrap.dedent(
            """
            import asyncio, os, signal, sys, time
            from pytest_asyncexec.reference_executor import LocalExecutor

            executor = LocalExecutor(cache_dir=sys.argv[1], warm=True, max_workers=1)
            outcome = asyncio.run(executor.execute(os.getpid, [], {}, "d", "unused"))
            child = os.fork()
            if child:
                print(outcome.result, child, flush=True)
            while True:
                time.sleep(9)
            """
        )
    )
    host = subprocess.Popen([sys.executable, script, tmp_path], stdout=subprocess.PIPE)
    worker, child = map(int, host.stdout.readline().split())
    try:
        host.kill()
        host.wait()
        asyncio.run(gone(worker))
        assert is_alive(child)
    finally:
        os.kill(child, signal.SIGKILL)
        host.stdout.close()


@pytest.mark.parametrize("form", ["fresh", "warm"])
def test_a_task_thrown_away_with_its_event_loop_takes_its_worker_along(tmp_path, form) -> None:
    with leaving_nothing(tmp_path / "cache", warm=form == "warm", max_workers=1) as make:
        executor = make()
        pids = tmp_path / "pids"

        def function() -> None:
            unfinished = f"{pids}.unfinished"
            with open(unfinished, "w") as file:
                file.write(str(os.getpid()))
            os.replace(unfinished, pids)
            while True:
                pass

        async def started() -> int:
            while not pids.exists():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            return int(pids.read_text())

        loop = asyncio.new_event_loop()
        task = loop.create_task(execute(executor, function))
        worker = loop.run_until_complete(started())
        loop.close()
        # That it never ended is what this is about, and nothing to be told of.
        for pending in asyncio.all_tasks(loop):
            pending._log_destroy_pending = False
        del loop, task, pending
        gc.collect()

        asyncio.run(gone(worker))
        assert asyncio.run(execute(executor, lambda: "next")).result == "next"


async def test_close_waits_for_workers_that_were_killed(tmp_path) -> None:
    with leaving_nothing(tmp_path / "cache") as make:
        executor = make()
        worker = Worker(executor.cache_dir, {}, True, lambda worker: None)
        _pool.start(worker)
        _pool.condemn(worker)

        await executor.close()

        assert _pool._condemned == []
        assert worker.process.returncode == -signal.SIGKILL


# -- large payloads


@pytest.mark.parametrize("form", ["fresh", "warm"])
async def test_a_payload_of_a_quarter_of_a_gibibyte_each_way(tmp_path, form) -> None:
    size = 1 << 28
    with leaving_nothing(tmp_path / "cache", warm=form == "warm", max_workers=1) as make:
        executor = make()

        outcome = await execute(executor, lambda data: data + b"end", bytes(size))

        assert len(outcome.result) == size + 3
        assert outcome.result.endswith(b"\0end")
        assert outcome[1:] == ("", "", "COMPLETED")
        del outcome
        await pid_of(executor)
    assert _pool._condemned == []
