"""The plan on executors that nobody wrote a task for: findings and reasons, no hang, no crash."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Collection, Iterator
from time import sleep
from typing import Any
from unittest import mock

import pytest
from pytest_asyncexec.conformance.instruments import patience
from pytest_asyncexec.conformance.instruments.history import METHODS
from pytest_asyncexec.conformance.plan.conditions import CANCELLED, row
from pytest_asyncexec.conformance.runner import judge_target
from pytest_asyncexec.conformance.scenarios import batch, observations
from pytest_asyncexec.conformance.subject.subject import Subject
from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor

from pytest_asyncexec.contract.verdict import RuleOutcome, judge
from pytest_asyncexec.targets.target import Target

#: Some whose checks ask the plan, and do little besides.
ASKED = ("LIF-02", "LIF-08", "LIF-09", "CNC-01")


@pytest.fixture(autouse=True)
def _near() -> Iterator[None]:
    """The guards that are far away are near for executors that are known to hang."""
    near = {"PAST_LIMIT": 1.0, "SHORTLY": 0.5, "RESCUE": 1.0, "TURN": 1.0, "LEFTOVERS": 1.0}
    with mock.patch.multiple(patience, **near):
        yield


def judged(
    build: Callable[[], Any], rules: Collection[str] = ASKED, *, strength: int = 1
) -> dict[str, RuleOutcome]:
    """What the rules say of an executor; none of their checks may crash."""
    target = Target(f"tests:{build.__name__}", build.__name__, build, isinstance(build, type))
    found = judge_target(target, rules, "quick", strength)
    assert set(found) == set(rules)
    assert not [each for each in found.values() if each.outcome == "not_run"], found
    return found


class HangsInOne(ThreadExecutor):
    """The thirtieth task of all never ends."""

    begun = 0

    async def run(self, function, args, kwargs, task_metadata):  # type: ignore[no-untyped-def]
        HangsInOne.begun += 1
        if HangsInOne.begun == 30:
            await asyncio.Event().wait()
        return await super().run(function, args, kwargs, task_metadata)


def test_one_that_hangs_in_one_of_many() -> None:
    HangsInOne.begun = 0

    found = judged(HangsInOne)

    assert found["CNC-01"].outcome == "failed"
    assert "it never ended: " in found["CNC-01"].message
    assert "waits at" in found["CNC-01"].message
    # The others were judged by the tasks that ended.
    assert {found[rule].outcome for rule in ("LIF-02", "LIF-08", "LIF-09")} == {"passed"}


class MixesAll(ThreadExecutor):
    """Whoever asks gets the result that came last."""

    last: Any = None

    async def run(self, function, args, kwargs, task_metadata):  # type: ignore[no-untyped-def]
        MixesAll.last = await super().run(function, args, kwargs, task_metadata)
        await asyncio.sleep(0.05)
        return MixesAll.last


def test_one_that_mixes_all() -> None:
    found = judged(MixesAll, (*ASKED, "RES-01"))

    assert found["CNC-01"].outcome == "failed"
    assert "belongs to another task" in found["CNC-01"].message
    # One after the other they are right; what was not tried so is no pass.
    assert found["LIF-02"].outcome == found["LIF-08"].outcome
    for rule in ("LIF-02", "LIF-08", "RES-01"):
        assert found[rule].outcome == "passed" or (
            found[rule].outcome == "could_not_run"
            and "one after the other not all were tried" in found[rule].message
        ), found[rule]


class MixesOutput(LocalExecutor):
    """Returns what others print meanwhile with its own, as a redirected stream of all would."""

    at_work = 0
    said = ""

    async def run(self, function, args, kwargs, task_metadata):  # type: ignore[no-untyped-def]
        MixesOutput.at_work += 1
        try:
            return await super().run(function, args, kwargs, task_metadata)
        finally:
            assert self.task_stdout is not None
            own = self.task_stdout.getvalue()
            if MixesOutput.at_work > 1:
                self.task_stdout.write(MixesOutput.said)
            MixesOutput.said = own or MixesOutput.said
            MixesOutput.at_work -= 1


def test_one_that_mixes_the_output_alone_is_judged_by_all_else() -> None:
    found = judged(MixesOutput, (*ASKED, "RES-01", "RES-06", "RET-02"), strength=2)

    assert found["CNC-01"].outcome == "failed"
    assert "belongs to another task" in found["CNC-01"].message
    # Those whose output was mixed are all tried one after the other.
    for rule in ("LIF-02", "LIF-08", "LIF-09", "RES-01", "RET-02", "RES-06"):
        assert found[rule].outcome == "passed", found[rule]


class MixesOutputAndNeverRetries(MixesOutput):
    """As above, and leaves the retries to a backend that knows nothing of them."""

    enforces = frozenset({"retries"})


def test_one_that_mixes_the_output_is_told_what_else_is_wrong_and_no_more() -> None:
    asked = (*ASKED, "RES-01", "RES-06", "RET-01", "RET-02", "RET-03")
    found = judged(MixesOutputAndNeverRetries, asked, strength=2)

    assert {rule for rule, each in found.items() if each.outcome == "failed"} == {
        "CNC-01",
        "RET-02",
        "RET-03",
    }
    for rule in ("RES-01", "RES-06", "RET-01"):
        assert found[rule].outcome == "passed", found[rule]


def test_of_one_that_mixes_the_output_of_too_many_not_all_is_known() -> None:
    with mock.patch.object(observations, "_ONE_BY_ONE", 24):
        found = judged(MixesOutput, (*ASKED, "RES-01", "RES-06", "RET-02"), strength=2)

    assert found["CNC-01"].outcome == "failed"
    assert "belongs to another task" in found["CNC-01"].message
    # Whose output is another's has its own result all the same.
    for rule in ("LIF-02", "LIF-08", "LIF-09", "RES-01", "RET-02"):
        assert found[rule].outcome == "passed", found[rule]
    assert found["RES-06"].outcome == "could_not_run"
    assert "one after the other not all were tried" in found["RES-06"].message


class ServesOne(ThreadExecutor):
    """Is spent with its first task."""

    async def run(self, function, args, kwargs, task_metadata):  # type: ignore[no-untyped-def]
        if vars(self).get("_spent"):
            raise RuntimeError("this executor has run its task")
        object.__setattr__(self, "_spent", True)
        return await super().run(function, args, kwargs, task_metadata)


def test_one_that_serves_one_task() -> None:
    found = judged(ServesOne, (*ASKED, "RES-01", "STR-12"))

    assert found["LIF-08"].outcome == "failed"
    assert "this executor has run its task" in found["LIF-08"].message
    # The others get a fresh instance for each task.
    for rule in ("LIF-02", "LIF-09", "STR-12"):
        assert found[rule].outcome == "passed", found[rule]
    assert "has run its task" not in found["RES-01"].message


class TakesOneAtATime(ThreadExecutor):
    """Refuses what comes while it is at work."""

    at_work = 0

    async def run(self, function, args, kwargs, task_metadata):  # type: ignore[no-untyped-def]
        if TakesOneAtATime.at_work:
            raise RuntimeError("busy, come back later")
        TakesOneAtATime.at_work += 1
        try:
            return await super().run(function, args, kwargs, task_metadata)
        finally:
            TakesOneAtATime.at_work -= 1


def test_one_that_refuses_more_than_one_at_a_time() -> None:
    found = judged(TakesOneAtATime)

    assert found["CNC-01"].outcome == "failed"
    assert "busy, come back later" in found["CNC-01"].message
    for rule in ("LIF-02", "LIF-08", "LIF-09"):
        assert "busy" not in found[rule].message
        assert found[rule].outcome == "passed" or (
            "one after the other not all were tried" in found[rule].message
        ), found[rule]


class TakesItsTime(ThreadExecutor):
    """Every task takes longer than the guard that is near here: as ten seconds, where it is far."""

    async def run(self, function, args, kwargs, task_metadata):  # type: ignore[no-untyped-def]
        await asyncio.sleep(0.4)
        return await super().run(function, args, kwargs, task_metadata)


def test_one_that_is_slow_is_waited_for_as_long_as_its_first_task_took() -> None:
    with mock.patch.object(patience, "PAST_LIMIT", 0.1):
        found = judged(TakesItsTime)

    assert {each.outcome for each in found.values()} == {"passed"}, found


def test_guards_and_limits_grow_with_the_time_that_a_task_takes() -> None:
    target = Target("tests:ThreadExecutor", "ThreadExecutor", ThreadExecutor, True)
    subject = Subject(target, "quick", 1)
    try:
        quick = subject.preflight()
        assert quick.seconds < 10
        slow = batch.replace(quick, seconds=10.0)
        with mock.patch.object(subject, "_preflight", slow):
            assert batch.short_limit(subject) > 10
            assert batch._Batch(subject, [])._guard() >= patience.PAST_LIMIT + 30
            known = batch._Batch(subject, [row(end=CANCELLED)], one_stood=True)
            with contextlib.ExitStack() as stack:
                known.prepare(stack)
            assert patience.SHORTLY + 30 <= known._guard() < patience.PAST_LIMIT + 30
            both = batch._Batch(subject, [row(end=CANCELLED), row()], one_stood=True)
            with contextlib.ExitStack() as stack:
                both.prepare(stack)
            assert both._guard() >= patience.PAST_LIMIT + 30
    finally:
        subject.close()


def _after(number: int, give: Callable[[], Any]) -> Callable[[], Any]:
    """A factory of executors that gives something else after so many."""
    built = []

    def factory() -> Any:
        built.append(1)
        return ThreadExecutor() if len(built) <= number else give()

    return factory


def _raise_an_error() -> None:
    raise RuntimeError("there are no more licences")


def _exit() -> None:
    sys.exit("there are no more licences")


@pytest.mark.parametrize("give", [_raise_an_error, _exit])
@pytest.mark.parametrize("number", [1, 10])
def test_a_factory_that_fails_later_on(number: int, give: Callable[[], Any]) -> None:
    found = judged(_after(number, give))

    # Not everything could be tried, which is no pass; and it says why.
    for each in found.values():
        assert each.outcome in ("could_not_run", "failed"), each
        assert "there are no more licences" in each.message


def test_a_factory_that_gives_something_else_later_on() -> None:
    found = judged(_after(10, lambda: None))

    for each in found.values():
        assert each.outcome in ("could_not_run", "failed"), each
        assert "None" in each.message


class Sealed(type(ThreadExecutor)):  # type: ignore[misc]
    """No method of its classes can be replaced."""

    def __setattr__(cls, name: str, value: Any) -> None:
        if name in METHODS:
            raise TypeError(f"{name} of {cls.__name__} cannot be replaced")
        super().__setattr__(name, value)


class CannotBeFollowed(ThreadExecutor, metaclass=Sealed):
    """Is right, and nobody can record what is awaited under it."""


def test_one_whose_methods_cannot_be_replaced_is_judged_by_its_outcomes() -> None:
    found = judged(CannotBeFollowed, ("LIF-08", "LIF-09", "RES-01"))

    assert {each.outcome for each in found.values()} == {"passed"}, found


class ChangesItsMetadata(ThreadExecutor):
    """Gives its methods something else than a dictionary."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):  # type: ignore[no-untyped-def]
        await self.setup("metadata")
        result = await self.run(function, args, kwargs, None)
        await self.teardown(["metadata"])
        return result, "", "", "COMPLETED"


def test_one_whose_metadata_is_no_dictionary() -> None:
    found = judged(ChangesItsMetadata, ("LIF-02", "LIF-06", "LIF-09"))

    assert found["LIF-06"].outcome == "failed"
    assert "'metadata'" in found["LIF-06"].message


class CancelsEverything(ThreadExecutor):
    """Tidies up after a task by cancelling whatever it finds."""

    async def teardown(self, task_metadata):  # type: ignore[no-untyped-def]
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()


def test_one_that_cancels_its_host_and_all_its_tasks() -> None:
    found = judged(CancelsEverything, ("LIF-08", "CNC-01"))

    assert {each.outcome for each in found.values()} <= {"failed", "could_not_run"}
    assert all("Cancelled" in each.message for each in found.values())


class HoldsTheLoop(ThreadExecutor):
    """Blocks its host for good from its twentieth task on."""

    begun = 0

    async def run(self, function, args, kwargs, task_metadata):  # type: ignore[no-untyped-def]
        HoldsTheLoop.begun += 1
        while HoldsTheLoop.begun > 20:
            sleep(0.01)  # noqa: ASYNC251  # this is what is wrong with it
        return await super().run(function, args, kwargs, task_metadata)


def test_one_that_blocks_the_loop_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "WATCHDOG", 3.0)
    HoldsTheLoop.begun = 0

    found = judged(HoldsTheLoop)
    HoldsTheLoop.begun = -1_000_000  # for its thread to end

    assert "failed" in {each.outcome for each in found.values()}
    assert {each.outcome for each in found.values()} <= {"failed", "could_not_run"}
    told = [each.message for each in found.values() if each.outcome == "failed"]
    assert all("the event loop is blocked at" in message for message in told)


class TellsNothing(LocalExecutor):
    """Whatever went wrong, and whoever asked for it: a task that has ended has an exit code."""

    async def run(self, function, args, kwargs, task_metadata):  # type: ignore[no-untyped-def]
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except Exception:
            raise RuntimeError("exit code 1") from None


def test_of_one_that_tells_nothing_of_an_error_the_rest_is_told_in_a_line() -> None:
    asked = ("RES-04", "RES-12", "CAN-04", "CNC-01")
    found = judge(judged(TellsNothing, asked).values())

    told = {each.rule_id: each.told_by for each in found.of("failed")}
    assert told == {"RES-04": ""} | dict.fromkeys(asked[1:], "RES-04")
