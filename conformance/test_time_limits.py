"""TIM: what becomes of a task that goes on for longer than its limit, and of one that does not."""

from __future__ import annotations

import inspect
import time
import weakref
from typing import Any, NoReturn

from .check import check
from .instruments import virtual_clock
from .instruments.beacon import Attempt
from .instruments.history import History, Replacement, afterwards
from .instruments.liveness import still_running
from .instruments.probes import report_home
from .instruments.seen import Seen
from .instruments.virtual_clock import NotPurelyAsynchronous
from .scenarios.asking import ask_plan
from .scenarios.limited import Kind, Limited
from .scenarios.overruns import keep_limit, last_limit, limited, possible_kinds, usual_limit
from .subject.subject import Subject

_YEAR = 365 * 24 * 3600.0
_HOUR = 3600.0

_CAUSE = (
    "`time_limit` is stored and nobody reads it: `execute` (or the backend, declared in "
    "`enforces`) has to stop the attempt"
)
_REPRODUCE = """
    import asyncio, time
    from pytest_asyncexec.conformance.subject.host import host_for

    executor.time_limit = 1
    print(asyncio.run(host_for(executor).execute(executor, time.sleep, [10])))
"""
_SPIN = "import time; end = time.time() + {seconds:g}\\nwhile time.time() < end: pass"
_REPRODUCE_PROGRESS = """
    import asyncio, time
    from pathlib import Path
    from pytest_asyncexec.conformance.subject.host import host_for

    def work(log):
        import signal, subprocess, sys, time
        SIGNALS
        for _ in range(100):
            with open(log, "a") as file:
                file.write("x")
            time.sleep(0.1)

    async def main():
        executor.time_limit = 2
        print(await host_for(executor).execute(executor, work, ["/tmp/progress"]))
        before = Path("/tmp/progress").stat().st_size
        time.sleep(2)
        print(Path("/tmp/progress").stat().st_size - before, "steps after the outcome")

    asyncio.run(main())
"""
_REPRODUCE_HOURS = """
    import asyncio
    from unittest import mock
    from pytest_asyncexec.conformance.instruments import virtual_clock
    from pytest_asyncexec.conformance.subject.host import host_for

    async def run(self, *args, **kwargs):
        await asyncio.sleep({hours} * 3600)

    async def main():
        executor.time_limit = {limit}
        with mock.patch.object(type(executor), "run", run):
            print(await host_for(executor).execute(executor, len, [""]))

    virtual_clock.drive(main)
"""
_REPRODUCE_NEXT = """
    import asyncio, time
    from pytest_asyncexec.conformance.subject.host import host_for

    async def main():
        executor.time_limit = 1
        print(await host_for(executor).execute(executor, time.sleep, [10]))
        executor.time_limit = 60
        print(await host_for(executor).execute(executor, len, ["next"]))

    asyncio.run(main())
"""


# ---- tasks that go on for too long -------------------------------------------------------


def _over_its_limit(subject: Subject, kind: Kind) -> Limited:
    subject.need_beacon()
    subject.need_free_loop(lost="no limit can be noticed", reproduce=_REPRODUCE)
    return limited(subject, kind)


def _need_limit(subject: Subject, kind: Kind = "held") -> Limited:
    """A task of this kind that a limit has ended; without any, others have to say why."""
    found = _over_its_limit(subject, kind)
    if not found.stopped:
        subject.could_not_run("no task is ever reported as timed out, see TIM-02")
    _need_a_beginning(subject, found)
    return found


def _need_a_beginning(subject: Subject, found: Limited) -> None:
    if not found.begun:
        subject.could_not_run(f"no task begins within {found.limit:g} s here")


def _ask_plan(subject: Subject, cause: str) -> None:
    """Ask those tasks of the plan that are stopped, where the loop is free to stop them."""
    if limited(subject, "led by the loop").blocked:
        subject.could_not_run("a task with a limit blocks the event loop, see TIM-06")
    ask_plan(subject, "stopped", cause=cause)


def _reproduce(found: Limited) -> str:
    """Lines that run a task with the same limit, for far longer than that."""
    seconds = 10 + 10 * found.limit
    spin = f"exec, ['{_SPIN.format(seconds=seconds)}']"
    return _REPRODUCE.replace("time_limit = 1", f"time_limit = {found.limit}").replace(
        "time.sleep, [10]",
        spin if found.kind == "spinning" else f"time.sleep, [{seconds:g}]",
    )


def _unlimited(found: Limited, doing: str) -> str:
    """What is wrong with the way in which a task over its limit was reported, if anything is."""
    if found.seen is None:
        return "execute had not ended a minute after the task had"
    if found.let_go:
        return (
            f"a task with time_limit={found.limit:g} {doing}, and nothing stopped it; let go on, "
            f"{found.seen}"
        )
    if not found.seen.timed_out:
        return f"a task over its time_limit of {found.limit:g} s: {found.seen}"
    return ""


@check("TIM-02")
def test_TIM_02_must_report_a_task_over_its_limit_as_timed_out(subject: Subject) -> None:
    found = _over_its_limit(subject, "held")

    wrong = _unlimited(found, "was held far longer than that")
    if wrong:
        subject.fail(
            seen=wrong,
            required="execute raises a TimeoutError or returns the status FAILED, and does so "
            "however long the task would have gone on",
            cause=_CAUSE,
            history=found.history,
            reproduce=_reproduce(found),
        )
    _need_a_beginning(subject, found)
    _ask_plan(subject, _CAUSE)
    _judge_the_hour(subject)


def _judge_the_hour(subject: Subject) -> None:
    """Where nothing but the event loop's clock ends a task, it has to do so after an hour of it."""
    endless, twice = {"run": _last(1000 * _HOUR)}, {"run": _last(2 * _HOUR)}
    seen, _ = _on_a_virtual_clock(subject, endless, time_limit=_HOUR, retries=0)
    if seen is None or not _is_time_out(seen.error):
        return
    seen, history = _on_a_virtual_clock(subject, twice, time_limit=_HOUR, retries=0)
    if seen is None or not seen.completed:
        return
    # A second witness: it was the limit, and none of the executor's own.
    free, _ = _on_a_virtual_clock(subject, endless, time_limit=-1, retries=0)
    if free is not None and free.completed:
        subject.fail(
            seen=f"a task of two hours, with a time_limit of one: {seen}; one of a thousand hours "
            "was stopped",
            required="time_limit is a number of seconds",
            cause="the limit is taken for another unit than seconds, or made longer",
            history=history,
            reproduce=_REPRODUCE_HOURS.format(limit=3600, hours=2),
        )


@check("TIM-03")
def test_TIM_03_must_have_stopped_the_work_of_a_timed_out_task(subject: Subject) -> None:
    cause = (
        "whoever waits for the task is cancelled, and the task itself is not stopped; or it is "
        "asked to stop, and nobody waits until it has"
    )
    kinds: dict[Kind, str] = {
        "held": "that was held in a blocking call",
        "spinning": "that did nothing but use the CPU",
        "deaf": "that ignores SIGTERM",
    }
    # Who never ends a task that merely waits need not be judged by the others.
    _need_limit(subject)

    # The outcome is known. A task whose work is dead cannot answer any more: its line is closed.
    for kind in possible_kinds(subject):
        if kind not in kinds:
            continue
        found = _over_its_limit(subject, kind)
        if found.alive:
            deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)" if kind == "deaf" else "pass"
            subject.fail(
                seen=f"a task {kinds[kind]} was over its time_limit of {found.limit:g} s: "
                f"{found.seen}; {still_running(found.alive)}",
                required="the outcome is known only once the work is dead",
                cause=cause,
                history=found.history,
                reproduce=_REPRODUCE_PROGRESS.replace("SIGNALS", deaf),
            )
    _ask_plan(subject, cause)


@check("TIM-05")
def test_TIM_05_must_tear_down_after_a_time_out_and_run_the_next_task(subject: Subject) -> None:
    cause = (
        "a teardown that is not in a `finally`; or a worker, a connection or a lock of the stopped "
        "task that the next one finds as it was left"
    )
    found = _need_limit(subject)
    history, following = found.history, found.next_seen
    ended = history.count("teardown", "returns") + history.count("teardown", "raises")

    wrong = ""
    if history.count("setup") and not ended:
        wrong = "execute ended without teardown having been awaited to its end"
    elif following is None or not following.completed or following.result != "next":
        wrong = f"the next task on the same instance, with a limit of an hour: {following}"
    if wrong:
        subject.fail(
            seen=f"after a task that was over its time_limit of {found.limit:g} s: {wrong}",
            required="teardown was awaited, and the next task is COMPLETED",
            cause=cause,
            history=history,
            reproduce=_REPRODUCE_NEXT,
        )
    _ask_plan(subject, cause)


@check("TIM-06")
def test_TIM_06_must_limit_a_task_that_never_yields(subject: Subject) -> None:
    # First without a limit that matters, and with a loop that the task has to wait for.
    led = _over_its_limit(subject, "led by the loop")
    if led.blocked:
        subject.fail(
            seen=f"while a task with a time_limit of an hour was running, {led.blocked}",
            required="the host's event loop goes on while the limit is watched",
            cause="the limit is given to something that waits without `await`: join(timeout), "
            "wait(timeout), result(timeout)",
            history=led.history,
            reproduce="""
                import asyncio, time
                from pytest_asyncexec.conformance.subject.host import host_for

                async def main():
                    executor.time_limit = 3600
                    task = asyncio.ensure_future(
                        host_for(executor).execute(executor, time.sleep, [5])
                    )
                    for _ in range(3):
                        await asyncio.sleep(1)
                        print("the loop is alive", time.strftime("%X"))
                    print(await task)

                asyncio.run(main())
            """,
        )

    # Who never ends a task that merely waits need not be judged by the other.
    kinds: tuple[Kind, ...] = ("held", "spinning")
    for kind in kinds:
        found = _over_its_limit(subject, kind)
        doing = "did nothing but use the CPU" if kind == "spinning" else "was in a blocking call"
        wrong = _unlimited(found, doing)
        if wrong:
            subject.fail(
                seen=wrong,
                required="a task that never yields is stopped as any other",
                cause="the task is asked to stop, or its coroutine is cancelled, and it never "
                "looks: nothing but the end of its process stops it",
                history=found.history,
                reproduce=_reproduce(found),
            )
        _need_a_beginning(subject, found)


@check("TIM-09")
def test_TIM_09_should_end_the_whole_process_group(subject: Subject) -> None:
    # Who never stops a task at all need not be asked to stop one that resists.
    _need_limit(subject)
    found = _over_its_limit(subject, "with a child")

    wrong = _unlimited(found, "ignored SIGTERM, as its child did")
    if not wrong and found.alive:
        wrong = (
            f"a task that ignores SIGTERM, as its child process does, was over its time_limit of "
            f"{found.limit:g} s: {found.seen}; {still_running(found.alive)}"
        )
    if wrong:
        subject.fail(
            seen=wrong,
            required="every process of the task's group is dead",
            cause="terminate() where kill() is needed; or kill() of the worker alone, without a "
            "session of its own (start_new_session) and os.killpg",
            history=found.history,
            reproduce=_REPRODUCE_PROGRESS.replace(
                "SIGNALS",
                "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                "        step = \"import sys, time; open(sys.argv[1], 'a').write('x'); "
                'time.sleep(0.1);"\n'
                '        subprocess.Popen([sys.executable, "-c", step * 100, log])',
            ),
        )
    _need_a_beginning(subject, found)


# ---- tasks that do not -------------------------------------------------------------------


@check("TIM-01")
def test_TIM_01_must_not_limit_a_task_with_a_negative_limit(subject: Subject) -> None:
    cause = (
        "a negative limit is taken for one that is over at once: asyncio.timeout(-1) and "
        "wait_for(..., -1) are, or for a short one"
    )

    # A year goes by, as far as the executor can tell ...
    seen, history = _on_a_virtual_clock(subject, {"run": _last(_YEAR)}, time_limit=-1)
    if seen is not None and seen.timed_out and _is_time_out(seen.error):
        # A second witness: nothing but the limit can have ended it.
        again, _ = _on_a_virtual_clock(subject, {"run": _last(0.0)}, time_limit=-1)
        if again is not None and again.completed:
            _fail_limited(subject, "a task that takes a year, with time_limit=-1", seen, history)

    # ... and real ones are held for longer than those limits would be without their sign.
    subject.need_beacon()
    kinds: tuple[Kind, ...] = ("with a negative limit", "with a tiny negative limit")
    for kind in kinds:
        found = limited(subject, kind)
        if not found.is_right:
            subject.fail(
                seen=f"a task with time_limit={found.limit:g}: {found.seen}",
                required="status COMPLETED and its result, however long it takes",
                cause=cause,
                history=found.history,
                reproduce=_REPRODUCE.replace(
                    "time_limit = 1", f"time_limit = {found.limit}"
                ).replace("[10]", f"[{0.5 - 2 * min(found.limit, 0):g}]"),
            )
    ask_plan(subject, "ordinary", cause=cause)


def _fail_limited(subject: Subject, what: str, seen: Seen, history: History) -> NoReturn:
    subject.fail(
        seen=f"{what}: {seen}",
        required="status COMPLETED and its result, however long it takes",
        cause="a default limit takes the place of a negative one, or its absolute value does",
        history=history,
        reproduce="""
            import asyncio, time
            from unittest import mock
            from pytest_asyncexec.conformance.instruments import virtual_clock
            from pytest_asyncexec.conformance.subject.host import host_for

            async def run(self, *args, **kwargs):
                await asyncio.sleep(365 * 24 * 3600)

            async def main():
                executor.time_limit = -1
                with mock.patch.object(type(executor), "run", run):
                    print(await host_for(executor).execute(executor, len, [""]))

            virtual_clock.drive(main)
        """,
    )


@check("TIM-04")
def test_TIM_04_must_leave_a_task_within_its_limit_alone(subject: Subject) -> None:
    ask_plan(
        subject,
        "ordinary",
        cause="the limit is taken for another unit than seconds, or counts as over at once; in "
        "milliseconds, 30 days are more than 32 bits hold",
    )

    # Where the event loop's clock is what counts, nine tenths of an hour are within it, too.
    shorter = {"run": _last(0.9 * _HOUR)}
    almost, history = _on_a_virtual_clock(subject, shorter, time_limit=_HOUR, retries=0)
    if almost is not None and _is_time_out(almost.error):
        # A second witness: nothing but the limit can have ended it.
        at_once, _ = _on_a_virtual_clock(subject, {"run": _last(0.0)}, time_limit=_HOUR, retries=0)
        if at_once is not None and at_once.completed:
            subject.fail(
                seen=f"a task of 54 minutes, with a time_limit of an hour: {almost}",
                required="status COMPLETED: time_limit is a number of seconds",
                cause="the limit is taken for another unit than seconds",
                history=history,
                reproduce=_REPRODUCE_HOURS.format(limit=3600, hours=0.9),
            )


@check("TIM-07")
def test_TIM_07_must_count_each_attempt_anew(subject: Subject) -> None:
    # Of the hour that each may take, attempts take nine tenths; before and after, two go by.
    attempts = 3
    replaced = {
        "setup": _then_sleep(2 * _HOUR),
        "run": _fail_first(attempts - 1, 0.9 * _HOUR),
        "teardown": _then_sleep(2 * _HOUR),
    }
    seen, history = _on_a_virtual_clock(subject, replaced, time_limit=_HOUR, retries=attempts - 1)
    if seen is not None and seen.completed:
        # Where `run` itself watches the clock, another one in its place says nothing.
        longer = {"run": _last(1.1 * _HOUR)}
        over, _ = _on_a_virtual_clock(subject, longer, time_limit=_HOUR, retries=0)
        if over is not None and over.timed_out:
            return

    # In real time, with limits of less than an hour and tasks that are really run.
    _need_limit(subject)
    limit, suspected = usual_limit(subject), False
    while True:
        seen, longest, history = _in_real_time(subject, limit)
        if seen.completed:
            keep_limit(subject, limit)
            return
        if not _is_time_out(seen.error):
            subject.could_not_run(f"no task is attempted three times, see RET-02: {seen}")
        # No attempt was over its limit: it was something else that was counted. What a busy machine
        # adds does not grow with the limit, and a clock that runs around more than `run` does.
        within = longest < 0.9 * limit
        if suspected and within:
            break
        suspected = within
        # A slow start may have been what took one over it.
        if limit >= last_limit(subject) / 4:
            subject.could_not_run(f"no task begins and ends within {limit:g} s here")
        limit *= 2
    subject.fail(
        seen=f"with time_limit={limit:g}, setup and teardown took longer than that, and so did "
        f"three attempts together, none of which did: {seen}",
        required="no time-out: the limit is one for each attempt, and for nothing else",
        cause="the clock runs from the beginning of `execute`, around setup or around all "
        "attempts, instead of around each `run`",
        history=history,
        reproduce="""
            import asyncio
            from unittest import mock
            from pytest_asyncexec.conformance.subject.host import host_for

            async def slow(self, task_metadata):
                await asyncio.sleep(4)

            executor.time_limit = 2
            with mock.patch.object(type(executor), "setup", slow):
                print(asyncio.run(host_for(executor).execute(executor, len, ["short"])))
        """,
    )


def _in_real_time(subject: Subject, limit: float) -> tuple[Seen, float, History]:
    """Three attempts of a third of the limit and more, between a longer setup and teardown.

    Returns the outcome, the most seconds that an attempt may have taken, and the history. Who makes
    its attempts inside of `run` calls that once: an attempt lies between the event before its
    report (`run` begins, or the attempt before it reports) and the one after it.
    """
    attempts = 3
    events: list[float] = []

    def answer(attempt: Attempt, number: int) -> None:
        events.append(time.monotonic())
        time.sleep(0.36 * limit)
        if number < attempts:
            attempt.tell(do="raise", type="ValueError", message=f"failure {number}")
        else:
            attempt.tell(do="return", value="within its limit")

    def timed(original: Any, executor: Any, *args: Any, **kwargs: Any) -> Any:
        events.append(time.monotonic())
        value = original(*args, **kwargs)
        if not inspect.isawaitable(value):
            events.append(time.monotonic())
            return value

        async def awaited() -> Any:
            try:
                return await value
            finally:
                events.append(time.monotonic())

        return awaited()

    slow = afterwards(lambda: time.sleep(1.1 * limit))
    executor = subject.build(time_limit=limit, retries=attempts - 1)
    with (
        subject.recording(executor, setup=slow, run=timed, teardown=slow) as history,
        subject.beacon(answer) as beacon,
    ):
        seen = subject.run(executor, report_home, beacon.address)
    events.sort()
    spans = [after - before for before, after in zip(events, events[2:], strict=False)]
    return seen, max(spans, default=events[-1] - events[0] if events else 0.0), history


@check("TIM-08")
def test_TIM_08_must_pass_on_a_time_out_of_the_tasks_own(subject: Subject) -> None:
    # No limit is over here, nor can it be.
    ask_plan(
        subject,
        "ordinary",
        cause="an `except TimeoutError` that takes every time-out for one of the limit; whether "
        "that was over only its own clock can say: asyncio.timeout().expired()",
    )


# ---- on a virtual clock ------------------------------------------------------------------


_in_real_time_only: weakref.WeakSet[Subject] = weakref.WeakSet()


def _on_a_virtual_clock(
    subject: Subject, replaced: dict[str, Replacement], **attributes: Any
) -> tuple[Seen | None, History]:
    """Run a task whose methods take their time on the loop; None where no clock can be virtual."""
    if subject in _in_real_time_only:
        return None, History()
    executor = subject.build(**attributes)
    methods = [getattr(executor, name, None) for name in (*replaced, "execute")]
    # A synchronous method is called in a thread, whose time is real.
    if not all(method is None or inspect.iscoroutinefunction(method) for method in methods):
        return None, History()
    with subject.recording(executor, **replaced) as history:
        try:
            seen = virtual_clock.drive(lambda: subject.execute(executor, len, ("",)))
        except NotPurelyAsynchronous:
            # It takes seconds to find that out.
            _in_real_time_only.add(subject)
            return None, history
    return seen, history


def _last(seconds: float) -> Replacement:
    async def replacement(original: Any, executor: Any, *args: Any, **kwargs: Any) -> Any:
        await virtual_clock.sleep(seconds)

    return replacement


def _then_sleep(seconds: float) -> Replacement:
    async def replacement(original: Any, executor: Any, *args: Any, **kwargs: Any) -> Any:
        await original(*args, **kwargs)
        await virtual_clock.sleep(seconds)

    return replacement


def _fail_first(failures: int, seconds: float) -> Replacement:
    """Attempts that take so long each, and fail but for the last one."""
    begun = 0

    async def replacement(original: Any, executor: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal begun
        begun += 1
        number = begun
        await virtual_clock.sleep(seconds)
        if number <= failures:
            raise ValueError(f"failure {number}")

    return replacement


def _is_time_out(error: BaseException | None) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_is_time_out(member) for member in error.exceptions)
    return isinstance(error, TimeoutError)
