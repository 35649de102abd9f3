"""CAN: what becomes of a task when its host no longer wants it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import importlib
import inspect
import itertools
import json
import threading
import warnings
from collections.abc import Collection, Iterator
from typing import Any, NoReturn
from unittest import mock

from ..outcome import TaskCancelledError
from .beacon import Attempt, Beacon
from .check import CouldNotRun, check
from .history import History, Method, Replacement
from .host import CovalentHost, call_method, host_for
from .probes import echo, report_home
from .subject import Subject, finish
from .sweep import PATIENCE, Walk, coroutine_methods, methods_of, spread, unbalanced
from .wording import short, short_error

#: Seconds for which a cancelled `execute` may go on: a guard, far beyond what stopping takes.
_PATIENCE = 60.0

#: Seconds in which the kernel tells of a death that has happened: a guard, it takes none.
_DEATH = 10.0

#: Seconds after which an attempt that should be dead is asked whether it is.
_SUSPICION = 2.0

#: Seconds for a cancellation to take effect, where it may be right that it takes none: who is
#: slower than that is not found out, and nobody is condemned by it.
_GRACE = 0.25

#: The same where a method is let go on afterwards, and who is right stops what comes after it.
_LONG_GRACE = 1.0

_REPRODUCE = """
    import asyncio, time
    from pytest_asyncexec.conformance.host import host_for

    async def main():
        task = asyncio.ensure_future(
            host_for(executor).execute(executor, time.sleep, [60])
        )
        await asyncio.sleep(5)
        task.cancel()
        print(await asyncio.gather(task, return_exceptions=True))

    asyncio.run(main())
"""


@check("CAN-01")
def test_CAN_01_must_end_a_cancelled_execute_in_cancelled_error(subject: Subject) -> None:
    executor = _cancellable(subject)
    subject.need_beacon()
    subject.need_free_loop(lost="nobody can cancel anything", reproduce=_REPRODUCE)

    async def story() -> str:
        # The task is running and will not end by itself ...
        with Beacon() as beacon:
            executing = asyncio.ensure_future(
                subject.execute(executor, report_home, (beacon.address,))
            )
            if not await beacon.reported(1, executing):
                return f"the task never started: {executing.result()}"
            # ... when the host cancels the asyncio task that awaits it.
            executing.cancel()
            await asyncio.wait({executing}, timeout=_PATIENCE)
            if not executing.done():
                return f"execute still went on {_PATIENCE:g} s after it was cancelled"
        if executing.cancelled():
            return "CancelledError"
        return f"{executing.result()}, as if nobody had cancelled it"

    with subject.recording(executor) as history:
        ended = subject.drive(story)

    if ended != "CancelledError" or not _torn_down(history):
        subject.fail(
            seen=ended
            if ended != "CancelledError"
            else "execute ended in CancelledError, without teardown having been awaited to its end",
            required="CancelledError out of execute, after teardown was awaited",
            cause="a bare `except`, or `except BaseException`, that takes the CancelledError for "
            "an error of the task; or a teardown that is not in a `finally`",
            history=history,
            reproduce=_REPRODUCE,
        )


def _torn_down(history: History) -> bool:
    """Whether a teardown was awaited to its end, be it an error of its own."""
    ended = history.count("teardown", "returns") + history.count("teardown", "raises")
    return history.count("setup") == 0 or ended >= 1


_WORK_CAUSE = (
    "`run` drops what it waits for and leaves the work alone; or asks it to stop (SIGTERM, a flag) "
    "and does not wait until it is dead"
)
_WORK_REPRODUCE = """
    import asyncio, os, tempfile, time
    from pytest_asyncexec.conformance.host import host_for

    def work(path):
        import os, signal, time
        try:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        except ValueError:
            pass
        for _ in range(600):
            with open(path, "a") as file:
                file.write(".")
            time.sleep(0.1)

    async def main():
        path = os.path.join(tempfile.mkdtemp(), "progress")
        task = asyncio.ensure_future(host_for(executor).execute(executor, work, [path]))
        while not os.path.exists(path):
            await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait({task})
        for _ in range(5):
            print(os.path.getsize(path))
            await asyncio.sleep(1)

    asyncio.run(main())
"""


@check("CAN-02")
def test_CAN_02_must_have_stopped_the_work_of_a_cancelled_task(subject: Subject) -> None:
    _cancellable(subject)
    subject.need_free_loop(lost="nobody can cancel anything", reproduce=_REPRODUCE)
    if not subject.preflight().reaches_beacon:
        executor = subject.build()
        with subject.recording(executor) as history:
            alive = subject.drive(lambda: _writes_on(subject, executor))
        if alive:
            _fail_by_work(subject, alive, history)
        return

    stubborn = [] if subject.preflight().place == "this process" else ["ignore_sigterm"]
    ways = subject.pick(
        quick=[[*stubborn, "spin"]],
        default=[[], [*stubborn, "spin"]],
        thorough=[[], ["spin"], stubborn, [*stubborn, "spin"]],
    )
    for way in ways:
        executor = subject.build()
        with subject.recording(executor) as history, Beacon() as beacon:
            alive = subject.drive(functools.partial(_lives_on, subject, executor, beacon, way))
        if alive:
            _fail_by_work(subject, alive, history)


async def _lives_on(subject: Subject, executor: Any, beacon: Beacon, way: list[str]) -> str:
    """Cancel a task that is busy in this way; how its work goes on after that, or nothing."""
    executing = asyncio.ensure_future(subject.execute(executor, report_home, (beacon.address,)))
    if not await beacon.reported(1, executing):
        subject.could_not_run(f"the task never started: {executing.result()}")
    attempt = beacon.attempts[0]
    for command in way:
        # Whether it could be done matters little: the task is only busy in another way then.
        await _within(attempt.ask(do=command))
    executing.cancel()
    await asyncio.wait({executing}, timeout=_PATIENCE)
    busy = {
        "": "held in a call of the system",
        "spin": "busy with pure Python",
        "ignore_sigterm": "deaf to SIGTERM, and held in a call of the system",
        "ignore_sigterm spin": "deaf to SIGTERM, and busy with pure Python",
    }[" ".join(way)]
    if not executing.done():
        return f"a task that was {busy}: {_PATIENCE:g} s after it was cancelled execute went on"
    said = await _still_there(attempt)
    if not said:
        return ""
    return f"a task that was {busy} holds its line after the cancelled execute had ended, {said}"


async def _still_there(attempt: Attempt) -> str:
    """How an attempt that should be dead shows that it is not; or nothing."""
    if await _within(attempt.gone, _SUSPICION):
        return ""
    # By its death its end of the line would be closed. Who answers has not died.
    answer = attempt.ask(do="answer")
    await _within(answer)
    if attempt.gone.done():
        return ""
    return "and still answers" if answer.done() else f"though it gives no answer for {_DEATH:g} s"


async def _within(future: concurrent.futures.Future[Any], limit: float = _DEATH) -> bool:
    await asyncio.wait({asyncio.wrap_future(future)}, timeout=limit)
    return future.done()


def _write_on(path: str, end: str) -> None:
    """A task that cannot be talked to: it shows by a file that it goes on."""
    import os
    import time

    for _ in range(1200):
        with open(path, "ab") as file:
            file.write(b".")
        if os.path.exists(end):
            return
        time.sleep(0.05)


async def _writes_on(subject: Subject, executor: Any) -> str:
    """The same where tasks cannot connect: seen by a file that grows."""
    folder = subject.new_folder()
    progress, end = folder / "progress", folder / "end"
    executing = asyncio.ensure_future(
        subject.execute(executor, _write_on, (str(progress), str(end)))
    )
    while not progress.exists():
        done, _ = await asyncio.wait({executing}, timeout=0.02)
        if done:
            subject.could_not_run(f"the task never started: {executing.result()}")
    executing.cancel()
    await asyncio.wait({executing}, timeout=_PATIENCE)
    sizes = [progress.stat().st_size]
    # One more write may have been on its way; who writes again, and again, is alive.
    for _ in range(60):
        if len(sizes) > 3:
            break
        await asyncio.sleep(0.05)
        if progress.stat().st_size > sizes[-1]:
            sizes.append(progress.stat().st_size)
    end.touch()
    if len(sizes) < 4:
        return ""
    return f"after the cancelled execute had ended the task wrote on: its file grew to {sizes}"


def _fail_by_work(subject: Subject, seen: str, history: History) -> NoReturn:
    subject.fail(
        seen=seen,
        required="the work is dead before CancelledError comes out of execute",
        cause=_WORK_CAUSE,
        history=history,
        reproduce=_WORK_REPRODUCE,
    )


@check("CAN-03")
def test_CAN_03_must_report_a_task_cancelled_by_its_backend_as_cancelled(subject: Subject) -> None:
    kind = _task_cancelled_error(subject)
    executor = subject.build()

    def cancelled(_original: Any, _executor: Any, *_args: Any, **_kwargs: Any) -> None:
        raise kind("the job was cancelled on purpose")

    with subject.recording(executor, run=cancelled) as history:
        seen = subject.run(executor, echo, "value")

    if not history.count("run"):
        subject.could_not_run(f"execute ended without calling `run` of its class: {seen}")
    if seen.status == "CANCELLED" and _torn_down(history):
        return
    subject.fail(
        seen=f"run raised {kind.__name__}: {seen}"
        if seen.status != "CANCELLED"
        else "status CANCELLED, without teardown having been awaited to its end",
        required="execute returns the status CANCELLED, after teardown was awaited",
        cause="`execute` takes TaskCancelledError for a failure, or lets it out; or its teardown "
        "is not in a `finally`",
        history=history,
        reproduce=f"""
            import asyncio
            from {kind.__module__} import TaskCancelledError
            from pytest_asyncexec.conformance.history import recorded
            from pytest_asyncexec.conformance.host import host_for

            def run(original, executor, *args, **kwargs):
                raise TaskCancelledError("the job was cancelled on purpose")

            with recorded(type(executor), run=run) as history:
                print(asyncio.run(host_for(executor).execute(executor, len, ["abc"])))
            print(history)
        """,
    )


def _task_cancelled_error(subject: Subject) -> type[Exception]:
    """The error by which a `run` of the subject's kind says that its task was cancelled."""
    if not isinstance(host_for(subject.build()), CovalentHost):
        return TaskCancelledError
    exceptions = importlib.import_module("covalent._shared_files.exceptions")
    kind: type[Exception] = exceptions.TaskCancelledError
    return kind


_CANCEL_REPRODUCE = """
    import asyncio, time
    from unittest import mock
    from pytest_asyncexec.conformance.host import call_method, host_for

    executor.retries = 1
    handles = []
    original = type(executor).set_job_handle

    async def set_job_handle(self, handle):
        handles.append(handle)
        return await original(self, handle)

    async def main():
        metadata = {"dispatch_id": "dispatch", "node_id": 0, "results_dir": "."}
        task = asyncio.ensure_future(host_for(executor).execute(executor, time.sleep, [20]))
        await asyncio.sleep(5)
        handle = handles[-1] if handles else None
        print(await call_method(executor.cancel, metadata, handle))
        print(await task)

    with mock.patch.object(type(executor), "set_job_handle", set_job_handle):
        asyncio.run(main())
"""


@check("CAN-04")
def test_CAN_04_must_answer_cancel_by_whether_the_task_runs_on(subject: Subject) -> None:
    subject.need_beacon()
    subject.need_free_loop(lost="nobody can cancel anything", reproduce=_CANCEL_REPRODUCE)
    # A job that was killed has failed, which is a reason to try again: a cancelled one is not.
    executor = _with_a_retry(subject)
    # By one handle that is nobody's, and by that which the host was given.
    for by_handle in (False, True):
        with (
            subject.recording(executor) as history,
            Beacon() as beacon,
            _handles(executor) as handles,
        ):
            wrong = subject.drive(
                functools.partial(_cancel_wrongly, subject, executor, beacon, handles, by_handle)
            )
        if wrong:
            subject.fail(
                seen=wrong,
                required="a bool: True if the task will not run on, or else False",
                cause="`cancel` answers for what it has asked for, and not for what became of it; "
                "or `run` takes the killed job for one that failed, and it is attempted again",
                history=history,
                reproduce=_CANCEL_REPRODUCE,
            )


async def _cancel_wrongly(
    subject: Subject, executor: Any, beacon: Beacon, handles: list[Any], by_handle: bool
) -> str:
    """Cancel a running task, and once more when it is over; what is wrong with it, or nothing."""
    dispatch = subject.new_dispatch()
    metadata = {
        "dispatch_id": dispatch,
        "node_id": 0,
        "results_dir": str(subject.folder / "results"),
    }
    executing = asyncio.ensure_future(
        subject.execute(executor, report_home, (beacon.address,), dispatch_id=dispatch)
    )
    if not await beacon.reported(1, executing):
        subject.could_not_run(f"the task never started: {executing.result()}")
    attempt = beacon.attempts[0]
    if by_handle:
        await _handle_known(handles, executing)
    handle = handles[-1] if handles and by_handle else None
    called = f"cancel(task_metadata, {short(handle)}) of a running task"

    answer, wrong = await _answer_of(executor, metadata, handle, called)
    if not wrong and answer:
        said = await _still_there(attempt)
        again = asyncio.ensure_future(beacon.reported(2, executing))
        if not said:
            await asyncio.wait({again}, timeout=_PATIENCE)
        if said:
            wrong = f"{called} returned True, and the task holds its line, {said}"
        elif len(beacon.attempts) > 1:
            wrong = f"{called} returned True, and the task was attempted again"
        elif not executing.done():
            wrong = f"{called} returned True; the task is dead, and execute goes on"
        again.cancel()
    for held in beacon.answer_with(_let_go):
        _let_go(held, 0)
    seen = await finish(executing)
    if wrong:
        return wrong
    if answer and (seen is None or seen.completed):
        return f"{called} returned True, and then {seen or 'execute did not end'}"
    if not answer:
        return ""
    # Of what is over any answer is true, as long as it is one.
    _, wrong = await _answer_of(executor, metadata, handle, "cancel of a task that is over")
    return wrong


async def _answer_of(
    executor: Any, metadata: dict[str, Any], handle: Any, called: str
) -> tuple[bool, str]:
    """What `cancel` answers, and what is wrong with that."""
    cancelling = asyncio.ensure_future(
        call_method(executor.cancel, dict(metadata), json.loads(json.dumps(handle)))
    )
    await asyncio.wait({cancelling}, timeout=_PATIENCE)
    if not cancelling.done():
        cancelling.cancel()
        return False, f"{called} did not return within {_PATIENCE:g} s"
    if cancelling.cancelled():
        return False, f"{called} raised CancelledError"
    error = cancelling.exception()
    if error is not None:
        # What belongs to no job may be refused, but a job's own handle may not.
        return False, f"{called} raised {short_error(error)}" if handle is not None else ""
    answer = cancelling.result()
    if not isinstance(answer, bool):
        return False, f"{called} returned {short(answer)}, which is no bool"
    return answer, ""


def _let_go(attempt: Attempt, _number: int) -> None:
    attempt.tell(do="return", value="ran to its end")


@contextlib.contextmanager
def _handles(executor: Any) -> Iterator[list[Any]]:
    """What the executor says of its jobs through `set_job_handle`, within this block."""
    told: list[Any] = []
    original = getattr(type(executor), "set_job_handle", None)
    if original is None:
        yield told
        return

    # Whatever the method is, it is called as before: it may be a coroutine function or not.
    @functools.wraps(original)
    def set_job_handle(self: Any, handle: Any, *args: Any, **kwargs: Any) -> Any:
        told.append(handle)
        return original(self, handle, *args, **kwargs)

    with mock.patch.object(type(executor), "set_job_handle", set_job_handle):
        yield told


async def _handle_known(handles: list[Any], executing: asyncio.Future[Any]) -> None:
    """Wait until a task that runs has told its handle; it may never do so."""
    for _ in range(50):
        if handles or executing.done():
            return
        await asyncio.wait({executing}, timeout=0.01)


def _with_a_retry(subject: Subject) -> Any:
    try:
        return subject.build(retries=1)
    except CouldNotRun:
        return subject.build()


_SWEEP_REPRODUCE = """
    import asyncio
    from pytest_asyncexec.conformance.history import recorded
    from pytest_asyncexec.conformance.host import host_for
    from pytest_asyncexec.conformance.sweep import Walk

    async def pause(original, executor, *args, **kwargs):
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def main():
        for point in range(100):
            with recorded(type(executor), setup=pause, run=pause, teardown=pause) as history:
                walk = Walk(point, late=False, history=history)
                await walk.walk(lambda: host_for(executor).execute(executor, len, ["abc"]))
            print(walk, walk.executing, walk.left_behind, walk.after, sep="\\n")
            if not walk.delivered:
                break

    asyncio.run(main())
"""


_ORPHAN_REPRODUCE = """
    import asyncio, tempfile, time
    from pathlib import Path
    from pytest_asyncexec.conformance.history import recorded
    from pytest_asyncexec.conformance.host import host_for
    from pytest_asyncexec.conformance.sweep import Walk

    def work(path):
        import time
        time.sleep(2)
        with open(path, "w"):
            pass

    async def main():
        folder = Path(tempfile.mkdtemp())
        for point in range(1, 100):
            with recorded(type(executor)) as history:
                path = str(folder / f"orphan of point {point}")
                walk = Walk(point, late=False, history=history)
                await walk.walk(lambda: host_for(executor).execute(executor, work, [path]))
            if not walk.delivered or "run" in walk.where:
                print(walk)
            if not walk.delivered:
                break
        Path(path).unlink()
        await asyncio.sleep(5)
        print(*folder.iterdir(), sep="\\n")

    asyncio.run(main())
"""


@check("CAN-05")
def test_CAN_05_must_end_in_order_wherever_it_is_cancelled(subject: Subject) -> None:
    with warnings.catch_warnings():
        # Of what is cancelled before its first step Python says that it was never awaited.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        _sweep(subject, _cancellable(subject), _with_a_retry(subject))


def _sweep(subject: Subject, executor: Any, retrying: Any) -> None:
    has = methods_of(executor)

    # With methods that do nothing but wait, and no backend, at every point there is. The first
    # attempt fails, so that a cancellation meets the moments between two attempts as well.
    for late in (False, True):
        first = _walk(subject, retrying, has, point=-1, late=late, pausing=True)
        if not first.after.count("run"):
            subject.could_not_run("execute ended without calling `run` of its class")
        wanted = subject.pick(quick=8, default=300, thorough=5000)
        for point in spread(first.passed, wanted):
            walk = _walk(subject, retrying, has, point=point, late=late, pausing=True)
            _judge_walk(subject, walk, coroutine_methods(executor, has), has)
    facts = subject.preflight()
    if not facts.reaches_beacon or facts.blocks_loop_at:
        return

    # With its own methods, at some points of a real task.
    with Beacon() as beacon:

        def real(point: int) -> Walk:
            # An instance of its own: what the last one was cut off from is not in its way.
            fresh = subject.build()
            return _walk(subject, fresh, has, point=point, late=False, beacon=beacon)

        first = real(-1)
        for point in spread(first.passed, subject.pick(quick=3, default=24, thorough=200)):
            walk = real(point)
            # What stays behind without a cancellation, too, is not the fault of one.
            walk.left_behind = [] if first.left_behind else walk.left_behind
            _judge_walk(subject, walk, coroutine_methods(executor, has), has)
        if "stop" in facts.cannot:
            return
        # The time that one more task takes is the time that one which nobody has stopped has to
        # report, too.
        last = real(-1)
        alive = subject.drive(lambda: _any_still_there(beacon.attempts))
        if alive:
            subject.fail(
                seen=f"an attempt of a task that was cancelled at one of its {first.passed} points "
                f"holds its line after a later task has ended, {alive}",
                required="nothing is left running by an execute that was cancelled",
                cause="the work is started by steps of which the last ones can be cut off: nobody "
                "knows then that there is something to stop",
                history=last.after,
                reproduce=_ORPHAN_REPRODUCE,
            )


async def _any_still_there(attempts: list[Attempt]) -> str:
    for attempt in attempts:
        said = await _still_there(attempt)
        if said:
            return said
    return ""


def _walk(
    subject: Subject,
    executor: Any,
    has: Collection[Method],
    *,
    point: int,
    late: bool,
    pausing: bool = False,
    beacon: Beacon | None = None,
) -> Walk:
    """Run one task that is cancelled at a point: with pausing methods, or the executor's own."""
    attempts = itertools.count(1)

    def replaced(method: Method) -> Replacement:
        def instead(*_args: Any, **_kwargs: Any) -> Any:
            number = next(attempts) if method == "run" else 0
            if number == 1:
                raise ValueError("the first attempt fails on purpose")

        async def pausing(*_args: Any, **_kwargs: Any) -> Any:
            await asyncio.sleep(0)
            await _a_turn()
            instead()
            await asyncio.sleep(0)

        return pausing if method in coroutine_methods(executor, has) else instead

    instead = {method: replaced(method) for method in has} if pausing else {}
    function: Any = echo if beacon is None else report_home
    args: tuple[Any, ...] = ("value",) if beacon is None else (beacon.address, str(point))

    async def story() -> Walk:
        with subject.recording(executor, **instead) as history:
            walk = Walk(point, late=late, history=history)

            def answer(attempt: Attempt, _number: int) -> None:
                # Who is to be stopped already is not let go: it has to die.
                is_to_die = walk.delivered and not walk.in_a_race
                if not is_to_die and attempt.hello["label"] == str(point):
                    _let_go(attempt, 0)

            if beacon is not None:
                beacon.answer_with(answer)
            await walk.walk(lambda: subject.execute(executor, function, args))
        return walk

    return subject.drive(story)


async def _a_turn() -> None:
    """Wait for something that the event loop brings."""
    loop = asyncio.get_running_loop()
    turn = loop.create_future()

    def bring() -> None:
        if not turn.done():
            turn.set_result(None)

    loop.call_soon(bring)
    await turn


def _judge_walk(
    subject: Subject, walk: Walk, awaited: Collection[Method], has: Collection[Method]
) -> None:
    if not walk.is_over:
        wrong = f"execute still went on {PATIENCE:g} s later"
    elif walk.swallowed:
        assert walk.executing is not None
        wrong = f"{_ended(walk.executing)}, as if nobody had cancelled it"
    else:
        wrong = unbalanced(walk.after, has, awaited)
        if not wrong and walk.left_behind:
            wrong = f"an asyncio task was left running: it waits at {walk.left_behind[0]}"
    if wrong:
        subject.fail(
            seen=f"{walk}: {wrong}",
            required="CancelledError out of execute; if setup was begun, teardown was awaited "
            "exactly once, and nothing is left running",
            cause="a step between setup and teardown is not within the `try` whose `finally` "
            "tears down; or what is started in a task of its own is not awaited when the caller "
            "is cancelled",
            history=walk.after,
            reproduce=_SWEEP_REPRODUCE,
        )


def _ended(executing: asyncio.Future[Any]) -> str:
    error = executing.exception()
    return f"execute raised {short_error(error)}" if error else str(executing.result())


_HELD_REPRODUCE = """
    import asyncio
    from pytest_asyncexec.conformance.history import recorded
    from pytest_asyncexec.conformance.host import host_for

    async def held(original, executor, *args, **kwargs):
        await asyncio.sleep(2)

    async def main():
        with recorded(type(executor), {replaced}) as history:
            task = asyncio.ensure_future(host_for(executor).execute(executor, len, ["abc"]))
            await asyncio.sleep(1)
            task.cancel()
            {then}await asyncio.wait({{task}})
            print("until execute had ended:", history, sep="\\n")

    asyncio.run(main())
"""


@check("CAN-06")
def test_CAN_06_should_not_cut_teardown_short_by_a_second_cancellation(subject: Subject) -> None:
    executor = _cancellable(subject)
    if "teardown" not in methods_of(executor):
        subject.not_applicable("the executor has no teardown")

    async def story() -> tuple[History, str]:
        running, tearing = _Gate(executor, "run"), _Gate(executor, "teardown")
        with subject.recording(executor, run=running.held, teardown=tearing.held) as history:
            executing = asyncio.ensure_future(subject.execute(executor, echo, ("value",)))
            await running.begun(executing)
            if executing.done():
                return History(list(history.events)), f"{executing.result()}"
            # The first cancellation ends the run, the second one meets the teardown.
            executing.cancel()
            await _settled(executing, tearing.has_begun, grace=_LONG_GRACE)
            running.open()
            await tearing.begun(executing)
            executing.cancel()
            await _settled(executing)
            at_the_end = History(list(history.events))
            left_alone = executing.done()
            tearing.open()
            await _settled(executing)
            if left_alone:
                return at_the_end, ""
            await asyncio.wait({executing}, timeout=_PATIENCE)
            if not executing.done():
                return History(list(history.events)), f"execute did not end in {_PATIENCE:g} s"
            return History(list(history.events)), ""

    history, ended = subject.drive(story)

    if ended:
        subject.could_not_run(f"execute could not be held in its teardown: {ended}")
    if not history.count("teardown"):
        subject.could_not_run("blocked: teardown was not called, see CAN-01")
    if not _torn_down(history):
        cut = history.count("teardown", "is cancelled") > 0
        subject.fail(
            seen="cancelled a second time, during teardown: "
            + ("teardown was cancelled" if cut else "execute ended before teardown had"),
            required="teardown runs to its end, and execute ends after it",
            cause="`finally: await self.teardown(...)` alone: the second cancellation is raised "
            "right there. An asyncio.shield that is not awaited again drops it instead",
            history=history,
            reproduce=_HELD_REPRODUCE.format(
                replaced="run=held, teardown=held",
                then="await asyncio.sleep(0.5)\n            task.cancel()\n            ",
            ),
        )


@check("CAN-07")
def test_CAN_07_must_not_run_what_was_cancelled_during_setup(subject: Subject) -> None:
    executor = _cancellable(subject)
    if "setup" not in methods_of(executor):
        subject.not_applicable("the executor has no setup")

    def ran(_original: Any, _executor: Any, *_args: Any, **_kwargs: Any) -> str:
        return "result of a run"

    async def story() -> tuple[History, str]:
        gate = _Gate(executor, "setup")
        with subject.recording(executor, setup=gate.held, run=ran) as history:
            executing = asyncio.ensure_future(subject.execute(executor, echo, ("value",)))
            await gate.begun(executing)
            executing.cancel()
            # Who lets setup come to its end first is right, too.
            await _settled(executing, grace=_LONG_GRACE)
            gate.open()
            await asyncio.wait({executing}, timeout=_PATIENCE)
            if not executing.done():
                ended = f"execute still went on {_PATIENCE:g} s after it was cancelled"
            else:
                ended = "CancelledError" if executing.cancelled() else _ended(executing)
            return History(list(history.events)), ended

    history, ended = subject.drive(story)

    if not history.count("setup"):
        subject.could_not_run(f"execute does not call `setup` of its class: {ended}")
    has_teardown = "teardown" in methods_of(executor)
    if history.count("run"):
        wrong = "run was called"
    elif has_teardown and not history.count("teardown"):
        wrong = "teardown was not called"
    elif has_teardown and not _torn_down(history):
        wrong = "teardown was not awaited to its end"
    elif ended != "CancelledError":
        wrong = f"{ended}, as if nobody had cancelled it"
    else:
        return
    subject.fail(
        seen=f"cancelled during setup: {wrong}",
        required="run is never called, teardown is awaited, and execute ends in CancelledError",
        cause="`setup` stands before the `try` whose `finally` tears down; or its CancelledError "
        "is caught, and the task goes on",
        history=history,
        reproduce=_HELD_REPRODUCE.format(replaced="setup=held", then=""),
    )


class _Gate:
    """Holds a method of an executor, coroutine function or not, until it is opened."""

    def __init__(self, executor: Any, method: Method) -> None:
        self._loop = asyncio.get_running_loop()
        self._is_begun, self._is_open = asyncio.Event(), asyncio.Event()
        self._released = threading.Event()
        self.held = self._await if coroutine_methods(executor, {method}) else self._block

    @property
    def has_begun(self) -> asyncio.Event:
        """Set once the method was called."""
        return self._is_begun

    def open(self) -> None:
        """Let the method end."""
        self._is_open.set()
        self._released.set()

    async def begun(self, executing: asyncio.Future[Any]) -> None:
        """Wait until the method was called, or `executing` is over."""
        await _first(executing, self._is_begun)

    async def _await(self, *_args: Any, **_kwargs: Any) -> None:
        self._is_begun.set()
        await self._is_open.wait()

    def _block(self, *_args: Any, **_kwargs: Any) -> None:
        self._loop.call_soon_threadsafe(self._is_begun.set)
        self._released.wait(_PATIENCE)


async def _first(
    executing: asyncio.Future[Any], event: asyncio.Event, timeout: float = _PATIENCE
) -> None:
    waiting = asyncio.ensure_future(event.wait())
    await asyncio.wait({executing, waiting}, timeout=timeout, return_when="FIRST_COMPLETED")
    waiting.cancel()


async def _settled(
    executing: asyncio.Future[Any], event: asyncio.Event | None = None, grace: float = _GRACE
) -> None:
    """Give a cancellation the time to come wherever it goes; it decides nothing."""
    await _first(executing, event or asyncio.Event(), timeout=grace)
    for _ in range(100):
        await asyncio.sleep(0)


def _cancellable(subject: Subject) -> Any:
    """An executor whose `execute` is awaited, and can be cancelled."""
    executor = subject.build()
    if not inspect.iscoroutinefunction(getattr(executor, "execute", None)):
        subject.not_applicable("execute is synchronous: nothing awaits it that could be cancelled")
    return executor
