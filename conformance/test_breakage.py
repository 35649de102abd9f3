"""The last checks of the suite, of several chapters: what they do may break a backend for good.

Each is judged where no other has broken anything: in a fresh process, if it must be and can be.
"""

from __future__ import annotations

import asyncio
import functools
import re
import warnings
from collections.abc import Callable, Collection, Iterator
from typing import Any

from .check import check
from .instruments import patience
from .instruments.beacon import Attempt, Beacon
from .instruments.history import Method
from .instruments.odd import SCRIPT_CLASSES, OddError, Uncarriable
from .instruments.probes import echo, report_home
from .instruments.seen import Seen
from .instruments.sweep import (
    PATIENCE,
    Walk,
    coroutine_methods,
    counting,
    methods_of,
    pausing,
    spread,
    unbalanced,
)
from .scenarios.accidents import (
    KILLED,
    Accident,
    Aftermath,
    accidents_of,
    all_at_once,
    broke_something,
    executor_for,
    one_alone,
)
from .scenarios.asking import ask_plan
from .scenarios.recovery import NEXT, has_no_end, is_failure
from .scenarios.stopping import cancellable, ending_of, let_go, still_there, with_a_retry
from .scenarios.unbroken import settle
from .subject.exceptions import CouldNotRun, RuleViolation
from .subject.subject import Subject

#: What is wrong with what became of a task, and the likely mistake; None where it is right.
Wrong = tuple[str, str] | None


_SWEEP_REPRODUCE = """
    import asyncio
    from pytest_asyncexec.conformance.instruments.history import recorded
    from pytest_asyncexec.conformance.instruments.sweep import Walk, pausing
    from pytest_asyncexec.conformance.subject.host import host_for

    async def main():
        RETRIES
        with recorded(type(executor)METHODS) as history:
            walk = Walk(POINT, late=LATE, history=history)
            await walk.walk(lambda: host_for(executor).execute(executor, len, ["abc"]))
        print(walk, walk.executing, walk.left_behind, walk.after, sep="\\n")

    asyncio.run(main())
"""


_ORPHAN_REPRODUCE = """
    import asyncio, tempfile
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
                path = str(folder / f"the task of point {point} ran on")
                walk = Walk(point, late=False, history=history)
                await walk.walk(lambda: host_for(executor).execute(executor, work, [path]))
            if not walk.delivered:
                break
            print(walk)
        Path(path).unlink()
        await asyncio.sleep(5)
        print(*folder.iterdir(), sep="\\n")

    asyncio.run(main())
"""


@check("CAN-05", working=False)
def test_CAN_05_must_end_in_order_wherever_it_is_cancelled(subject: Subject) -> None:
    with warnings.catch_warnings():
        # Of what is cancelled before its first step Python says that it was never awaited.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        _at_every_pause(subject, cancellable(subject), with_a_retry(subject))
        facts = subject.preflight()
        if not facts.reachable or facts.blocks_loop_at:
            return
        try:
            _at_points_of_real_tasks(subject)
        except (RuleViolation, CouldNotRun) as found:
            settle(subject, _at_points_of_real_tasks, found)


def _at_every_pause(subject: Subject, executor: Any, retrying: Any) -> None:
    """With methods that do nothing but wait, and no backend, at every point there is."""
    has = methods_of(executor)

    def walk_to(point: int, late: bool) -> Walk:
        async def story() -> Walk:
            with subject.recording(retrying, **pausing(retrying)) as history:
                walk = Walk(point, late=late, history=history)
                await walk.walk(lambda: subject.execute(retrying, echo, ("value",)))
            return walk

        return subject.drive(story)

    for late in (False, True):
        first = walk_to(-1, late)
        if not first.after.count("run"):
            subject.could_not_run("execute ended without calling `run` of its class")
        for point in spread(first.passed, subject.pick(quick=60, default=300, thorough=5000)):
            _judge_walk(subject, walk_to(point, late), coroutine_methods(executor, has), has)


#: Before a task has run nobody knows how many points there are: these are tried beside it.
_EARLY = 12

#: So many tasks are under way at once.
_AT_ONCE = 64


def _at_points_of_real_tasks(subject: Subject) -> None:
    """With the executor's own methods, at some points of real tasks."""
    wanted = subject.pick(quick=3, default=24, thorough=200)
    later = subject.pick(quick=2, default=4, thorough=8)
    with subject.beacon() as beacon:
        walks, at_once = _Walks(subject, beacon), _AT_ONCE
        early = list(range(min(wanted, _EARLY)))
        first, *others = walks.to([-1, *early], at_once)
        if not (_completed(first) and first.after.count("run")):
            # It may be for the others: an executor that serves one task at a time, or says nothing
            # of the dispatch.
            at_once = 1
            first, *others = walks.to([-1, *early])
        if not _completed(first):
            assert first.executing is not None
            became = ending_of(first.executing) if first.is_over else "execute did not end"
            subject.could_not_run(
                f"blocked: a task that nobody cancels does not complete: {became}"
            )
        rest = [point for point in spread(first.passed, wanted) if point not in early]
        # While some more tasks begin and end, one that nobody has stopped has the time to report,
        # however slow the machine is: all of them wait for the same processors.
        others += walks.to([*rest, *[-1] * later], at_once)
        _judge_real_walks(subject, walks, first, others, at_once)
        if "stop" not in subject.preflight().cannot:
            _judge_what_still_runs(subject, walks)


def _completed(walk: Walk) -> bool:
    assert walk.executing is not None
    seen = None if not walk.is_over or walk.executing.cancelled() else walk.executing.result()
    return seen is not None and seen.completed


class _Walks:
    """Walks of real tasks, which report under their dispatch ids."""

    def __init__(self, subject: Subject, beacon: Beacon) -> None:
        self._subject = subject
        self._beacon = beacon
        self._stops = "stop" not in subject.preflight().cannot
        self._by_name: dict[str, Walk] = {}
        beacon.answer_with(self._answer)

    def _answer(self, attempt: Attempt, _number: int) -> None:
        walk = self._by_name[str(attempt.hello["label"])]
        # Who is to be stopped already is not let go: it has to die.
        if not (self._stops and walk.delivered and not walk.in_a_race):
            let_go(attempt, 0)

    def to(self, points: list[int], at_once: int = 1) -> list[Walk]:
        """Cancel a task at each of these points; those at -1 run to their end."""
        done: list[Walk] = []
        while points[len(done) :]:
            some = points[len(done) :][:at_once]
            # An instance for each: what the others were cut off from is not in its way.
            executors = [self._subject.build() for _ in some]
            done += self._subject.drive(functools.partial(self._together, some, executors))
        return done

    def still_running(self) -> list[tuple[Walk, Attempt]]:
        """The cancelled tasks of which an attempt is still there."""
        cancelled = [
            attempt
            for attempt in self._beacon.attempts
            if self._by_name[str(attempt.hello["label"])].delivered
        ]

        async def story() -> list[str]:
            return await asyncio.gather(*map(still_there, cancelled))

        return [
            (self._by_name[str(attempt.hello["label"])], attempt)
            for attempt, said in zip(cancelled, self._subject.drive(story), strict=True)
            if said
        ]

    async def _together(self, points: list[int], executors: list[Any]) -> list[Walk]:
        subject = self._subject
        with subject.recording(executors[0]) as history, counting():
            walks = {}
            for point in points:
                name = subject.new_dispatch()
                known = name if points[1:] else None
                walks[name] = Walk(point, late=False, history=history, dispatch_id=known)
            self._by_name |= walks
            await asyncio.gather(
                *(
                    walk.walk(
                        functools.partial(
                            subject.execute,
                            executor,
                            report_home,
                            (self._beacon.address, name),
                            dispatch_id=name,
                        )
                    )
                    for executor, (name, walk) in zip(executors, walks.items(), strict=True)
                )
            )
        return list(walks.values())


def _judge_real_walks(
    subject: Subject, walks: _Walks, first: Walk, others: list[Walk], at_once: int
) -> None:
    executor = subject.build()
    has = methods_of(executor)
    awaited = coroutine_methods(executor, has)
    for walk in others:
        wrong = _wrong_of(walk, awaited, has, first)
        # Among others it may be for a worker that was taken from it.
        judged = walks.to([walk.point])[0] if wrong and at_once > 1 else walk
        _judge_walk(subject, judged, awaited, has, first)


def _judge_what_still_runs(subject: Subject, walks: _Walks) -> None:
    for walk, attempt in walks.still_running():
        subject.fail(
            seen=f"{walk}: execute has ended, and its task still runs "
            f"(process {attempt.hello['pid']})",
            required="nothing is left running by an execute that was cancelled",
            cause="the work is started by steps of which the last ones can be cut off: nobody "
            "knows then that there is something to stop",
            history=walk.after,
            reproduce=_ORPHAN_REPRODUCE,
        )


def _wrong_of(
    walk: Walk, awaited: Collection[Method], has: Collection[Method], first: Walk | None = None
) -> str:
    """What is wrong with a walk; what `first` left behind uncancelled is not for a cancellation."""
    if not walk.is_over:
        return f"execute still went on {PATIENCE:g} s later"
    if walk.swallowed:
        assert walk.executing is not None
        return f"{ending_of(walk.executing)}, as if nobody had cancelled it"
    wrong = unbalanced(walk.after, has, awaited)
    if not wrong and walk.left_behind and not (first and first.left_behind):
        return f"an asyncio task was left running: it waits at {walk.left_behind[0]}"
    return wrong


def _judge_walk(
    subject: Subject,
    walk: Walk,
    awaited: Collection[Method],
    has: Collection[Method],
    first: Walk | None = None,
) -> None:
    wrong = _wrong_of(walk, awaited, has, first)
    if wrong:
        own = first is not None
        subject.fail(
            seen=f"{walk}: {wrong}",
            required="CancelledError out of execute; if setup was begun, teardown was awaited "
            "exactly once, and nothing is left running",
            cause=_CAUSES[walk.swallowed],
            history=walk.after,
            reproduce=_SWEEP_REPRODUCE.replace("POINT", str(walk.point))
            .replace("LATE", str(walk.late))
            .replace("METHODS", "" if own else ", **pausing(executor)")
            .replace("        RETRIES\n", "" if own else "        executor.retries = 1\n"),
        )


_CAUSES = {
    False: "a step between setup and teardown is not within the `try` whose `finally` tears down; "
    "or what is started in a task of its own is not awaited when the caller is cancelled",
    True: "a CancelledError is caught where it was to be waited on, and not raised again "
    "afterwards: `asyncio.shield` in a loop, or an `except` around the last step of the work",
}


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
    shared = subject.build()
    for accident in _suspects(subject, rule_id, judged):
        executor = executor_for(subject, accident) if accident.retries else shared
        aftermath = one_alone(subject, executor, accident)
        wrong = judged(accident, aftermath)
        if wrong:
            yield accident, aftermath, *wrong


@check("RES-09", working=False)
def test_RES_09_must_survive_the_death_of_a_worker(subject: Subject) -> None:
    _judge_where_nothing_is_broken(subject, _judge_deaths)


def _judge_deaths(subject: Subject) -> None:
    if _suspects(subject, "RES-09", _of_a_death):
        settle(subject, _tell_of_deaths)
    _ask_plan_of(subject, _deaths_of_the_plan)


def _deaths_of_the_plan(subject: Subject) -> None:
    ask_plan(
        subject,
        "breaking",
        cause="the death of a worker is a failed attempt like any other, with logs, output and "
        "retries; it ends on a path of its own here",
    )


def _judge_where_nothing_is_broken(subject: Subject, function: Callable[[Subject], None]) -> None:
    """Judge here, unless the accidents have broken the backend, on which nothing would ever end."""
    if broke_something(subject):
        settle(subject, function)
    else:
        function(subject)


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
            f"{wrong}: {aftermath.reports} deaths were seen, and execute still went on "
            f"{patience.FAILURE:g} s after the last of them",
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
                f"{patience.FAILURE:g} s after it was handed over, a task that ends its worker had "
                "not failed; as tasks cannot connect to the suite, it may not have begun"
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
    _judge_where_nothing_is_broken(subject, _judge_exits)


def _judge_exits(subject: Subject) -> None:
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


_NOT_TOLD = "neither the type nor that it cannot be serialised is told"


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
            f"{wrong}; {_NOT_TOLD}",
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
            because="RES-04" if wrong.endswith(_NOT_TOLD) else "",
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
                from pytest_asyncexec.conformance.instruments.by_value import ByValue

                async def main():
                    for task, args in (
                        (ByValue(raise_odd), [{accident.about.type_name!r}, "the reason"]),
                        (abs, [-1]),
                    ):
                        print(await host_for(executor).execute(executor, task, args))

                asyncio.run(main())
            """,
        )


@check("RES-19", working=False)
def test_RES_19_must_report_exceptions_that_plumbing_uses(subject: Subject) -> None:
    _judge_where_nothing_is_broken(subject, _judge_plumbing)


def _judge_plumbing(subject: Subject) -> None:
    if _suspects(subject, "RES-19", _of_plumbing):
        settle(subject, _tell_of_plumbing)


_ONCE = "it was attempted"
_NO_TEARDOWN = "`teardown` was not awaited"


def _of_plumbing(accident: Accident, aftermath: Aftermath) -> Wrong:
    name, seen = accident.about, aftermath.seen
    wrong = f"a task that raised {name}(reason): {seen}".replace(accident.message, "the reason")
    said = seen.everything_said
    # What cannot be told from a cancellation by the backend may be told as one.
    is_cancelled = name == "CancelledError" and seen.status == "CANCELLED"
    if has_no_end(seen):
        return (
            wrong,
            "the future of a thread takes no StopIteration before Python 3.12: catch it in the "
            "thread, and raise it where it is awaited; or who reads results ends by the error",
        )
    if isinstance(seen.error, asyncio.CancelledError):
        return (
            f"{wrong}, and nobody had cancelled it",
            "the task's own CancelledError is raised as it is: tell it as TaskCancelledError or "
            "TaskRuntimeError, with its message",
        )
    if isinstance(seen.error, KeyboardInterrupt | SystemExit) or aftermath.escaped:
        left = [] if not aftermath.escaped else [f"{aftermath.escaped[0]!r} left the event loop"]
        return (
            "; ".join([wrong, *left]) + ", which ends the host",
            "`except Exception` does not catch it: where the task runs in this process it has "
            "to be caught there, and told as TaskRuntimeError",
        )
    if not (is_failure(seen) or is_cancelled):
        return (
            wrong,
            "`except Exception` does not catch it, and what comes then is taken for a result",
        )
    wanted = [("type", name)] if not is_cancelled else []
    missing = [
        what for what, words in [*wanted, ("message", accident.message)] if words not in said
    ]
    if missing and "ignored GeneratorExit" in said:
        return (
            f"{wrong}; its {' and its '.join(missing)} is nowhere to be found",
            "who awaits what ends by GeneratorExit is closed by it, as is every coroutine above: "
            "catch it where the function is called, and tell it as TaskRuntimeError",
        )
    if missing:
        return (
            f"{wrong}; its {' and its '.join(missing)} is nowhere to be found",
            "it is taken for a sign of the plumbing, and replaced by words of the executor's own; "
            "or the worker has an `except Exception`, and ends by what that does not catch",
        )
    if aftermath.not_torn_down:
        return (
            f"{wrong}; {_NO_TEARDOWN}",
            "GeneratorExit is taken for the end of a coroutine that nobody awaits any more",
        )
    if 0 < aftermath.reports != accident.retries + 1 and not is_cancelled:
        times = "once" if aftermath.reports == 1 else f"{aftermath.reports} times"
        return (
            f"{wrong}; {_ONCE} {times}, with retries={accident.retries}",
            "`except Exception` around an attempt: what is no Exception ends all attempts",
        )
    if aftermath.after is not None:
        return (
            f"{wrong}; {NEXT.format(aftermath.after)}",
            "the exception ends a worker, or a thread that is needed again",
        )
    return None


def _tell_of_plumbing(subject: Subject) -> None:
    for accident, _, wrong, cause in _wrong_ones(subject, "RES-19", _of_plumbing):
        rules = {_ONCE: "RET-03", _NO_TEARDOWN: "LIF-03"}
        subject.fail(
            seen=wrong,
            required="a failed attempt as any other: type and message are found in the error, its "
            "notes or stderr, it is attempted again, `teardown` is awaited, and the next task "
            "works. (CANCELLED will do for a CancelledError, with the message.)",
            cause=cause,
            because=next((rule for words, rule in rules.items() if words in wrong), ""),
            reproduce=f"""
                import asyncio
                from pytest_asyncexec.conformance.instruments.by_value import ByValue
                from pytest_asyncexec.conformance.instruments.history import recorded
                from pytest_asyncexec.conformance.instruments.odd import raise_plumbing
                from pytest_asyncexec.conformance.subject.host import host_for

                executor.retries = {accident.retries}
                tasks = [(ByValue(raise_plumbing), [{accident.about!r}, "the reason"]), (abs, [-1])]
                for task, args in tasks:
                    with recorded(type(executor)) as history:
                        try:
                            print(asyncio.run(host_for(executor).execute(executor, task, args)))
                        except BaseException as error:
                            print(repr(error))
                    print(history)
            """,
        )
