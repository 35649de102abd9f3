"""CAN: what becomes of a task when its host no longer wants it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NoReturn
from unittest import mock

from ..contract.wording import short, short_error
from .check import check
from .instruments.beacon import Attempt, Beacon
from .instruments.history import History, Method
from .instruments.probes import ByValue, echo, report_home
from .instruments.seen import finish
from .instruments.sweep import coroutine_methods, methods_of
from .scenarios.stopping import cancellable, ending_of, let_go, still_there, with_a_retry, within
from .subject.host import call_method, task_error
from .subject.subject import Subject

#: Seconds for which a cancelled `execute` may go on: a guard, far beyond what stopping takes.
_PATIENCE = 60.0


#: Seconds for a cancellation to take effect, where it may be right that it takes none: who is
#: slower than that is not found out, and nobody is condemned by it.
_GRACE = 0.25

#: The same where a method is let go on afterwards, and who is right stops what comes after it.
_LONG_GRACE = 1.0

_REPRODUCE = """
    import asyncio, time
    from pytest_asyncexec.conformance.subject.host import host_for

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
    executor = cancellable(subject)
    subject.need_beacon()
    subject.need_free_loop(lost="nobody can cancel anything", reproduce=_REPRODUCE)

    async def story() -> str:
        # The task is running and will not end by itself ...
        with subject.beacon() as beacon:
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
    from pytest_asyncexec.conformance.subject.host import host_for

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
    cancellable(subject)
    subject.need_free_loop(lost="nobody can cancel anything", reproduce=_REPRODUCE)
    if not subject.preflight().reachable:
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
        with subject.recording(executor) as history, subject.beacon() as beacon:
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
        await within(attempt.ask(do=command))
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
    said = await still_there(attempt)
    if not said:
        return ""
    return f"a task that was {busy} holds its line after the cancelled execute had ended, {said}"


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
    executor = subject.build()
    kind = task_error(executor, "TaskCancelledError")

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
            from pytest_asyncexec.conformance.instruments.history import recorded
            from pytest_asyncexec.conformance.subject.host import host_for

            def run(original, executor, *args, **kwargs):
                raise TaskCancelledError("the job was cancelled on purpose")

            with recorded(type(executor), run=run) as history:
                print(asyncio.run(host_for(executor).execute(executor, len, ["abc"])))
            print(history)
        """,
    )


_CANCEL_REPRODUCE = """
    import asyncio, time
    from unittest import mock
    from pytest_asyncexec.conformance.subject.host import call_method, host_for

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


_LATE_REPRODUCE = _CANCEL_REPRODUCE.replace(
    "    async def main():",
    """\
    def linger():
        import threading, time
        threading.Thread(target=time.sleep, args=[10]).start()
        raise ValueError("it has failed by itself, and its interpreter ends later")

    async def main():""",
).replace("time.sleep, [20]", "linger")


@check("CAN-04")
def test_CAN_04_must_answer_cancel_by_whether_the_task_runs_on(subject: Subject) -> None:
    subject.need_beacon()
    subject.need_free_loop(lost="nobody can cancel anything", reproduce=_CANCEL_REPRODUCE)
    # A job that was killed has failed, which is a reason to try again: a cancelled one is not.
    executor = with_a_retry(subject)
    # By one handle that is nobody's, by that which the host was given, and by that when it is late.
    stories: list[Callable[..., Coroutine[Any, Any, str]]] = [
        functools.partial(_cancel_wrongly, by_handle=False),
        functools.partial(_cancel_wrongly, by_handle=True),
    ]
    if subject.preflight().place != "this process":
        stories.append(_cancel_late)
    for story in stories:
        with (
            subject.recording(executor) as history,
            subject.beacon() as beacon,
            _handles(executor) as handles,
        ):
            wrong = subject.drive(functools.partial(story, subject, executor, beacon, handles))
        if wrong:
            subject.fail(
                seen=wrong,
                required="a bool: True if the task will not run on, or else False",
                cause="`cancel` answers for what it has asked for, and not for what became of it; "
                "or `run` takes the killed job for one that failed, and it is attempted again",
                history=history,
                reproduce=_LATE_REPRODUCE if story is _cancel_late else _CANCEL_REPRODUCE,
            )


def _metadata(subject: Subject, dispatch: str) -> dict[str, Any]:
    return {
        "dispatch_id": dispatch,
        "node_id": 0,
        "results_dir": str(subject.folder / "results"),
    }


def _fail_and_linger(report: Any, address: Any) -> None:
    """A task that fails, and whose interpreter is held when nothing but a thread is left in it."""
    import threading

    def linger() -> None:
        main = threading.main_thread()
        # Where an interpreter serves many tasks, it does not end.
        main.join(1)
        report(address, "still" if main.is_alive() else "over")

    report(address, "begun")
    threading.Thread(target=linger).start()
    raise ValueError("the task failed by itself")


async def _cancel_late(subject: Subject, executor: Any, beacon: Beacon, handles: list[Any]) -> str:
    """Cancel a task whose attempt has failed and that has another one; what is wrong with it."""
    dispatch = subject.new_dispatch()

    def begin(attempt: Attempt, number: int) -> None:
        if number == 1:
            let_go(attempt, number)

    beacon.answer_with(begin)
    executing = asyncio.ensure_future(
        subject.execute(
            executor,
            _fail_and_linger,
            (ByValue(report_home), beacon.address),
            dispatch_id=dispatch,
        )
    )
    wrong = ""
    if await beacon.reported(2, executing) and beacon.attempts[1].hello["label"] == "over":
        handle = handles[-1] if handles else None
        called = f"cancel(task_metadata, {short(handle)}), when the attempt had failed by itself,"
        answer, wrong = await _answer_of(executor, _metadata(subject, dispatch), handle, called)
        again = asyncio.ensure_future(beacon.reported(3, executing))
        if answer and not wrong:
            await asyncio.wait({again}, timeout=_PATIENCE)
            if len(beacon.attempts) > 2 and await still_there(beacon.attempts[2]):
                wrong = f"{called} returned True, and the task was attempted again"
        again.cancel()
    for held in beacon.answer_with(let_go):
        let_go(held, 0)
    await finish(executing)
    return wrong


async def _cancel_wrongly(
    subject: Subject, executor: Any, beacon: Beacon, handles: list[Any], by_handle: bool
) -> str:
    """Cancel a running task, and once more when it is over; what is wrong with it, or nothing."""
    dispatch = subject.new_dispatch()
    metadata = _metadata(subject, dispatch)
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
        said = await still_there(attempt)
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
    for held in beacon.answer_with(let_go):
        let_go(held, 0)
    seen = await finish(executing)
    if wrong:
        return wrong
    if answer and (seen is None or seen.completed):
        return f"{called} returned True, and then {seen or 'execute did not end'}"
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


_HELD_REPRODUCE = """
    import asyncio
    from pytest_asyncexec.conformance.instruments.history import recorded
    from pytest_asyncexec.conformance.subject.host import host_for

    async def held(original, executor, *args, **kwargs):
        await asyncio.sleep(2)

    async def main():
        with recorded(type(executor), {replaced}) as history:
            task = asyncio.ensure_future(host_for(executor).execute(executor, len, ["abc"]))
            await asyncio.sleep(1)
            task.cancel()
            {then}await asyncio.wait({{task}})
            print("until execute had ended:", history, sep="\\n")
            ended = "CancelledError" if task.cancelled() else task.exception() or task.result()
            print("execute ended in:", ended)

    asyncio.run(main())
"""


@check("CAN-06")
def test_CAN_06_should_not_cut_teardown_short_by_a_second_cancellation(subject: Subject) -> None:
    executor = cancellable(subject)
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
    executor = cancellable(subject)
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
                ended = "CancelledError" if executing.cancelled() else ending_of(executing)
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
