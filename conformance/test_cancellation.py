"""CAN: what becomes of a task when its host no longer wants it."""

from __future__ import annotations

import asyncio
import inspect

from .beacon import Beacon
from .check import check
from .history import History
from .probes import report_home
from .subject import Subject

#: Seconds for which a cancelled `execute` may go on: a guard, far beyond what stopping takes.
_PATIENCE = 60.0

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
    executor = subject.build()
    if not inspect.iscoroutinefunction(getattr(executor, "execute", None)):
        subject.not_applicable("execute is synchronous: nothing awaits it that could be cancelled")
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
