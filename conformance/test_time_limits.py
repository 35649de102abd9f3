"""TIM: what becomes of a task that goes on for longer than its limit, and of one that does not."""

from __future__ import annotations

import asyncio

from .beacon import Attempt, Beacon
from .check import check
from .history import History
from .host import Seen
from .loop import WATCHDOG
from .probes import report_home
from .subject import Subject, finish

#: Seconds. The first limit of a trial; doubled while tasks on this machine start too slowly for it.
_FIRST_LIMIT = 1.0
_LAST_LIMIT = 64.0

#: Seconds past its limit for which a task is held before it is let go on: a guard for executors
#: that never stop it, far beyond what a right one needs to notice.
_PATIENCE = 15.0

_CAUSE = (
    "`time_limit` is stored and nobody reads it: `execute` (or the backend, declared in "
    "`enforces`) has to stop the attempt"
)
_REPRODUCE = """
    import asyncio, time
    from pytest_asyncexec.conformance.host import host_for

    executor.time_limit = 1
    print(asyncio.run(host_for(executor).execute(executor, time.sleep, [10])))
"""


async def _held_past(subject: Subject, limit: float) -> tuple[Seen | None, bool, bool, History]:
    """Execute a task that only the limit can end: outcome, whether it started, whether let go."""
    executor = subject.build(time_limit=limit)
    with subject.recording(executor) as history, Beacon() as beacon:
        executing = asyncio.ensure_future(subject.execute(executor, report_home, (beacon.address,)))
        started = await beacon.reported(1, executing)
        await asyncio.wait({executing}, timeout=limit + _PATIENCE)
        let_go = not executing.done()
        for attempt in beacon.attempts:
            attempt.tell(do="return", value="ran to its end")
        return await finish(executing), started, let_go, history


@check("TIM-02")
def test_TIM_02_must_report_a_task_over_its_limit_as_timed_out(subject: Subject) -> None:
    subject.need_beacon()
    subject.need_free_loop(lost="no limit can be noticed", reproduce=_REPRODUCE)
    limit = _FIRST_LIMIT
    while True:
        seen, started, let_go, history = subject.drive(
            lambda limit=limit: _held_past(subject, limit),  # type: ignore[misc]
            watchdog=limit + _PATIENCE + WATCHDOG,
        )
        # A limit that was over before the task had begun says nothing about a running task.
        if started or limit >= _LAST_LIMIT:
            break
        limit *= 2

    if seen is None:
        observed = "execute had not ended a minute after the task had"
    elif let_go:
        observed = (
            f"a task with time_limit={limit:g} was held for {limit + _PATIENCE:g} s, and nothing "
            f"stopped it; let go on, {seen}"
        )
    elif not seen.timed_out:
        observed = f"a task over its time_limit of {limit:g} s: {seen}"
    elif not started:
        subject.could_not_run(f"no task begins within {limit:g} s here")
    else:
        return
    subject.fail(
        seen=observed,
        required="execute raises a TimeoutError or returns the status FAILED, and does so however "
        "long the task would have gone on",
        cause=_CAUSE,
        history=history,
        reproduce=_REPRODUCE,
    )


@check("TIM-04")
def test_TIM_04_must_leave_a_task_within_its_limit_alone(subject: Subject) -> None:
    captures = subject.preflight().captures_streams

    def answer(attempt: Attempt, number: int) -> None:
        attempt.tell(do="print", text="printed within the limit")
        attempt.tell(do="return", value="result within the limit")

    subject.need_beacon()
    # An hour: whoever is stopped by it was not stopped because it was over.
    executor = subject.build(time_limit=3600)
    with subject.recording(executor) as history, Beacon(answer) as beacon:
        seen = subject.run(executor, report_home, beacon.address)

    whole = "printed within the limit" in seen.stdout or not captures
    if not seen.completed or seen.result != "result within the limit" or not whole:
        subject.fail(
            seen=f"a short task with a time_limit of an hour: {seen}",
            required="status COMPLETED, its result" + (" and what it printed" if captures else ""),
            cause="the limit is taken for another unit than seconds, or counts as over at once",
            history=history,
            reproduce=_REPRODUCE.replace(
                "executor.time_limit = 1\n", "executor.time_limit = 3600\n"
            ).replace("time.sleep, [10]", "time.sleep, [0]"),
        )
