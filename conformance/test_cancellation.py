"""CAN: what becomes of a task when its host no longer wants it."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from typing import Any, NoReturn

from .check import check
from .instruments.history import History, Method, then_raise
from .instruments.probes import echo, report_home
from .instruments.sweep import coroutine_methods, methods_of
from .scenarios import revoking
from .scenarios.asking import ask_cancelled, ask_plan
from .scenarios.calls_of_cancel import answered
from .scenarios.stopping import (
    Together,
    cancellable,
    ending_of,
    still_runs,
    with_a_retry,
    within,
)
from .subject.host import task_error
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
    cancellable(subject)
    subject.need_beacon()
    subject.need_free_loop(lost="nobody can cancel anything", reproduce=_REPRODUCE)
    ask_cancelled(
        subject,
        cause="a bare `except`, or `except BaseException`, that takes the CancelledError for an "
        "error of the task; or a teardown that is not in a `finally`",
    )
    executor = subject.build()
    methods = [getattr(type(executor), name, None) for name in ("run", "teardown")]
    if not inspect.iscoroutinefunction(methods[0]) or methods[1] is None:
        return
    failing = {"run": _wait_for_ever, "teardown": then_raise(RuntimeError("on purpose"))}

    async def story() -> str:
        executing = asyncio.ensure_future(subject.execute(executor, echo, ("value",)))
        while not history.count("run") and not executing.done():
            await asyncio.wait({executing}, timeout=0.01)
        if executing.done():
            return ""  # without `run`: that is judged elsewhere
        executing.cancel()
        await asyncio.wait({executing}, timeout=_PATIENCE)
        if not executing.done():
            return f"{_PATIENCE:g} s later execute went on"
        return "" if executing.cancelled() else ending_of(executing)

    with subject.recording(executor, **failing) as history:
        wrong = subject.drive(story)
    if wrong and history.count("teardown"):
        subject.fail(
            seen=f"a task was cancelled, and its teardown raised RuntimeError('on purpose'): "
            f"{wrong}",
            required="execute ends in CancelledError, and the error of teardown is at most "
            "attached to it",
            cause="an error that leaves a `finally` takes the place of the CancelledError; "
            "`except Exception` does not catch that",
            history=history,
            reproduce="""
                import asyncio
                from pytest_asyncexec.conformance.instruments.history import recorded, then_raise
                from pytest_asyncexec.conformance.subject.host import host_for

                async def run(original, executor, *args, **kwargs):
                    await asyncio.Event().wait()

                async def main():
                    task = asyncio.ensure_future(host_for(executor).execute(executor, len, ["a"]))
                    await asyncio.sleep(1)
                    task.cancel()
                    print(await asyncio.gather(task, return_exceptions=True))

                fail = then_raise(RuntimeError("on purpose"))
                with recorded(type(executor), run=run, teardown=fail) as history:
                    asyncio.run(main())
                print(history)
            """,
            because="LIF-05",
        )


async def _wait_for_ever(_original: Any, _executor: Any, *_args: Any, **_kwargs: Any) -> None:
    await asyncio.Event().wait()


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
    facts = subject.preflight()
    if not facts.reachable:
        if not facts.shared_files:
            subject.need_beacon()
        executor = subject.build()
        with subject.recording(executor) as history:
            alive = subject.drive(lambda: _writes_on(subject, executor))
        if alive:
            _fail_by_work(subject, alive, history)
        return

    # Many that merely wait, and one that is at work and deaf to SIGTERM.
    ask_cancelled(subject, cause=_WORK_CAUSE)
    either = ["ignore_sigterm", "spin"]
    ways = subject.pick(quick=[], default=either, thorough=either)
    if facts.place == "this process":
        ways = ["spin"]
    if not ways:
        return
    dispatches = [subject.new_dispatch() for _ in ways]
    executors = [subject.build() for _ in ways]

    async def story() -> list[str]:
        async with Together() as together:
            for way, dispatch, executor in zip(ways, dispatches, executors, strict=True):
                together.begin(_lives_on(subject, executor, dispatch, way))
        return together.ended

    with subject.recording(executors[0]) as history:
        found = subject.drive(story)
    for dispatch, alive in zip(dispatches, found, strict=True):
        if alive:
            _fail_by_work(subject, alive, history.of(dispatch))


async def _lives_on(subject: Subject, executor: Any, dispatch: str, way: str) -> str:
    """Cancel a task that is busy in this way; how its work goes on after that, or nothing."""
    busy = {
        "spin": "busy with pure Python",
        "ignore_sigterm": "deaf to SIGTERM, and held in a call of the system",
    }[way]
    with subject.beacon() as beacon:
        executing = asyncio.ensure_future(
            subject.execute(executor, report_home, (beacon.address,), dispatch_id=dispatch)
        )
        if not await beacon.reported(1, executing):
            subject.could_not_run(f"the task never started: {executing.result()}")
        attempt = beacon.attempts[0]
        # Whether it could be done matters little: the task is only busy in another way then.
        await within(attempt.ask(do=way))
        executing.cancel()
        await asyncio.wait({executing}, timeout=_PATIENCE)
        if not executing.done():
            return f"a task that was {busy}: {_PATIENCE:g} s after it was cancelled execute went on"
        alive = await still_runs(attempt)
        ended = "CancelledError" if executing.cancelled() else ending_of(executing)
        return alive and f"a task that was {busy}: execute had ended in {ended}, and {alive}"


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
    kind = task_error(subject.build(), "TaskCancelledError")

    def cancelled(_original: Any, _executor: Any, *_args: Any, **_kwargs: Any) -> None:
        raise kind("the job was cancelled on purpose")

    for executor in (subject.build(), with_a_retry(subject)):
        with subject.recording(executor, run=cancelled) as history:
            seen = subject.run(executor, echo, "value")
        if not history.count("run"):
            subject.could_not_run(f"execute ended without calling `run` of its class: {seen}")
        if seen.status != "CANCELLED" or not _torn_down(history):
            break
    else:
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


@check("CAN-04")
def test_CAN_04_must_answer_cancel_by_whether_the_task_runs_on(subject: Subject) -> None:
    subject.need_beacon()
    subject.need_free_loop(lost="nobody can cancel anything", reproduce=revoking.reproduce())
    found = answered(subject)
    told = [pair for pair in zip(found.stories, found.wrong, strict=True) if pair[1]]
    if told:
        first = told[0][0]
        subject.fail(
            seen="\nlikewise ".join(wrong for _, wrong in told),
            required="a bool: True if the task will not run on, or else False; and no declaration "
            "that nothing can be stopped, where it can"
            if told[0][1].endswith(revoking.DECLARED_OTHERWISE)
            else "a bool: True if the task will not run on, or else False",
            cause="`cancel` answers for what it has asked for, and not for what became of it; "
            "or `run` takes the killed job for one that failed, and it is attempted again",
            history=found.history.of(first.dispatch),
            reproduce=first.reproduce,
            # Whose errors all look alike cannot tell that of a task that was cancelled.
            because="RES-04"
            if all(wrong.endswith(revoking.ATTEMPTED_AGAIN) for _, wrong in told)
            else "",
        )


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


_CUT_SHORT = (
    "`finally: await self.teardown(...)` alone: the second cancellation is raised right there. An "
    "asyncio.shield that is not awaited again drops it instead"
)


@check("CAN-06")
def test_CAN_06_should_not_cut_teardown_short_by_a_second_cancellation(subject: Subject) -> None:
    executor = cancellable(subject)
    if "teardown" not in methods_of(executor):
        subject.could_not_run("teardown is no method of its class: its calls cannot be recorded")
    ask_plan(subject, besides=("stopped",), cause=_CUT_SHORT)

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
    cut = history.count("teardown", "is cancelled") > 0
    if cut or not _torn_down(history):
        subject.fail(
            seen="cancelled a second time, during teardown: "
            + ("teardown was cancelled" if cut else "execute ended before teardown had"),
            required="teardown runs to its end, and execute ends after it",
            cause=_CUT_SHORT,
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
        subject.could_not_run("setup is no method of its class: its calls cannot be recorded")

    def ran(_original: Any, _executor: Any, *_args: Any, **_kwargs: Any) -> str:
        return "result of a run"

    async def story(executor: Any) -> tuple[History, str]:
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

    # With a retry left as well: what was cancelled has not failed.
    for number, each in enumerate((executor, with_a_retry(subject))):
        history, ended = subject.drive(functools.partial(story, each))
        if not history.count("setup"):
            subject.could_not_run(f"execute does not call `setup` of its class: {ended}")
        wrong = _wrong_after_setup(history, ended, "teardown" in methods_of(executor))
        if wrong:
            subject.fail(
                seen=f"cancelled during setup{', with retries=1' * number}: {wrong}",
                required="run is never called, teardown is awaited, and execute ends in "
                "CancelledError",
                cause="`setup` stands before the `try` whose `finally` tears down; or its "
                "CancelledError is caught, and the task goes on",
                history=history,
                reproduce="executor.retries = 1\n" * number
                + inspect.cleandoc(_HELD_REPRODUCE.format(replaced="setup=held", then="")),
            )


def _wrong_after_setup(history: History, ended: str, has_teardown: bool) -> str:
    """What is wrong with the end of a task that was cancelled during setup; or nothing."""
    if history.count("run"):
        return "run was called"
    if has_teardown and not history.count("teardown"):
        return "teardown was not called"
    if has_teardown and not _torn_down(history):
        return "teardown was not awaited to its end"
    return "" if ended == "CancelledError" else f"{ended}, as if nobody had cancelled it"


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
