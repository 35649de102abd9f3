"""The last checks of the suite, of several chapters: what they do may break a backend for good.

Each is judged where no other has broken anything: in a fresh process, if it must be and can be.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import warnings
from collections.abc import Callable, Collection, Iterator
from typing import Any

from .check import check
from .instruments.beacon import Attempt, Beacon
from .instruments.history import Method, Replacement
from .instruments.odd import SCRIPT_CLASSES, OddError, Uncarriable
from .instruments.probes import echo, report_home
from .instruments.seen import Seen
from .instruments.sweep import PATIENCE, Walk, coroutine_methods, methods_of, spread, unbalanced
from .scenarios.accidents import KILLED, Accident, Aftermath, accidents_of, all_at_once, one_alone
from .scenarios.asking import ask_plan
from .scenarios.recovery import NEXT, has_no_end, is_failure
from .scenarios.recovery import PATIENCE as _PATIENCE
from .scenarios.stopping import cancellable, ending_of, let_go, still_there, with_a_retry
from .scenarios.unbroken import settle
from .subject.exceptions import CouldNotRun, RuleViolation
from .subject.subject import Subject

#: What is wrong with what became of a task, and the likely mistake; None where it is right.
Wrong = tuple[str, str] | None


_SWEEP_REPRODUCE = """
    import asyncio
    from pytest_asyncexec.conformance.instruments.history import recorded
    from pytest_asyncexec.conformance.subject.host import host_for
    from pytest_asyncexec.conformance.instruments.sweep import Walk

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
    from pytest_asyncexec.conformance.instruments.history import recorded
    from pytest_asyncexec.conformance.subject.host import host_for
    from pytest_asyncexec.conformance.instruments.sweep import Walk

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
        _sweep(subject, cancellable(subject), with_a_retry(subject))


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
    if not facts.reachable or facts.blocks_loop_at:
        return

    # With its own methods, at some points of a real task.
    with subject.beacon() as beacon:

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
        # While some more tasks begin and end, one that nobody has stopped has the time to report,
        # however slow the machine is: all of them wait for the same processors.
        for _ in range(subject.pick(quick=2, default=4, thorough=8)):
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
        said = await still_there(attempt)
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
                    let_go(attempt, 0)

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
        wrong = f"{ending_of(walk.executing)}, as if nobody had cancelled it"
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


def _suspects(
    subject: Subject, rule_id: str, judged: Callable[[Accident, Aftermath], Wrong]
) -> list[Accident]:
    """The accidents of a rule that were not right among others, each to be tried by itself."""
    if subject.apart:
        return accidents_of(subject, rule_id)
    return [
        accident
        for accident, aftermath in all_at_once(subject, rule_id)
        if aftermath is None or judged(accident, aftermath)
    ]


def _wrong_ones(
    subject: Subject, rule_id: str, judged: Callable[[Accident, Aftermath], Wrong]
) -> Iterator[tuple[Accident, Aftermath, str, str]]:
    """Those that are wrong by themselves, one after the other on one instance."""
    executor = subject.build()
    for accident in _suspects(subject, rule_id, judged):
        aftermath = one_alone(subject, executor, accident)
        wrong = judged(accident, aftermath)
        if wrong:
            yield accident, aftermath, *wrong


@check("RES-09", working=False)
def test_RES_09_must_survive_the_death_of_a_worker(subject: Subject) -> None:
    if subject.preflight().place == "this process":
        subject.not_applicable(
            "tasks run in the host's own process: there is no worker that could die alone"
        )
    if _suspects(subject, "RES-09", _of_a_death):
        settle(subject, _tell_of_deaths)
    _ask_plan_of(subject, _deaths_of_the_plan)


def _deaths_of_the_plan(subject: Subject) -> None:
    declared = "at-most-once" in subject.preflight().cannot
    ask_plan(
        subject,
        "breaking",
        cause="the death of a worker is a failed attempt like any other, with logs, output and "
        "retries; it ends on a path of its own here",
        # That it is attempted again without retries is told by a rule of its own, later on.
        also=() if declared else ("RET-10",),
    )


def _ask_plan_of(subject: Subject, function: Callable[[Subject], None]) -> None:
    try:
        function(subject)
    except (RuleViolation, CouldNotRun) as found:
        settle(subject, function, found)


def _of_a_death(accident: Accident, aftermath: Aftermath) -> Wrong:
    code, seen = accident.about, aftermath.seen
    how = f"os._exit({code})" if code != KILLED else "SIGKILL, as where memory runs out"
    wrong = f"a task whose worker ended by {how}"
    if has_no_end(seen):
        return (
            f"{wrong}: {aftermath.deaths} deaths were seen, and execute still went on "
            f"{_PATIENCE:g} s after the last of them",
            "it waits for a result, and does not look at the worker that was to send it",
        )
    if not is_failure(seen):
        return (
            f"{wrong}: {seen}",
            "an exit code of 0 is taken for success, whether or not there is a result"
            if code == 0
            else "a result that is missing is taken for None"
            if code != KILLED
            else "whoever is killed by a signal has an exit code below 0, which is taken for "
            "success",
        )
    if aftermath.after is not None:
        return (
            f"{wrong}: {seen}; {NEXT.format(aftermath.after)}",
            "the worker, or the pool that broke with it, is not replaced",
        )
    return None


def _tell_of_deaths(subject: Subject) -> None:
    for accident, aftermath, wrong, cause in _wrong_ones(subject, "RES-09", _of_a_death):
        if has_no_end(aftermath.seen) and not subject.preflight().reachable:
            subject.could_not_run(
                f"{_PATIENCE:g} s after it was handed over, a task that ends its worker had not "
                "failed; as tasks cannot connect to the suite, it may not have begun"
            )
        code = accident.about
        subject.fail(
            seen=wrong,
            required="the error is raised, or the status is FAILED, soon after the worker has "
            "died; the next task works",
            cause=cause,
            reproduce="""
                import asyncio, os
                from pytest_asyncexec.conformance.subject.host import host_for

                async def main():
                    print(await host_for(executor).execute(executor, lambda: CALL))
                    print(await host_for(executor).execute(executor, abs, [-1]))

                asyncio.run(main())
            """.replace(
                "CALL", f"os._exit({code})" if code != KILLED else "os.kill(os.getpid(), 9)"
            ),
        )


@check("RES-08", working=False)
def test_RES_08_must_take_system_exit_for_a_failure(subject: Subject) -> None:
    if _suspects(subject, "RES-08", _of_an_exit):
        settle(subject, _tell_of_exits)
    _ask_plan_of(subject, _exits_of_the_plan)


def _exits_of_the_plan(subject: Subject) -> None:
    ask_plan(
        subject,
        "breaking",
        cause="an exit is an error of the task like any other, with logs, output and retries; "
        "`except Exception` does not catch a SystemExit",
    )


def _called(code: tuple[Any, ...]) -> str:
    return f"sys.exit({', '.join(map(repr, code))})"


def _of_an_exit(accident: Accident, aftermath: Aftermath) -> Wrong:
    seen = aftermath.seen
    wrong = f"a task that calls {_called(accident.about)}: {seen}"
    if seen.error is not None and not isinstance(seen.error, Exception):
        return (
            f"{wrong}, which ends every host that does not expect it",
            "`except Exception` does not catch a SystemExit: where the task runs in this "
            "process it has to be caught, and told as TaskRuntimeError",
        )
    if aftermath.escaped:
        return (
            f"{wrong}; and the SystemExit left the host's event loop, which asyncio.run() ends by",
            "asyncio lets a SystemExit that a task of its own ends in out of the event loop: "
            "catch it within the coroutine that calls the function",
        )
    if not is_failure(seen):
        return (
            wrong,
            "an exit is taken for the end of a task that went well: the exit code 0 of a worker, "
            "or an `except SystemExit` that returns",
        )
    if aftermath.after is not None:
        return (
            f"{wrong}; {NEXT.format(aftermath.after)}",
            "the exit ends a worker that is needed again",
        )
    return None


def _tell_of_exits(subject: Subject) -> None:
    for accident, _, wrong, cause in _wrong_ones(subject, "RES-08", _of_an_exit):
        subject.fail(
            seen=wrong,
            required="the status FAILED, or an error that a host catches with `except Exception`; "
            "the host and its next task go on",
            cause=cause,
            reproduce="""
                import asyncio, sys
                from pytest_asyncexec.conformance.subject.host import host_for

                async def main():
                    for task in (lambda: CALLED, lambda: "the next task"):
                        print(repr(await host_for(executor).execute(executor, task)))

                asyncio.run(main())
            """.replace("CALLED", _called(accident.about)),
        )


@check("RES-10", working=False)
def test_RES_10_must_report_what_cannot_be_serialised(subject: Subject) -> None:
    if _suspects(subject, "RES-10", _of_what_cannot_be_sent):
        settle(subject, _tell_of_what_cannot_be_sent)


def _of_what_cannot_be_sent(accident: Accident, aftermath: Aftermath) -> Wrong:
    task: Uncarriable = accident.about
    seen = aftermath.seen
    wrong = f"a task with {task.what}: {seen}"
    if seen.completed:
        # An executor in this process has no need to serialise, and may complete.
        arrived = seen.result if isinstance(seen.result, str) else type(seen.result).__name__
        if arrived != task.type_name:
            return wrong, "what cannot be serialised is left out, or replaced by something that can"
    elif not is_failure(seen):
        return (
            wrong,
            "the worker, or the thread that reads from it, ends by the error of pickle and "
            "tells nobody",
        )
    elif not _blames_serialisation(seen, task.type_name):
        return (
            f"{wrong}; neither the type nor that it cannot be serialised is told",
            "the worker dies while it pickles or unpickles, outside of the `try` around the "
            "task, and the host reports what it misses",
        )
    if aftermath.after is not None:
        return (
            f"{wrong}; {NEXT.format(aftermath.after)}",
            "the error of pickle breaks the pool, the queue or the connection for good",
        )
    return None


def _tell_of_what_cannot_be_sent(subject: Subject) -> None:
    for accident, _, wrong, cause in _wrong_ones(subject, "RES-10", _of_what_cannot_be_sent):
        subject.fail(
            seen=wrong,
            required="a failed task, whose error names the type or says that it cannot be pickled; "
            "the next task works. (Who need not serialise may complete it.)",
            cause=cause,
            reproduce=(
                "import asyncio, threading\n"
                "from pytest_asyncexec.conformance.subject.host import host_for\n\n"
                f"{SCRIPT_CLASSES}\n"
                "def name_of(value):\n"
                "    return type(value).__name__\n\n"
                "def task_of(function, *args):\n"
                "    return function, list(args)\n\n"
                "async def main():\n"
                f"    for task in (task_of({accident.about.script}), task_of(abs, -1)):\n"
                "        print(await host_for(executor).execute(executor, *task))\n\n"
                "asyncio.run(main())"
            ),
        )


def _blames_serialisation(seen: Seen, type_name: str) -> bool:
    """Whether a failure says that something of this type could not be carried."""
    return bool(
        re.search(
            rf"pickl|seriali[sz]|marshal|\b{type_name}\b", seen.everything_said, re.IGNORECASE
        )
    )


@check("RES-12", working=False)
def test_RES_12_must_report_odd_exceptions(subject: Subject) -> None:
    if _suspects(subject, "RES-12", _of_an_odd_exception):
        settle(subject, _tell_of_odd_exceptions)


def _of_an_odd_exception(accident: Accident, aftermath: Aftermath) -> Wrong:
    odd: OddError = accident.about
    seen = aftermath.seen
    wrong = f"a task that raised an exception {odd.what}, {odd.type_name}: {seen}"
    wrong = wrong.replace(accident.message, "the reason")
    if not is_failure(seen):
        return (
            wrong,
            "the exception is lost on its way: nobody hears of an error that pickle raises in "
            "the thread that reads results, or it is taken for a result",
        )
    missing = [
        part
        for part, words in (("type", odd.type_name), ("message", accident.message))
        if words not in seen.everything_said and (part == "type" or odd.has_message)
    ]
    if missing:
        return (
            f"{wrong}; its {' and its '.join(missing)} is nowhere to be found",
            "what cannot be pickled is replaced by an error that does not say what was raised: "
            "send type, message and traceback as text beside the exception",
        )
    if aftermath.after is not None:
        return (
            f"{wrong}; {NEXT.format(aftermath.after)}",
            "an exception that cannot be unpickled breaks the pool or the connection",
        )
    return None


def _tell_of_odd_exceptions(subject: Subject) -> None:
    for accident, _, wrong, cause in _wrong_ones(subject, "RES-12", _of_an_odd_exception):
        subject.fail(
            seen=wrong,
            required="the error is raised, or the status is FAILED; its type and its message are "
            "found in the error, its notes or stderr; the next task works",
            cause=cause,
            reproduce=f"""
                import asyncio
                from pytest_asyncexec.conformance.subject.host import host_for
                from pytest_asyncexec.conformance.instruments.odd import raise_odd
                from pytest_asyncexec.conformance.instruments.probes import ByValue

                async def main():
                    for task, args in (
                        (ByValue(raise_odd), [{accident.about.type_name!r}, "the reason"]),
                        (abs, [-1]),
                    ):
                        print(await host_for(executor).execute(executor, task, args))

                asyncio.run(main())
            """,
        )
