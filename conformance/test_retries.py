"""RET: how often a failing task is attempted. Attempts are counted by their lines home."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import json
import sys
from collections.abc import Callable
from typing import Any

from ..base.outcome import TaskCancelledError
from ..contract.wording import says, short
from .check import check
from .instruments import patience
from .instruments.beacon import Attempt
from .instruments.history import History
from .instruments.liveness import still_alive
from .instruments.probes import ByValue, report_home
from .instruments.seen import Seen, finish
from .scenarios.overruns import LAST_LIMIT, keep_limit, overruns, usual_limit
from .subject.host import CovalentHost, host_for
from .subject.subject import Subject

_CAUSE = (
    "`retries` is the number of attempts after the first that failed; nobody but `execute` "
    "(or the backend, declared in `enforces`) can make them"
)
_REPRODUCE = """
    import asyncio
    from pathlib import Path
    from pytest_asyncexec.conformance.subject.host import host_for

    def fail(log):
        with open(log, "a") as file:
            file.write("attempt\\n")
        raise ValueError("on purpose")

    executor.retries = {retries}
    print(asyncio.run(host_for(executor).execute(executor, fail, ["/tmp/attempts"])))
    print(Path("/tmp/attempts").read_text())
"""


def _attempts(
    subject: Subject, retries: int, answer: Callable[[Attempt, int], None]
) -> tuple[Seen, int, History]:
    """Run one task with `retries`; what was seen, how many attempts reported, the history."""
    subject.need_beacon()
    executor = subject.build(retries=retries)
    with subject.recording(executor) as history, subject.beacon(answer) as beacon:
        seen = subject.run(executor, report_home, beacon.address)
    return seen, len(beacon.attempts), history


def _fail(attempt: Attempt, number: int, kind: str = "ValueError") -> None:
    attempt.tell(do="raise", type=kind, message=f"failure of attempt {number}")


#: A failure is a failure: those that may be the backend's own, for all one knows, and those of
#: which one might think that they will not go away.
_KINDS = ("ValueError", "ConnectionError", "TimeoutError", "TypeError", "RuntimeError")


@check("RET-01")
def test_RET_01_must_attempt_once_without_retries(subject: Subject) -> None:
    for kind in subject.pick(quick=_KINDS[:1], default=_KINDS[:3], thorough=_KINDS):
        # A task that fails is worth trying again; without retries nobody may.
        seen, attempts, history = _attempts(subject, 0, functools.partial(_fail, kind=kind))

        if attempts != 1:
            subject.fail(
                seen=f"a failing task with retries=0 was attempted {attempts} times; {seen}",
                required="exactly one attempt",
                cause=_CAUSE,
                history=history,
                reproduce=_REPRODUCE.format(retries=0).replace("ValueError", kind),
            )


@check("RET-02")
def test_RET_02_must_return_the_first_success(subject: Subject) -> None:
    trials = subject.pick(
        quick=[(2, 1)],
        default=[(0, 0), (1, 1), (2, 1), (2, 2), (3, 0), (5, 5)],
        thorough=[(retries, failures) for retries in range(6) for failures in range(retries + 1)],
    )
    for retries, failures in trials:

        def answer(attempt: Attempt, number: int, failures: int = failures) -> None:
            if number <= failures:
                _fail(attempt, number, _KINDS[(number - 1) % len(_KINDS)])
            else:
                attempt.tell(do="return", value=f"result of attempt {number}")

        seen, attempts, history = _attempts(subject, retries, answer)

        expected = f"result of attempt {failures + 1}"
        if attempts != failures + 1 or not seen.completed or seen.result != expected:
            subject.fail(
                seen=f"with retries={retries} a task that fails {failures} times first was "
                f"attempted {attempts} times; {seen}",
                required=f"{failures + 1} attempts and the result {expected!r}",
                cause=_CAUSE,
                history=history,
                reproduce=_REPRODUCE.format(retries=retries).replace(
                    "ValueError", _KINDS[(min(attempts, failures) - 1) % len(_KINDS)]
                ),
            )


@check("RET-03")
def test_RET_03_must_give_up_after_the_last_retry(subject: Subject) -> None:
    for retries in subject.pick(quick=(1,), default=(1, 3), thorough=(1, 2, 3, 5)):
        seen, attempts, history = _attempts(subject, retries, _fail)

        last = f"failure of attempt {retries + 1}"
        # It may be the cause of the error that is raised, but that is none of those before it.
        error = seen.error
        earlier = [f"failure of attempt {number}" for number in range(1, retries + 1)]
        lost = last not in seen.everything_said or (
            error is not None and not says(error, last) and any(says(error, one) for one in earlier)
        )
        if attempts != retries + 1 or seen.completed or lost:
            subject.fail(
                seen=f"with retries={retries} a task that always fails was attempted {attempts} "
                f"times; {seen}",
                required=f"{retries + 1} attempts, and then the error of the last one, {last!r}",
                cause=_CAUSE,
                history=history,
                reproduce=_REPRODUCE.format(retries=retries),
            )


# ---- what an attempt is given, and what it leaves ----------------------------------------


def _alter_and_report(
    report: Callable[..., Any], address: Any, numbers: list[Any], *, options: dict[str, Any]
) -> Any:
    import json

    got = json.dumps([numbers, options])
    numbers.append("altered")
    numbers[0].clear()
    options["nested"]["list"].append("altered")
    options["added"] = True
    return report(address, got)


@check("RET-04")
def test_RET_04_must_give_each_attempt_the_original_arguments(subject: Subject) -> None:
    subject.need_beacon()
    retries = subject.pick(quick=1, default=2, thorough=2)

    def answer(attempt: Attempt, number: int) -> None:
        if number <= retries:
            _fail(attempt, number)
        else:
            attempt.tell(do="return", value=None)

    # Each attempt says what it got, and has altered it before it fails.
    numbers: list[Any] = [[1, 2], {"three": 3}]
    options: dict[str, Any] = {"nested": {"list": ["a"]}, "flag": False}
    original = copy.deepcopy([numbers, options])
    executor = subject.build(retries=retries)
    with subject.recording(executor) as history, subject.beacon(answer) as beacon:
        args = (ByValue(report_home), beacon.address, numbers)
        kwargs = {"options": options}
        seen = subject.run(executor, _alter_and_report, *args, kwargs=kwargs)

    got = [json.loads(attempt.hello["label"]) for attempt in beacon.attempts]
    for number, given in enumerate(got, 1):
        if given != original:
            subject.fail(
                seen=f"attempt {number} at one task was given {short(given)}",
                required=f"what every attempt is given: {short(original)}",
                cause="the attempts share one list and one dictionary, copied shallowly or not at "
                "all, with a task that alters them",
                history=history,
                reproduce="""
                    import asyncio
                    from pytest_asyncexec.conformance.subject.host import host_for

                    def task(numbers, log):
                        with open(log, "a") as file:
                            print(numbers, file=file)
                        numbers[0].append("altered")
                        raise ValueError("on purpose")

                    executor.retries = 2
                    args = [[[1, 2]], "/tmp/arguments"]
                    print(asyncio.run(host_for(executor).execute(executor, task, args)))
                    print(open("/tmp/arguments").read())
                """,
            )
    if len(got) < 2:
        subject.could_not_run(f"no second attempt was made, see RET-02: {seen}")


@check("RET-07")
def test_RET_07_should_keep_the_output_of_every_attempt(subject: Subject) -> None:
    if not subject.preflight().captures_streams:
        subject.not_applicable("what a task prints is not captured")
    subject.need_beacon()
    streams = ("stdout", "stderr")

    def answer(attempt: Attempt, number: int) -> None:
        for stream in streams:
            attempt.tell(do="print", text=f"attempt {number} on {stream}\n", to=stream)
        if number < 3:
            _fail(attempt, number)
        else:
            attempt.tell(do="return", value=None)

    executor = subject.build(retries=2)
    with subject.recording(executor) as history, subject.beacon(answer) as beacon:
        seen = subject.run(executor, report_home, beacon.address)

    if len(beacon.attempts) < 3:
        subject.could_not_run(f"no third attempt was made, see RET-02: {seen}")
    for stream in streams:
        said = getattr(seen, stream)
        found = [said.find(f"attempt {number} on {stream}\n") for number in (1, 2, 3)]
        if -1 in found or found != sorted(found):
            what = "is in another order" if -1 not in found else f"lacks attempt {_gap(found)}"
            subject.fail(
                seen=f"three attempts printed a line each, and {stream} {what}: {short(said)}",
                required="what each attempt printed, in the order of the attempts",
                cause="each attempt opens the files of its output anew, or only the output of the "
                "last one is fetched",
                history=history,
                reproduce="""
                    import asyncio
                    from pytest_asyncexec.conformance.subject.host import host_for

                    def task():
                        import time
                        print("attempt at", time.time())
                        raise RuntimeError("on purpose")

                    async def main():
                        executor.retries, executor.log_stdout = 2, "/tmp/output"
                        print(await host_for(executor).execute(executor, task))
                        print(open("/tmp/output").read())

                    asyncio.run(main())
                """,
            )


def _gap(found: list[int]) -> str:
    return " and ".join(str(number) for number, place in enumerate(found, 1) if place == -1)


# ---- what is attempted again -------------------------------------------------------------


@check("RET-05")
def test_RET_05_must_not_attempt_a_cancelled_task_again(subject: Subject) -> None:
    cause = (
        "a bare `except`, or `except BaseException`, around the attempt takes the cancellation for "
        "a failure"
    )

    # The executor says that the task was cancelled ...
    executor = subject.build(retries=3)
    error = _cancelled_error(executor)

    def raise_cancelled(original: Any, executor: Any, *args: Any, **kwargs: Any) -> Any:
        raise error("cancelled in the backend")

    with subject.recording(executor, run=raise_cancelled) as history:
        seen = subject.run(executor, len, "")
    calls = history.count("run")
    if calls > 1:
        subject.fail(
            seen=f"with retries=3, `run` raised TaskCancelledError and was called {calls} times; "
            f"{seen}",
            required="one attempt: who cancels a task wants it not",
            cause="TaskCancelledError is an Exception, and every Exception is tried again",
            history=history,
            reproduce="""
                import asyncio
                from unittest import mock
                from pytest_asyncexec import TaskCancelledError
                from pytest_asyncexec.conformance.subject.host import host_for

                async def run(self, *args, **kwargs):
                    print("attempt")
                    raise TaskCancelledError

                executor.retries = 3
                with mock.patch.object(type(executor), "run", run):
                    print(asyncio.run(host_for(executor).execute(executor, len, [""])))
            """,
        )

    # ... or the host does not want it any more.
    if not inspect.iscoroutinefunction(getattr(executor, "execute", None)):
        return
    subject.need_beacon()
    subject.need_free_loop(lost="nobody can cancel anything", reproduce=_REPRODUCE_CANCEL)
    executor = subject.build(retries=3)

    async def story() -> tuple[int, str]:
        with subject.beacon() as beacon:
            executing = asyncio.ensure_future(
                subject.execute(executor, report_home, (beacon.address,))
            )
            if not await beacon.reported(1, executing):
                return 0, f"the task never started: {executing.result()}"
            executing.cancel()
            # Where nothing can stop it, it fails now: that is no reason to begin anew, either.
            await asyncio.sleep(0)
            beacon.answer_with(_fail)
            _fail(beacon.attempts[0], 1)
            over = asyncio.ensure_future(asyncio.wait({executing}, timeout=60))
            await beacon.reported(2, over)
            await over
            return len(beacon.attempts), "" if executing.done() else "execute has not ended since"

    with subject.recording(executor) as history:
        attempts, remark = subject.drive(story)
    if attempts > 1:
        subject.fail(
            seen=f"with retries=3, a task whose host cancelled it during its first attempt was "
            f"attempted {attempts} times" + (f"; {remark}" if remark else ""),
            required="one attempt",
            cause=cause,
            history=history,
            reproduce=_REPRODUCE_CANCEL,
        )
    if not attempts:
        subject.could_not_run(remark)


_REPRODUCE_CANCEL = """
    import asyncio
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(log):
        import time
        with open(log, "a") as file:
            file.write("attempt\\n")
        time.sleep(10)

    async def main():
        executor.retries = 3
        executing = asyncio.ensure_future(
            host_for(executor).execute(executor, task, ["/tmp/attempts"])
        )
        await asyncio.sleep(2)
        executing.cancel()
        await asyncio.wait([executing])
        print(open("/tmp/attempts").read())

    asyncio.run(main())
"""


def _cancelled_error(executor: Any) -> type[Exception]:
    """The class by which executors of this platform say that a task was cancelled."""
    if isinstance(host_for(executor), CovalentHost):
        exceptions = sys.modules.get("covalent._shared_files.exceptions")
        return getattr(exceptions, "TaskCancelledError", TaskCancelledError)
    return TaskCancelledError


@check("RET-06")
def test_RET_06_must_attempt_a_timed_out_task_again(subject: Subject) -> None:
    subject.need_beacon()
    subject.need_free_loop(lost="no limit can be noticed", reproduce=_REPRODUCE_TIME_OUT)
    if not overruns(subject, "held")["held"].stopped:
        subject.could_not_run("no task is ever reported as timed out, see TIM-02")
    limit = usual_limit(subject)
    # Of one retry the second attempt is the last: whether it has a limit, too, more of them show.
    retries = subject.pick(quick=1, default=2, thorough=3)
    while True:
        seen, attempts, overlap, history = _held(subject, limit, retries)
        if seen is not None and seen.completed and seen.result == "the last" and not overlap:
            keep_limit(subject, limit)
            return
        wrong = ""
        if overlap:
            wrong = f"when attempt {attempts} began, {overlap} of the one before still answered"
        elif seen is None:
            wrong = "execute had not ended a minute after the task had"
        elif seen.completed:
            wrong = (
                f"attempt {attempts} was held far longer than its limit, and nothing stopped it, "
                f"as a task without retries is stopped; let go on, {seen}"
            )
        elif attempts and history.count("run") == 1 and "retries" not in _enforced(subject):
            wrong = f"it was attempted once; {seen}"
        elif limit >= LAST_LIMIT / 8:
            wrong = f"attempts began {attempts} times; {seen}"
        if wrong:
            break
        # Attempts that began too slowly for their limit say nothing.
        limit *= 2
    subject.fail(
        seen=f"with retries={retries} and time_limit={limit:g}, a task is held in each attempt "
        f"but the last, which returns: {wrong}",
        required=f"{retries + 1} attempts, one after the other, and the result of the last",
        cause="the limit is watched outside of the loop that makes the attempts, or for the first "
        "of them alone; or the next attempt begins while the one before is only asked to stop",
        history=history,
        reproduce=_REPRODUCE_TIME_OUT,
    )


def _enforced(subject: Subject) -> Any:
    return getattr(subject.build(), "enforces", ())


def _held(subject: Subject, limit: float, retries: int) -> tuple[Seen | None, int, str, History]:
    """Outcome, number of attempts that reported, what of one outlived it, and the history."""
    executor = subject.build(time_limit=limit, retries=retries)
    patient = 2 * (limit + patience.PAST_LIMIT)

    async def story() -> tuple[Seen | None, int, str]:
        overlap = ""
        with subject.beacon() as beacon:
            executing = asyncio.ensure_future(
                subject.execute(executor, report_home, (beacon.address, "process"))
            )
            await beacon.reported(1, executing)
            for number in range(2, retries + 2):
                guarded = asyncio.ensure_future(asyncio.wait({executing}, timeout=patient))
                begun = await beacon.reported(number, guarded)
                guarded.cancel()
                if not begun:
                    break
                before, latest = beacon.attempts[number - 2 : number]
                # Told in this order: who answers now lives beside the next attempt.
                asked = asyncio.ensure_future(still_alive([before]))
                await asyncio.sleep(0)
                if number == retries + 1:
                    latest.tell(do="return", value="the last")
                overlap = " and ".join(await asked)
                if overlap:
                    break
            attempts = len(beacon.attempts)
            for attempt in beacon.attempts:
                attempt.tell(do="return", value="let go")
            await asyncio.wait({executing}, timeout=patient)
            return await finish(executing), attempts, overlap

    with subject.recording(executor) as history:
        seen, attempts, overlap = subject.drive(story, longer=(retries + 1) * patient)
    return seen, attempts, overlap, history


_REPRODUCE_TIME_OUT = """
    import asyncio
    from pathlib import Path
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(log):
        import time
        with open(log, "a") as file:
            file.write("attempt\\n")
        time.sleep(10)

    executor.time_limit, executor.retries = 1, 1
    print(asyncio.run(host_for(executor).execute(executor, task, ["/tmp/attempts"])))
    print(Path("/tmp/attempts").read_text())
"""


@check("RET-08")
def test_RET_08_must_leave_retries_and_time_limit_alone(subject: Subject) -> None:
    subject.need_beacon()
    stops = "stop" not in subject.preflight().cannot

    # One instance: a task that succeeds in the end, one that does at once, one that never does.
    executor = subject.build(retries=1, **({"time_limit": 3600} if stops else {}))
    endings: list[tuple[str, Callable[[int], bool]]] = [
        ("failed once and succeeded then", lambda number: number == 1),
        ("succeeded", lambda number: False),
        ("always failed", lambda number: True),
    ][: subject.pick(quick=1, default=3, thorough=3)]
    with subject.recording(executor) as history:
        for ending, fails in endings:

            def answer(attempt: Attempt, number: int, fails: Callable[[int], bool] = fails) -> None:
                if fails(number):
                    _fail(attempt, number)
                else:
                    attempt.tell(do="return", value=None)

            before = _settings(executor)
            with subject.beacon(answer) as beacon:
                subject.run(executor, report_home, beacon.address)
            _require_unchanged(subject, before, executor, f"a task that {ending}", history)

        # And one over its limit, however early that is; who cannot stop it may let it go on.
        if stops and not subject.preflight().blocks_loop_at:
            usual, executor.time_limit = executor.time_limit, 0.05
            before = _settings(executor)

            async def story() -> None:
                with subject.beacon() as beacon:
                    executing = asyncio.ensure_future(
                        subject.execute(executor, report_home, (beacon.address,))
                    )
                    await asyncio.wait({executing}, timeout=2)
                    for attempt in beacon.answer_with(_fail):
                        attempt.tell(do="return", value=None)
                    await finish(executing)

            subject.drive(story)
            _require_unchanged(subject, before, executor, "a task over its limit", history)
            executor.time_limit = usual

        # The host may want none of its attempts any more.
        if not subject.preflight().blocks_loop_at and inspect.iscoroutinefunction(
            getattr(executor, "execute", None)
        ):
            before = _settings(executor)
            subject.drive(lambda: _cancelled_in_the_second_attempt(subject, executor))
            what = "a task that failed once and was cancelled by its host then"
            _require_unchanged(subject, before, executor, what, history)


async def _cancelled_in_the_second_attempt(subject: Subject, executor: Any) -> None:
    def answer(attempt: Attempt, number: int) -> None:
        if number == 1:
            _fail(attempt, number)

    with subject.beacon(answer) as beacon:
        executing = asyncio.ensure_future(subject.execute(executor, report_home, (beacon.address,)))
        await beacon.reported(2, executing)
        executing.cancel()
        # Who cannot stop a task is right to wait for its end.
        await asyncio.wait({executing}, timeout=_GRACE)
        for attempt in beacon.answer_with(_fail):
            attempt.tell(do="return", value=None)
        await asyncio.wait({executing}, timeout=60)


#: Seconds for a cancellation to take effect, before the task is let go; it decides nothing.
_GRACE = 0.5


def _settings(executor: Any) -> dict[str, Any]:
    return {name: getattr(executor, name, None) for name in ("retries", "time_limit")}


def _require_unchanged(
    subject: Subject, before: dict[str, Any], executor: Any, what: str, history: History
) -> None:
    for name, value in _settings(executor).items():
        if value != before[name] or type(value) is not type(before[name]):
            subject.fail(
                seen=f"after {what}, `{name}` was {value!r}; it had been {before[name]!r}",
                required="the same value before and after",
                cause="the attribute serves as a counter or as a flag: what belongs to one task "
                "belongs into a local variable, for the instance runs many of them",
                history=history,
                reproduce=f"""
                    import asyncio, os, tempfile
                    from pytest_asyncexec.conformance.subject.host import host_for

                    def fail(path):
                        raise ValueError("on purpose")

                    def fail_first(path):
                        import os, time
                        if not os.path.exists(path):
                            os.mkdir(path)
                            raise ValueError("on purpose")
                        time.sleep(5)

                    async def main():
                        executor.retries = 1
                        executor.{name} = {before[name]!r}
                        for task in (os.path.exists, fail, fail_first):
                            path = os.path.join(tempfile.mkdtemp(), "begun")
                            executing = asyncio.ensure_future(
                                host_for(executor).execute(executor, task, [path])
                            )
                            await asyncio.wait({{executing}}, timeout=3)
                            executing.cancel()
                            await asyncio.wait({{executing}})
                            print(task, executing, executor.{name})

                    asyncio.run(main())
                """,
            )


@check("RET-09")
def test_RET_09_must_not_enforce_retries_twice(subject: Subject) -> None:
    retries = subject.pick(quick=1, default=2, thorough=3)
    seen, attempts, history = _attempts(subject, retries, _fail)

    calls = history.count("run")
    if attempts > retries + 1 or calls > retries + 1:
        subject.fail(
            seen=f"with retries={retries}, a task that always fails reached a worker {attempts} "
            f"times, and `run` was called {calls} times; {seen}",
            required=f"at most {retries + 1} of either",
            cause="`run`, or the backend behind it, makes retries of its own for each attempt that "
            "`execute` makes: declare them, with enforces = frozenset({'retries'})",
            history=history,
            reproduce=_REPRODUCE.format(retries=retries),
        )
