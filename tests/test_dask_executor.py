"""The executor that runs its tasks on a Dask cluster: one in other processes, and its own.

Functions of this module would be sent by reference, and no Dask worker can import it: the tasks
below are nested functions and lambdas, which travel by value.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("distributed")

import dask
from distributed import Client
from pytest_asyncexec.reference_executor import DaskExecutor, _dask_links, _dask_thread

from dask_cluster import VARIABLE, Cluster
from pytest_asyncexec import TaskStatus, TaskTimeoutError, run_task
from pytest_asyncexec.contract.catalogue import RULES

COMPLETED, FAILED, CANCELLED = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.stop()


@pytest.fixture
def mortal(tmp_path) -> Iterator[Cluster]:
    """A cluster of which a test may kill something."""
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()


@pytest.fixture
def executor(cluster) -> DaskExecutor:
    return DaskExecutor(scheduler_address=cluster.address)


async def execute(executor, function, /, *args, **kwargs):
    return await executor.execute(function, list(args), kwargs, "d", "unused")


def is_alive(pid: int) -> bool:
    """Say whether a process exists that is more than a zombie waiting for its parent."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def until(condition) -> None:
    """Wait for what another process does, which sets no event here."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def pids(path: Path, number: int, executing: asyncio.Task) -> list[tuple[int, int]]:
    """Wait for the processes of so many attempts, and return them with their Dask workers."""

    def lines() -> list[str]:
        return path.read_text().splitlines() if path.exists() else []

    await until(lambda: len(lines()) >= number or executing.done())
    assert len(lines()) >= number, executing.result()
    return [tuple(map(int, line.split())) for line in lines()]


def sleeping(path: Path):
    """A task that says who runs it, and goes on for ever."""
    name = str(path)

    def sleep() -> None:
        print("begun", flush=True)
        with open(name, "a") as file:
            file.write(f"{os.getpid()} {os.getppid()}\n")
        time.sleep(3600)

    return sleep


def waiting(go: Path, path: Path):
    """A task that says who runs it, and ends once the file `go` exists."""
    end, name = str(go), str(path)

    def wait() -> None:
        with open(name, "a") as file:
            file.write(f"{os.getpid()} {os.getppid()}\n")
        while not os.path.exists(end):
            time.sleep(0.01)

    return wait


def script(text: str, *arguments: str) -> tuple[str, str]:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(text), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout, ran.stderr


# -- construction


def test_the_package_does_not_import_distributed() -> None:
    stdout, stderr = script(
        """
        import sys
        from pytest_asyncexec.reference_executor import DaskExecutor
        DaskExecutor(scheduler_address="tcp://127.0.0.1:8786")
        print({"dask", "distributed"} & sys.modules.keys())
        """
    )

    assert (stdout, stderr) == ("set()\n", "")


def test_without_distributed_there_is_one_clear_error() -> None:
    stdout, _ = script(
        """
        import sys
        sys.modules["distributed"] = None
        import pytest_asyncexec.reference_executor as executors
        executors.LocalExecutor
        try:
            executors.DaskExecutor
        except ImportError as error:
            print(error)
        """
    )

    assert stdout == (
        "DaskExecutor needs the package distributed, which is not installed: "
        "pip install 'pytest-asyncexec[dask]'\n"
    )


@pytest.mark.parametrize("address", [5, None, True, b"tcp://127.0.0.1:8786"])
def test_an_address_that_is_no_text_is_refused(address) -> None:
    with pytest.raises(TypeError, match="scheduler_address must be a str, not "):
        DaskExecutor(scheduler_address=address)


@pytest.mark.parametrize(
    "address",
    ["tcp//x", "x", " ", "tcp://", "tcp://host", "tcp://host:0", "tcp://host:65536", "a b:1", ":1"],
)
def test_an_address_that_can_be_none_is_refused(address) -> None:
    with pytest.raises(ValueError, match="pass 'tcp://host:port', or ''"):
        DaskExecutor(scheduler_address=address)


@pytest.mark.parametrize("address", ["", "host:8786", "tls://a.b-c:1", "tcp://[::1]:8786"])
def test_an_address_is_kept(address) -> None:
    executor = DaskExecutor(time_limit=3, scheduler_address=address)

    description = json.loads(json.dumps(executor.to_dict()))

    assert description["short_name"] == "dask"
    assert description["attributes"]["scheduler_address"] == address
    assert DaskExecutor().from_dict(description).to_dict() == executor.to_dict()


async def test_rubbish_of_a_dictionary_is_refused_before_the_task_runs() -> None:
    executor = DaskExecutor()
    executor.scheduler_address = "tcp//x"

    with pytest.raises(ValueError, match="scheduler_address is 'tcp//x', which cannot be one"):
        await execute(executor, print)


# -- results, errors, output


async def test_a_task_runs_on_the_cluster(executor, cluster) -> None:
    def who() -> tuple[str, str]:
        return os.getcwd(), __import__("sys").argv[0]

    outcome = await execute(executor, who)

    assert outcome.status == COMPLETED
    assert outcome.result[0].startswith(str(cluster.folder))
    assert outcome.result[1].endswith("_worker.py")


async def test_a_large_payload_arrives_unchanged(executor) -> None:
    payload = os.urandom(20 << 20)

    outcome = await execute(executor, lambda data: data[::-1], payload)

    assert outcome.result == payload[::-1]


async def test_an_error_of_the_task_is_raised_with_the_failing_line(executor) -> None:
    def function() -> None:
        numbers = {}
        numbers["the missing one"]  # the failing line

    with pytest.raises(KeyError) as caught:
        await execute(executor, function)

    assert caught.value.args == ("the missing one",)
    assert "# the failing line" in caught.value.__notes__[0]


async def test_output_is_returned(executor, capfd) -> None:
    def function() -> None:
        print("printed é")
        subprocess.run(["echo", "by a child"], check=True)
        print("warned", file=sys.stderr)

    outcome = await execute(executor, function)

    assert (outcome.stdout, outcome.stderr) == ("printed é\nby a child\n", "warned\n")
    assert capfd.readouterr() == ("", "")


async def test_a_worker_process_that_dies_is_a_failed_task(executor) -> None:
    def function() -> None:
        print("about to fall", flush=True)
        os._exit(3)

    outcome = await execute(executor, function)

    assert (outcome.status, outcome.stdout) == (FAILED, "about to fall\n")
    assert "died without a result (exit code 3)" in outcome.stderr
    assert (await execute(executor, pow, 2, 3)).result == 8


async def test_what_cannot_be_serialised_is_named(executor) -> None:
    lock = threading.Lock()

    for function, args, message in [
        (lambda: lock, [], "The function, of type function, cannot be sent to a worker"),
        (print, [1, lock], "Argument 1, of type lock, cannot be sent to a worker process"),
        (threading.Lock, [], "The result, of type lock, cannot be sent back"),
    ]:
        outcome = await execute(executor, function, *args)
        assert outcome.status == FAILED
        assert message in outcome.stderr


async def test_each_attempt_runs_once(cluster, tmp_path) -> None:
    marks = str(tmp_path / "marks")
    executor = DaskExecutor(retries=2, scheduler_address=cluster.address)

    def function() -> None:
        with open(marks, "a") as file:
            file.write("x")
        raise ValueError(os.path.getsize(marks))

    with pytest.raises(ValueError, match="3"):
        await execute(executor, function)
    assert os.path.getsize(marks) == 3


async def test_hundreds_of_tasks_at_once(executor) -> None:
    before = asyncio.all_tasks()

    outcomes = await asyncio.gather(*(execute(executor, pow, 2, number) for number in range(300)))

    assert [outcome.result for outcome in outcomes] == [2**number for number in range(300)]
    assert asyncio.all_tasks() == before


def test_one_connection_serves_every_event_loop_and_executor(cluster) -> None:
    address = cluster.address
    asyncio.run(execute(DaskExecutor(scheduler_address=address), pow, 2, 3))
    link = _dask_links._links[address]

    outcome = asyncio.run(execute(DaskExecutor(scheduler_address=address), pow, 2, 4))

    assert outcome.result == 16
    assert _dask_links._links[address] is link


async def test_after_close_there_is_a_new_connection(executor, cluster) -> None:
    await execute(executor, pow, 2, 3)
    link = _dask_links._links[cluster.address]

    await executor.close()
    await executor.close()

    assert not link.is_open
    assert (await execute(executor, pow, 2, 3)).result == 8


# -- stopping


async def test_a_task_over_its_limit_is_killed(cluster, tmp_path) -> None:
    streams: list[str] = []

    class Recording(DaskExecutor):
        async def teardown(self, task_metadata: dict) -> None:
            streams.append(self.task_stdout.getvalue())

    limit = 0.5
    path = tmp_path / "pids"
    while not path.exists():
        limit *= 2  # on a slow machine the worker has not even begun before that
        executor = Recording(time_limit=limit, scheduler_address=cluster.address)
        with pytest.raises(TaskTimeoutError, match=f"longer than its time_limit of {limit:g} sec"):
            await execute(executor, sleeping(path))

    [(pid, _)] = await pids(path, 1, asyncio.current_task())
    assert not is_alive(pid)
    assert streams[-1] == "begun\n"


async def test_waiting_for_others_is_no_part_of_the_limit(cluster, tmp_path) -> None:
    address, limit = cluster.address, 0.25
    while True:
        limit *= 2
        go, path = tmp_path / f"go-{limit}", tmp_path / f"pids-{limit}"
        unlimited = DaskExecutor(scheduler_address=address)
        others = [asyncio.create_task(execute(unlimited, waiting(go, path))) for _ in range(2)]
        await pids(path, 2, others[0])
        limited = DaskExecutor(time_limit=limit, scheduler_address=address)
        executing = asyncio.create_task(execute(limited, pow, 2, 3))
        await asyncio.sleep(2 * limit)
        assert not executing.done()
        go.touch()
        await asyncio.gather(*others)
        try:
            assert (await executing).result == 8
            break
        except TimeoutError:
            assert limit < 16  # on a machine this slow the task itself may take longer


async def test_cancelling_the_host_stops_what_runs_and_what_waits(executor, tmp_path) -> None:
    path = tmp_path / "pids"
    executing = [asyncio.create_task(execute(executor, sleeping(path))) for _ in range(30)]
    running = await pids(path, 2, executing[0])

    for task in executing:
        task.cancel()
    ended = await asyncio.gather(*executing, return_exceptions=True)

    assert {type(error) for error in ended} == {asyncio.CancelledError}
    assert not any(is_alive(pid) for pid, _ in running)
    # None of those that waited has begun meanwhile, or does so now.
    assert (await execute(executor, pow, 2, 3)).result == 8
    assert len(path.read_text().splitlines()) == 2


async def handle_of(executor, function) -> tuple[asyncio.Task, dict]:
    """Begin a task, and return it with its job handle."""
    handle = asyncio.get_running_loop().create_future()
    executing = asyncio.create_task(
        run_task(executor, function, [], {}, "d", "unused", on_job_handle=handle.set_result)
    )
    return executing, await handle


async def test_cancel_stops_a_running_task(executor, tmp_path) -> None:
    executing, handle = await handle_of(executor, sleeping(tmp_path / "pids"))
    [(pid, _)] = await pids(tmp_path / "pids", 1, executing)

    assert await executor.cancel({}, handle) is True

    assert not is_alive(pid)
    outcome = await executing
    assert (outcome.status, outcome.stdout) == (CANCELLED, "begun\n")


async def test_cancel_keeps_a_waiting_task_from_beginning(executor, tmp_path) -> None:
    go, path, others = tmp_path / "go", tmp_path / "pids", tmp_path / "others"
    busy = [asyncio.create_task(execute(executor, waiting(go, others))) for _ in range(4)]
    await pids(others, 2, busy[0])
    executing, handle = await handle_of(executor, sleeping(path))

    assert await executor.cancel({}, handle) is True

    assert (await executing).status == CANCELLED
    go.touch()
    await asyncio.gather(*busy)
    assert not path.exists()


async def test_cancel_tells_the_truth_whenever_it_comes(executor, tmp_path) -> None:
    folder = str(tmp_path)

    def function(number: int) -> int:
        with open(f"{folder}/{number}", "w"):
            return number

    async def cancelled(number: int) -> tuple[bool, TaskStatus]:
        executing, handle = await handle_of(executor, lambda: function(number))
        await asyncio.sleep(number / 1000)
        is_stopped = await executor.cancel({}, handle)
        begun = (tmp_path / str(number)).exists()
        outcome = await executing
        assert outcome.status == (CANCELLED if is_stopped else COMPLETED)
        assert outcome.result == (None if is_stopped else number)
        return begun, outcome.status

    ended = await asyncio.gather(*(cancelled(number) for number in range(100)))

    # What has been stopped before it began does not begin later.
    assert [(tmp_path / str(number)).exists() for number in range(100)] == [
        begun for begun, _ in ended
    ]


async def test_cancel_is_late_for_what_has_ended(executor) -> None:
    executing, handle = await handle_of(executor, os.getpid)
    await executing

    assert await executor.cancel({}, handle) is False


@pytest.mark.parametrize(
    "handle", [None, {}, "x", {"address": 1, "token": "x"}, {"address": "", "token": None}]
)
async def test_cancel_knows_nothing_of_a_foreign_handle(executor, handle) -> None:
    assert await executor.cancel({}, handle) is False


async def test_cancel_works_from_another_event_loop(executor, tmp_path) -> None:
    executing, handle = await handle_of(executor, sleeping(tmp_path / "pids"))
    await pids(tmp_path / "pids", 1, executing)

    assert await asyncio.to_thread(asyncio.run, executor.cancel({}, handle)) is True
    assert (await executing).status == CANCELLED


@pytest.mark.parametrize("is_running", [True, False])
async def test_cancel_works_from_another_process(executor, tmp_path, is_running) -> None:
    go, path, others = tmp_path / "go", tmp_path / "pids", tmp_path / "others"
    number = 0 if is_running else 4
    busy = [asyncio.create_task(execute(executor, waiting(go, others))) for _ in range(number)]
    if not is_running:
        await pids(others, 2, busy[0])
    executing, handle = await handle_of(executor, sleeping(path))
    if is_running:
        await pids(path, 1, executing)

    stdout, stderr = await asyncio.to_thread(
        script,
        """
        import asyncio, json, sys
        from pytest_asyncexec.reference_executor import DaskExecutor
        print(asyncio.run(DaskExecutor().cancel({}, json.loads(sys.argv[1]))))
        """,
        json.dumps(handle),
    )

    assert (stdout, stderr) == ("True\n", "")
    assert (await executing).status == CANCELLED
    go.touch()
    await asyncio.gather(*busy)
    assert path.exists() == is_running


# -- what is lost


@pytest.mark.parametrize("retries", [0, 1])
async def test_the_death_of_a_dask_worker_is_a_failed_attempt(mortal, tmp_path, retries) -> None:
    """RET-10: attempted again with retries left, and never without."""
    executor = DaskExecutor(scheduler_address=mortal.address, retries=retries)
    path = str(tmp_path / "pids")

    def function() -> str:
        with open(path, "a") as file:
            file.write(f"{os.getpid()} {os.getppid()}\n")
        with open(path) as file:
            first = int(file.readline().split()[0])
        if first == os.getpid():
            time.sleep(3600)
        try:
            with open(f"/proc/{first}/stat") as file:
                return file.read().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return "gone"

    executing = asyncio.create_task(execute(executor, function))
    [(_, dask_worker)] = await pids(Path(path), 1, executing)
    os.kill(dask_worker, signal.SIGKILL)
    outcome = await executing

    if retries:
        # The second attempt found nothing of the first.
        assert outcome.result in ("gone", "Z")
    else:
        assert outcome.status == FAILED
        assert "died, which had the task and may have begun it" in outcome.stderr
    assert (await execute(executor, pow, 2, 3)).result == 8
    assert len(Path(path).read_text().splitlines()) == 1 + retries


async def test_a_task_of_a_dask_worker_that_is_closed_is_a_failed_attempt(mortal, tmp_path) -> None:
    executor = DaskExecutor(scheduler_address=mortal.address)
    path = tmp_path / "pids"
    executing = asyncio.create_task(execute(executor, sleeping(path)))
    [(_, dask_worker)] = await pids(path, 1, executing)

    async with Client(mortal.address, asynchronous=True) as client:
        workers = await client.run(os.getpid)
        [address] = [address for address, pid in workers.items() if pid == dask_worker]
        await client.retire_workers([address])
    outcome = await executing

    assert outcome.status == FAILED
    assert "The Dask worker" in outcome.stderr
    assert (await execute(executor, pow, 2, 3)).result == 8
    assert len(path.read_text().splitlines()) == 1


async def test_a_task_that_kills_its_dask_worker_is_a_failed_task(mortal, tmp_path) -> None:
    executor = DaskExecutor(scheduler_address=mortal.address)

    def function() -> None:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(3600)

    outcome = await execute(executor, function)

    assert outcome.status == FAILED
    assert "died, which had the task and may have begun it" in outcome.stderr
    assert (await execute(executor, pow, 2, 3)).result == 8


async def test_a_scheduler_that_goes_away_and_comes_back(mortal, tmp_path) -> None:
    executor = DaskExecutor(scheduler_address=mortal.address)
    path = tmp_path / "pids"
    executing = [asyncio.create_task(execute(executor, sleeping(path))) for _ in range(5)]
    running = await pids(path, 2, executing[0])

    mortal.kill_scheduler()

    for outcome in await asyncio.gather(*executing):
        assert outcome.status == FAILED
        assert (
            f"The connection to the Dask scheduler at {mortal.address} was lost" in outcome.stderr
        )
    await until(lambda: not any(is_alive(pid) for pid, _ in running))
    mortal.worker.wait()

    mortal.start()

    assert (await execute(executor, pow, 2, 3)).result == 8
    assert len(path.read_text().splitlines()) == 2


async def test_an_address_nobody_answers_is_one_clear_error(free_port) -> None:
    address = f"tcp://127.0.0.1:{free_port}"
    executor = DaskExecutor(retries=3, scheduler_address=address)

    with dask.config.set({"distributed.comm.timeouts.connect": "200ms"}):
        outcomes = await asyncio.gather(*(execute(executor, pow, 2, 3) for _ in range(3)))

    for outcome in outcomes:
        assert outcome.status == FAILED
        assert outcome.stderr.startswith(f"The Dask scheduler at {address} cannot be reached: ")
        assert "distributed.comm.timeouts.connect" in outcome.stderr
        assert len(outcome.stderr.splitlines()) == 1


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


# -- the embedded cluster


@pytest.fixture
def embedded() -> Iterator[DaskExecutor]:
    """An executor on the cluster in this process, which ends here.

    Later tests may do things to this process that no thread of a cluster is made for.
    """
    yield DaskExecutor()
    _dask_thread.in_dask(_dask_links._close_all()).result(60)


async def test_without_an_address_a_cluster_is_embedded(embedded, tmp_path) -> None:
    executor, path = embedded, tmp_path / "pids"

    assert (await execute(executor, os.getppid)).result == os.getpid()

    executing, handle = await handle_of(executor, sleeping(path))
    [(pid, _)] = await pids(path, 1, executing)
    assert await executor.cancel({}, handle) is True
    assert not is_alive(pid)
    assert (await executing).status == CANCELLED


def test_a_script_with_an_embedded_cluster_ends_without_a_word() -> None:
    stdout, stderr = script(
        """
        import asyncio
        from pytest_asyncexec.reference_executor import DaskExecutor

        async def main():
            executor = DaskExecutor()
            print((await executor.execute(lambda: 42, [], {}, "d", "unused")).result)

        asyncio.run(main())
        asyncio.run(main())
        """
    )

    assert (stdout, stderr) == ("42\n42\n", "")


# -- the contract


@pytest.mark.parametrize("is_embedded", [False, True])
def test_the_executor_is_conformant(cluster, tmp_path, is_embedded) -> None:
    target = "dask_cluster:make_executor"
    if is_embedded:
        target = "pytest_asyncexec.reference_executor:DaskExecutor"
    tests = str(Path(__file__).parent)
    environment = os.environ | {VARIABLE: cluster.address, "PYTHONPATH": tests}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"]
    command += [f"--asyncexec-plugin={target}", "--asyncexec-profile=quick"]

    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stdout
    verdict = f"conformant, level hardened, profile quick: {len(RULES)} passed, 0 failed"
    assert verdict in " ".join(run.stdout.split())
