"""CNC, where workers end: what becomes of tasks beside one that ends in a bad way."""

from __future__ import annotations

from .check import check
from .scenarios.accidents import all_at_once
from .scenarios.neighbours import (
    DIES,
    EXITS,
    FAILS,
    IS_CANCELLED,
    harm_alone,
    is_known_to_be_unharmed,
)
from .scenarios.unbroken import settle
from .subject.subject import Subject

_REPRODUCE = """
    import asyncio
    from pytest_asyncexec.conformance.subject.host import host_for

    def neighbour():
        import os, sys, time
        time.sleep(3)
        {ends}

    def task(number):
        import time
        time.sleep(6)
        return number

    async def main():
        run = host_for(executor).execute
        neighbours = asyncio.ensure_future(run(executor, neighbour, dispatch_id="dispatch"))
        others = [
            asyncio.ensure_future(run(executor, task, [n], dispatch_id=dispatch, node_id=n))
            for n, dispatch in enumerate(["another", "dispatch"], 1)
        ]
        await asyncio.sleep(3)
        {stops}
        for other in others:
            print(await other)

    asyncio.run(main())
"""

_ENDS = {
    FAILS: "raise ValueError",
    EXITS: "sys.exit(3)",
    IS_CANCELLED: "time.sleep(20)",
    DIES: "os._exit(3)",
}

_CAUSES = {
    DIES: "a pool of processes is broken as a whole when one of them dies, and all that it had "
    "under way with it; or a worker has several tasks: give each attempt a process of its own, or "
    "run what was lost by no fault of its own again",
    "": "what one task does when it ends reaches others: a group, a scope or a connection that all "
    "of them share is closed or cancelled with the first",
}


@check("CNC-07", working=False)
def test_CNC_07_must_keep_the_end_of_a_task_from_others(subject: Subject) -> None:
    subject.need_beacon()
    subject.need_free_loop(
        lost="no second task can begin", reproduce=_REPRODUCE.format(ends="...", stops="...")
    )
    if not subject.apart:
        # Beside tasks that go wrong anyway, for the same wait.
        all_at_once(subject, "RES-09")
        if is_known_to_be_unharmed(subject):
            return
    settle(subject, _judge_by_itself)


def _judge_by_itself(subject: Subject) -> None:
    harm = harm_alone(subject)
    if harm is None:
        return
    if not harm.after:
        subject.could_not_run(f"blocked: a task that no other had ended beside: {harm.seen}")
    instance = "the same instance" if harm.same_instance else "another instance"
    subject.fail(
        seen=f"a task ran while others ran beside it on {instance}; when one of them "
        f"{harm.after}, that task was lost: {harm.seen}",
        required="a task comes to its own result, whatever becomes of others",
        cause=_CAUSES.get(harm.after, _CAUSES[""]),
        history=harm.history,
        reproduce=_REPRODUCE.format(
            ends=_ENDS.get(harm.after, "raise ValueError"),
            stops="neighbours.cancel()" if harm.after == IS_CANCELLED else "...",
        ),
    )
