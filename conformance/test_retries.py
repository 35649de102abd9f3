"""RET: how often a failing task is attempted. Attempts are counted by their lines home."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

from ..base.outcome import TaskCancelledError
from ..contract.wording import says
from .check import check
from .instruments.liveness import still_running
from .scenarios.asking import ask_plan
from .scenarios.limited import Limited
from .scenarios.observations import Part
from .scenarios.overruns import limited, possible_kinds
from .scenarios.retrying import Retried, goes_on_after_a_cancellation, past_ten
from .scenarios.settings import changed_setting
from .subject.host import CovalentHost, host_for
from .subject.subject import Subject

_CAUSE = (
    "`retries` is the number of attempts after the first that failed; nobody but `execute` "
    "(or the backend, declared in `enforces`) can make them"
)
_REPRODUCE = """
    import asyncio, os, tempfile
    from pathlib import Path
    from pytest_asyncexec.conformance.subject.host import host_for

    def fail(log):
        with open(log, "a") as file:
            print("attempt", file=file)
        raise ValueError("on purpose")

    log = os.path.join(tempfile.mkdtemp(), "attempts")
    executor.retries = {retries}
    try:
        print(asyncio.run(host_for(executor).execute(executor, fail, [log])))
    finally:
        print(Path(log).read_text())
"""


@check("RET-01")
def test_RET_01_must_attempt_once_without_retries(subject: Subject) -> None:
    subject.need_beacon()
    ask_plan(subject, *_parts(subject), cause=_CAUSE)


@check("RET-02")
def test_RET_02_must_return_the_first_success(subject: Subject) -> None:
    subject.need_beacon()
    ask_plan(subject, "ordinary", cause=_CAUSE)
    _ask_past_ten(
        subject,
        lambda task: (
            not task.always_fails
            and (task.attempts != task.due or task.seen.result != f"result of attempt {task.due}")
        ),
    )


@check("RET-03")
def test_RET_03_must_give_up_after_the_last_retry(subject: Subject) -> None:
    subject.need_beacon()
    ask_plan(
        subject,
        "ordinary",
        cause=f"{_CAUSE}; or the first error is kept, and raised at the end",
        also=("RET-09",),
    )
    _ask_past_ten(
        subject,
        lambda task: (
            task.always_fails
            and (task.attempts != task.due or task.seen.completed or _says_an_earlier_one(task))
        ),
    )


def _says_an_earlier_one(task: Retried) -> bool:
    error, last = task.seen.error, f"failure of attempt {task.due}"
    return error is not None and not says(error, last) and says(error, "failure of attempt")


def _ask_past_ten(subject: Subject, is_wrong: Callable[[Retried], bool]) -> None:
    for task in past_ten(subject):
        if is_wrong(task):
            fails = "always fails" if task.always_fails else f"fails {task.failures} times first"
            subject.fail(
                seen=f"with retries={task.retries} a task that {fails} was attempted "
                f"{task.attempts} times; {task.seen}",
                required=f"{task.due} attempts, and then "
                + ("the error of the last" if task.always_fails else "its result"),
                cause=_CAUSE,
                history=task.history,
                reproduce=_REPRODUCE.format(retries=task.retries),
            )


def _parts(subject: Subject) -> tuple[Part, ...]:
    """The parts of the plan that can be asked: where a limit blocks the loop, none is stopped."""
    kind = "led by the loop"
    blocked = kind in possible_kinds(subject) and limited(subject, kind).blocked
    return ("ordinary",) if blocked else ("ordinary", "stopped")


# ---- what an attempt is given, and what it leaves ----------------------------------------


@check("RET-04")
def test_RET_04_must_give_each_attempt_the_original_arguments(subject: Subject) -> None:
    subject.need_beacon()
    ask_plan(
        subject,
        "ordinary",
        cause="the attempts share one list and one dictionary, copied shallowly or not at all, "
        "with a task that alters them",
    )


@check("RET-07")
def test_RET_07_should_keep_the_output_of_every_attempt(subject: Subject) -> None:
    if not subject.preflight().captures_streams:
        subject.could_not_run("what a task prints is not captured, see RES-06")
    subject.need_beacon()
    ask_plan(
        subject,
        "ordinary",
        cause="each attempt opens the files of its output anew, or only the output of the last "
        "one is fetched",
    )


# ---- what is attempted again -------------------------------------------------------------


_REPRODUCE_PAUSE = """
    import asyncio
    from unittest import mock
    from pytest_asyncexec.conformance.subject.host import host_for

    async def run(self, *args, **kwargs):
        print("attempt")
        task.get_loop().call_soon(task.cancel)
        raise ValueError("on purpose")

    async def main():
        global task
        task = asyncio.ensure_future(host_for(executor).execute(executor, len, [""]))
        await asyncio.wait([task])

    executor.retries = 3
    with mock.patch.object(type(executor), "run", run):
        asyncio.run(main())
"""


@check("RET-05")
def test_RET_05_must_not_attempt_a_cancelled_task_again(subject: Subject) -> None:
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
    methods = (getattr(type(executor), name, None) for name in ("execute", "run"))
    if all(map(inspect.iscoroutinefunction, methods)):
        goes_on, history = goes_on_after_a_cancellation(subject)
        if goes_on:
            subject.fail(
                seen="with retries=3, a task whose host cancelled it when its first attempt had "
                "just failed was attempted again, and nobody has stopped that attempt",
                required="no attempt is made after the cancellation",
                cause="what is awaited between two attempts, a pause for one, is within a `try` "
                "that takes the cancellation for a failure",
                history=history,
                reproduce=_REPRODUCE_PAUSE,
            )
    subject.need_beacon()
    subject.need_free_loop(lost="nobody can cancel anything", reproduce=_REPRODUCE_CANCEL)
    cancelled = _cancelled_in_its_second_attempt(subject)
    if cancelled is None:
        return
    cause = (
        "a bare `except`, or `except BaseException`, around the attempt takes the cancellation for "
        "a failure"
    )
    ask_plan(subject, *_parts(subject)[1:], cause=cause)
    if cancelled.attempts > 2:
        subject.fail(
            seen=f"with retries=3, a task that failed once, and whose host cancelled it during its "
            f"second attempt, was attempted {cancelled.attempts} times"
            + ("; execute has not ended since" if cancelled.let_go else ""),
            required="two attempts",
            cause=cause,
            history=cancelled.history,
            reproduce=_REPRODUCE_CANCEL,
        )
    if not cancelled.begun:
        subject.could_not_run(f"no second attempt was made, see RET-02: {cancelled.seen}")


def _cancelled_in_its_second_attempt(subject: Subject) -> Limited | None:
    kind = "cancelled in its second attempt"
    return limited(subject, kind) if kind in possible_kinds(subject) else None


_REPRODUCE_CANCEL = """
    import asyncio, os, tempfile
    from pathlib import Path
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(log):
        import time
        with open(log, "a") as file:
            print("attempt", file=file)
        if len(open(log).readlines()) == 1:
            raise ValueError("on purpose")
        time.sleep(10)

    async def main():
        log = os.path.join(tempfile.mkdtemp(), "attempts")
        executor.retries = 3
        executing = asyncio.ensure_future(host_for(executor).execute(executor, task, [log]))
        await asyncio.sleep(3)
        executing.cancel()
        await asyncio.wait([executing])
        print(Path(log).read_text(), "retries:", executor.retries)

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
    if not limited(subject, "held").stopped:
        subject.could_not_run("no task is ever reported as timed out, see TIM-02")
    cause = (
        "the limit is watched outside of the loop that makes the attempts, or for the first of "
        "them alone; or the next attempt begins while the one before is only asked to stop"
    )
    # Of one retry the second attempt is the last: whether it has a limit, too, the plan shows.
    found = limited(subject, "retried")
    seen, attempts = found.seen, found.attempts
    wrong = ""
    if found.overlap:
        wrong = f"when attempt {attempts} began, of the one before {still_running(found.overlap)}"
    elif seen is None:
        wrong = "execute had not ended a minute after the task had"
    elif found.let_go:
        wrong = (
            f"attempt {attempts} was held far longer than its limit, and nothing stopped it, "
            f"as a task without retries is stopped; let go on, {seen}"
        )
    elif not found.is_right and found.history.count("run") == 1:
        wrong = f"it was attempted once; {seen}"
    elif not found.is_right:
        wrong = f"attempts began {attempts} times; {seen}"
    if wrong:
        retries = subject.pick(quick=1, default=2, thorough=3)
        subject.fail(
            seen=f"with retries={retries} and time_limit={found.limit:g}, a task is held in each "
            f"attempt but the last, which returns: {wrong}",
            required=f"{retries + 1} attempts, one after the other, and the result of the last",
            cause=cause,
            history=found.history,
            reproduce=_REPRODUCE_TIME_OUT,
        )
    ask_plan(subject, *_parts(subject)[1:], cause=cause)


_REPRODUCE_TIME_OUT = """
    import asyncio, os, tempfile
    from pathlib import Path
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(log):
        import time
        with open(log, "a") as file:
            print("attempt at", time.strftime("%X"), file=file)
        time.sleep(10)

    log = os.path.join(tempfile.mkdtemp(), "attempts")
    executor.time_limit, executor.retries = 2, 1
    try:
        print(asyncio.run(host_for(executor).execute(executor, task, [log])))
    finally:
        print(Path(log).read_text())
"""


@check("RET-08")
def test_RET_08_must_leave_retries_and_time_limit_alone(subject: Subject) -> None:
    subject.need_beacon()
    cause = (
        "the attribute serves as a counter or as a flag: what belongs to one task belongs into a "
        "local variable, for the instance runs many of them"
    )
    changed = changed_setting(subject, ("retries", "time_limit"), _parts(subject))
    cancelled = None
    if changed is None or not changed.alone:
        cancelled = _cancelled_in_its_second_attempt(subject)
    if cancelled is not None:
        _require_unchanged(subject, cancelled, cause)
    if changed is not None:
        subject.fail(
            seen=f"after {changed.task}, `{changed.name}` was {changed.after!r}; it had been "
            f"{changed.before!r}",
            required="the same value before and after",
            cause=cause,
            history=changed.history,
            reproduce=changed.reproduce,
        )


def _require_unchanged(subject: Subject, cancelled: Limited, cause: str) -> None:
    for name, before in cancelled.before.items():
        after = cancelled.after[name]
        if after != before or type(after) is not type(before):
            subject.fail(
                seen="after a task that failed once and was cancelled by its host then, "
                f"`{name}` was {after!r}; it had been {before!r}",
                required="the same value before and after",
                cause=cause,
                history=cancelled.history,
                reproduce=_REPRODUCE_CANCEL,
            )


@check("RET-09")
def test_RET_09_must_not_enforce_retries_twice(subject: Subject) -> None:
    subject.need_beacon()
    ask_plan(
        subject,
        "ordinary",
        cause="`run`, or the backend behind it, makes retries of its own for each attempt that "
        "`execute` makes: declare them, with enforces = frozenset({'retries'})",
    )
