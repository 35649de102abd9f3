"""TIM, where tasks wait for a place: whether their limit runs meanwhile."""

from __future__ import annotations

from .check import check
from .scenarios.queueing import timed_out_in_line
from .subject.subject import Subject

_REPRODUCE = """
    import asyncio, time
    from pytest_asyncexec.conformance.subject.host import host_for

    PLACES = {held}

    async def main():
        host = host_for(executor)
        first = [
            asyncio.ensure_future(
                host.execute(executor, time.sleep, [{hold:g}], dispatch_id=f"first{{n}}")
            )
            for n in range(PLACES)
        ]
        await asyncio.sleep(0.2)
        executor.time_limit = {limit:g}
        print(await host.execute(executor, time.sleep, [0], dispatch_id="behind them"))
        print(await asyncio.gather(*first))

    asyncio.run(main())
"""


@check("TIM-10")
def test_TIM_10_must_not_count_the_time_in_line(subject: Subject) -> None:
    subject.need_beacon()
    subject.need_free_loop(
        lost="nobody can stand in line", reproduce=_REPRODUCE.format(limit=2, hold=6, held=12)
    )
    found = timed_out_in_line(subject)
    if found is None:
        return
    began = "and had not begun before" if not found.begun else "though it was let go as it began"
    subject.fail(
        seen=f"behind tasks that were held, of which {found.held} ran, others with a time_limit of "
        f"{found.limit:g} s waited on the same instance, which return at once: {found.seen}, "
        f"{began}; without a limit it completes, and so it does with nobody before it",
        required="the limit begins with the attempt, however long the task has waited for a place",
        cause="`run` waits for a place (a lock, a semaphore, a queue), or the backend's limit "
        "counts from the submission: wait in `setup`, or watch the limit where the task runs, "
        'and say so: enforces = frozenset({"time_limit"})',
        history=found.history,
        reproduce=_REPRODUCE.format(limit=found.limit, hold=3 * found.limit, held=found.held),
    )
