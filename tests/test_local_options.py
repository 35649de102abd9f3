"""What can be set on a `LocalExecutor`: how many tasks run at once, where, and with what around."""

import asyncio
import copy
import json
import os
import threading
from pathlib import Path

import pytest
from pytest_asyncexec.reference_executor import LocalExecutor, _pool

from local_workers import (
    execute,
    held,
    leaving_nothing,
    logged,
    pid_of,
    until,
    with_a_child,
    workers_of,
)
from pytest_asyncexec import TaskTimeoutError


@pytest.fixture(params=["fresh", "warm"])
def make(request, tmp_path):
    """Hand out a maker of executors that leave nothing behind."""
    with leaving_nothing(tmp_path / "cache", warm=request.param == "warm") as make:
        yield make


# -- rubbish


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"max_workers": 0},
            ValueError,
            "max_workers must be at least 1, got 0: no task could ever run; pass None for as "
            "many as there are processors",
        ),
        ({"max_workers": -3}, ValueError, "max_workers must be at least 1, got -3: no task"),
        (
            {"max_workers": True},
            TypeError,
            "max_workers must be an int, not True: pass how many tasks may run at once, and "
            "None for as many as there are processors",
        ),
        ({"max_workers": 2.0}, TypeError, "max_workers must be an int, not 2.0: pass how many"),
        ({"max_workers": "2"}, TypeError, "max_workers must be an int, not '2': pass how many"),
        ({"warm": 1}, TypeError, "warm must be True or False, not 1"),
        ({"workdir": None}, TypeError, "workdir must be a str, not None: pass '' for none"),
        ({"workdir": b"x"}, TypeError, "workdir must be a str, not b'x': pass '' for none"),
        (
            {"create_unique_workdir": "no"},
            TypeError,
            "create_unique_workdir must be True or False, not 'no'",
        ),
        (
            {"environment": {"A": 1}},
            TypeError,
            "environment must be a dict of texts, and holds 'A': 1",
        ),
        (
            {"environment": {1: "A"}},
            TypeError,
            "environment must be a dict of texts, and holds 1: 'A'",
        ),
        (
            {"environment": {"": "x"}},
            ValueError,
            "environment holds '': 'x', which no process can be given: a name must not be empty "
            "or hold '=', and neither name nor value a null character",
        ),
        ({"environment": {"A=B": "x"}}, ValueError, "environment holds 'A=B': 'x', which no"),
        ({"environment": {"A\0": "x"}}, ValueError, "environment holds 'A\\x00': 'x', which no"),
        ({"environment": {"A": "\0"}}, ValueError, "environment holds 'A': '\\x00', which no"),
        ({"environment": "A=x"}, TypeError, "environment must be a dict of texts, not 'A=x'"),
        ({"environment": ["A"]}, TypeError, "environment must be a dict of texts, not ['A']"),
        ({"environment": []}, TypeError, "environment must be a dict of texts, not []: pass {}"),
    ],
)
def test_rubbish_is_refused(options, error, message) -> None:
    with pytest.raises(error) as caught:
        LocalExecutor(**options)

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("max_workers", 0, ValueError),
        ("environment", None, TypeError),
        ("environment", {"A": 1}, TypeError),
        ("workdir", 3, TypeError),
        ("warm", "yes", TypeError),
    ],
)
async def test_rubbish_that_comes_later_is_refused_before_anything_runs(
    make, name, value, error
) -> None:
    executor = make()
    setattr(executor, name, value)

    with pytest.raises(error, match=name):
        await execute(executor, os.getpid)

    setattr(executor, name, getattr(LocalExecutor(), name))
    assert workers_of(os.getpid()) == set()


# -- surroundings


async def test_the_environment_is_added_to_that_of_the_host(make, monkeypatch) -> None:
    monkeypatch.setenv("OF_THE_HOST", "1")
    monkeypatch.setenv("OF_BOTH", "the host's")
    executor = make(environment={"OF_BOTH": "the executor's", "ITS_OWN": "é=\n"})

    outcome = await execute(
        executor, lambda: [os.environ[name] for name in ("OF_THE_HOST", "OF_BOTH", "ITS_OWN")]
    )

    assert outcome.result == ["1", "the executor's", "é=\n"]
    assert "ITS_OWN" not in os.environ
    assert os.environ["OF_BOTH"] == "the host's"


async def test_executors_of_different_environments_share_no_worker(make) -> None:
    def value() -> str:
        return os.environ["VALUE"]

    one, two = make(environment={"VALUE": "1"}), make(environment={"VALUE": "2"})

    outcomes = [await execute(executor, value) for executor in (one, two, one, two)]

    assert [outcome.result for outcome in outcomes] == ["1", "2", "1", "2"]


async def test_the_environment_is_a_copy_and_part_of_the_dictionary(make) -> None:
    mine = {"A": "1"}
    executor = make(environment=mine)
    mine["A"] = "2"

    described = executor.to_dict()

    assert described["attributes"]["environment"] == {"A": "1"}
    other = make().from_dict(json.loads(json.dumps(described)))
    assert (await execute(other, lambda: os.environ["A"])).result == "1"


async def test_the_workdir_is_made_when_it_is_missing(make, tmp_path) -> None:
    workdir = tmp_path / "made" / "when missing"

    outcome = await execute(make(workdir=str(workdir)), lambda: Path("x").touch() or os.getcwd())

    assert outcome.result == str(workdir)
    assert os.listdir(workdir) == ["x"]


async def test_home_is_expanded_in_the_workdir(make, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    outcome = await execute(make(workdir="~/work"), os.getcwd)

    assert outcome.result == str(tmp_path / "work")


async def test_a_relative_workdir_is_within_that_of_the_host(make, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert (await execute(make(workdir="work"), os.getcwd)).result == str(tmp_path / "work")


async def test_a_workdir_that_cannot_be_made_is_a_failed_task_and_harms_no_other(
    make, tmp_path
) -> None:
    (tmp_path / "file").touch()
    executor = make(workdir=str(tmp_path / "file" / "work"), max_workers=1)

    outcome = await execute(executor, lambda: None)

    assert outcome.status == "FAILED"
    assert "NotADirectoryError" in outcome.stderr
    assert str(tmp_path / "file" / "work") in outcome.stderr
    assert (await execute(make(max_workers=1), os.getcwd)).result == os.getcwd()


async def test_executors_of_different_workdirs_share_a_worker_and_each_has_its_own(
    make, tmp_path
) -> None:
    one, two, none = (make(workdir=str(tmp_path / name), max_workers=1) for name in ("1", "2", ""))
    none.workdir = ""

    outcomes = [await execute(executor, os.getcwd) for executor in (one, two, none, one, none)]

    assert [outcome.result for outcome in outcomes] == [
        str(tmp_path / "1"),
        str(tmp_path / "2"),
        os.getcwd(),
        str(tmp_path / "1"),
        os.getcwd(),
    ]


async def test_each_task_can_have_a_folder_of_its_own(make, tmp_path) -> None:
    executor = make(workdir=str(tmp_path / "work"), create_unique_workdir=True)

    outcomes = await asyncio.gather(
        *(
            executor.execute(os.getcwd, [], {}, dispatch_id, "unused", node_id)
            for dispatch_id in ("a", "b")
            for node_id in (0, 1)
        )
    )

    assert [outcome.result for outcome in outcomes] == [
        str(tmp_path / "work" / dispatch_id / f"node_{node_id}")
        for dispatch_id in ("a", "b")
        for node_id in (0, 1)
    ]


@pytest.mark.parametrize("dispatch_id", ["..", "../..", "a/../../..", "/etc", "x/../../../b"])
async def test_a_dispatch_id_cannot_lead_out_of_the_workdir(make, tmp_path, dispatch_id) -> None:
    executor = make(workdir=str(tmp_path / "work"), create_unique_workdir=True)

    with pytest.raises(ValueError, match="would leave the results_dir"):
        await executor.execute(os.getcwd, [], {}, dispatch_id, "unused", 0)

    assert os.listdir(tmp_path) == []


# -- how many at once


def most_at_once(folder: Path) -> int:
    """Return how many of the held tasks were held at the same time."""
    depth = most = 0
    for line in logged(folder):
        depth += 1 if line.endswith("+") else -1
        most = max(most, depth)
    return most


async def test_equal_executors_have_one_limit_also_rehydrated_and_copied_ones(
    make, tmp_path
) -> None:
    first = make(max_workers=2)
    described = json.loads(json.dumps(first.to_dict()))
    executors = [first, copy.deepcopy(first), make(max_workers=2), make().from_dict(described)]
    executing = [
        asyncio.create_task(execute(executor, held(tmp_path))) for executor in executors * 2
    ]
    await until(lambda: len(logged(tmp_path)) == 2)

    (tmp_path / "go_on").touch()
    await asyncio.gather(*executing)

    assert len(logged(tmp_path)) == 16
    assert most_at_once(tmp_path) == 2


def test_the_limit_holds_among_event_loops_and_threads(make, tmp_path) -> None:
    def host() -> None:
        async def tasks() -> None:
            await asyncio.gather(*(execute(make(max_workers=2), held(tmp_path)) for _ in range(4)))

        asyncio.run(tasks())

    threads = [threading.Thread(target=host) for _ in range(3)]
    for thread in threads:
        thread.start()
    asyncio.run(until(lambda: len(logged(tmp_path)) >= 2))
    (tmp_path / "go_on").touch()
    for thread in threads:
        thread.join()

    assert len(logged(tmp_path)) == 24
    assert most_at_once(tmp_path) == 2


async def test_without_a_number_there_are_as_many_as_processors(make, tmp_path) -> None:
    cpus = len(os.sched_getaffinity(0))
    executing = [asyncio.create_task(execute(make(), held(tmp_path))) for _ in range(cpus + 2)]
    await until(lambda: len(logged(tmp_path)) == cpus)

    (tmp_path / "go_on").touch()
    await asyncio.gather(*executing)

    assert most_at_once(tmp_path) == cpus


class Clock:
    """The clock of the running event loop, which can be put forward."""

    def __init__(self, monkeypatch) -> None:
        self.ahead = 0.0
        loop = asyncio.get_running_loop()
        real = loop.time
        monkeypatch.setattr(loop, "time", lambda: real() + self.ahead)

    async def pass_hours(self, number: int) -> None:
        self.ahead += number * 3600
        for _ in range(10):
            await asyncio.sleep(0)


async def test_waiting_for_a_place_does_not_count_for_the_time_limit(
    make, tmp_path, monkeypatch
) -> None:
    clock = Clock(monkeypatch)
    first = asyncio.create_task(execute(make(max_workers=1), held(tmp_path)))
    await until(lambda: logged(tmp_path))
    second = asyncio.create_task(execute(make(max_workers=1, time_limit=3600), os.getpid))

    await clock.pass_hours(2)
    assert not second.done()
    (tmp_path / "go_on").touch()

    await first
    assert (await second).status == "COMPLETED"


async def test_running_does_count_for_the_time_limit(make, tmp_path, monkeypatch) -> None:
    clock = Clock(monkeypatch)
    executor = make(max_workers=1, time_limit=3600)
    executing = asyncio.create_task(execute(executor, with_a_child(tmp_path / "pids")))
    await until((tmp_path / "pids").exists)

    await clock.pass_hours(2)

    with pytest.raises(TaskTimeoutError):
        await executing


async def test_a_waiting_task_that_is_cancelled_frees_nothing_it_did_not_have(
    make, tmp_path
) -> None:
    executor = make(max_workers=1)
    first = asyncio.create_task(execute(executor, held(tmp_path, "first")))
    await until(lambda: logged(tmp_path))
    second = asyncio.create_task(execute(executor, held(tmp_path, "second")))
    third = asyncio.create_task(execute(executor, held(tmp_path, "third")))
    await asyncio.sleep(0.01)

    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await asyncio.sleep(0.01)
    (tmp_path / "go_on").touch()
    await asyncio.gather(first, third)

    assert logged(tmp_path) == ["first+", "first-", "third+", "third-"]
    assert _pool.pool_of(executor._settings()).places.are_free


async def test_a_task_that_is_retried_keeps_its_place(make, tmp_path) -> None:
    def fails(name: str):
        log = str(tmp_path / "log")

        def function() -> None:
            with open(log, "a") as file:
                file.write(f"{name}\n")
            raise ValueError

        return function

    executor = make(max_workers=1, retries=2)

    await asyncio.gather(*(execute(executor, fails(name)) for name in "ab"), return_exceptions=True)

    assert logged(tmp_path) == ["a", "a", "a", "b", "b", "b"]


@pytest.mark.parametrize(("warm", "number"), [(True, 2000), (False, 40)])
async def test_however_many_wait_all_come_back_right(tmp_path, warm, number) -> None:
    with leaving_nothing(tmp_path / "cache", warm=warm, max_workers=2) as make:
        executor = make()
        outcomes = await asyncio.gather(*(execute(executor, abs, -n) for n in range(number)))

        assert [outcome.result for outcome in outcomes] == list(range(number))
        assert len(workers_of(os.getpid())) == (2 if warm else 0)


async def test_other_settings_end_the_workers_that_wait(tmp_path) -> None:
    with leaving_nothing(tmp_path / "cache", warm=True) as make:
        for number in range(1, 6):
            await pid_of(make(max_workers=1, environment={"NUMBER": str(number)}))

            assert len(workers_of(os.getpid())) == 1
