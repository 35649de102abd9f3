"""CNC, where many tasks come at once: each in its turn, and no place lost or won."""

from __future__ import annotations

from typing import NoReturn

from .check import check
from .scenarios.crowd import (
    FAILS,
    IS_CANCELLED,
    MORE,
    OVERTAKING,
    RETURNS,
    TASKS,
    Crowd,
    at_once_on_another,
    crowd,
)
from .scenarios.echoes import first_wrong
from .scenarios.fresh_process import (
    judge_in_fresh_process,
    on_event_loops_of_a_fresh_process,
)
from .scenarios.two_loops import is_its_own, on_one_loop, on_two_loops
from .subject.subject import Subject

_REPRODUCE_MANY = """
    import asyncio
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(number):
        import time
        time.sleep(0.2)
        return number

    async def main():
        tasks = [
            asyncio.ensure_future(
                host_for(executor).execute(executor, task, [n], dispatch_id=f"many-{n}")
            )
            for n in range(COUNT)
        ]
        ...
        done, pending = await asyncio.wait(tasks, timeout=120)
        for number, one in enumerate(tasks):
            if not one.cancelled():
                print(number, one.result() if one.done() else "has not ended")
            one.cancel()

    asyncio.run(main())
"""


def _many(count: int, ended_by: str = RETURNS, first: int = 0) -> str:
    """Lines of Python that run so many tasks, of which the first end in this way."""
    script = _REPRODUCE_MANY.replace("COUNT", str(count))
    if ended_by == FAILS:
        script = script.replace(
            "        return number", f"        assert number >= {first}\n        return number"
        )
    if ended_by == IS_CANCELLED:
        cancels = (
            f"await asyncio.sleep(5)\n        for one in tasks[:{first}]:\n            one.cancel()"
        )
        script = script.replace("time.sleep(0.2)", f"time.sleep(20 if number < {first} else 0.2)")
        return script.replace("        ...\n", f"        {cancels}\n")
    return script.replace("        ...\n", "")


_REPRODUCE_OVERTAKING = """
    import asyncio
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(number):
        import time
        time.sleep(0.2)
        print(number, flush=True)
        return number

    async def main():
        async def run(n):
            seen = await host_for(executor).execute(
                executor, task, [n], dispatch_id=f"many-{n}"
            )
            print(n, "has ended:", seen)

        tasks = []
        for number in range(200):
            tasks.append(asyncio.ensure_future(run(number)))
            if number > AT_ONCE + 2:
                await asyncio.wait(
                    [one for one in tasks if not one.done()], return_when=asyncio.FIRST_COMPLETED
                )
        await asyncio.wait(tasks)

    asyncio.run(main())
"""

_REPRODUCE_PLACES = """
    import asyncio, tempfile, threading
    from pathlib import Path
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(path, seconds):
        import os, time
        with open(path, "w"):
            time.sleep(seconds)
        os.unlink(path)

    async def main():
        folder = Path(tempfile.mkdtemp())

        def run(name, seconds):
            return asyncio.ensure_future(host_for(executor).execute(
                executor, task, [str(folder / name), seconds], dispatch_id=name
            ))

        first = [run(f"first-{n}", 10) for n in range(64)]
        await asyncio.sleep(5)
        running = {path.name for path in folder.iterdir()}
        print(len(running), "at once before")
        for number, one in enumerate(first):
            if f"first-{number}" not in running:
                one.cancel()
        await asyncio.wait(first)
        again = [run(f"again-{n}", 10) for n in range(len(running) + 4)]
        await asyncio.sleep(5)
        print(len(list(folder.iterdir())), "at once after others were cancelled in line")
        for one in again:
            one.cancel()

    asyncio.run(main())
"""

_OWN_OUTCOME = "each of them ends with its own outcome, however many there are"


def _told_of_crowd(subject: Subject) -> Crowd:
    subject.need_beacon()
    subject.need_free_loop(lost="no second task can begin", reproduce=_many(4))
    return crowd(subject)


@check("CNC-06")
def test_CNC_06_must_serve_each_of_many_in_its_turn(subject: Subject) -> None:
    _tell_of_many(subject, _told_of_crowd(subject))
    # What is held takes room with the suite as well: so many at once are not.
    more = subject.pick(quick=0, default=TASKS, thorough=1_000)
    wrong = first_wrong(subject, more)
    if wrong is not None:
        subject.fail(
            seen=f"of {more} tasks that were begun at once on one instance, {wrong.which}: "
            f"{wrong.problem}",
            required=_OWN_OUTCOME,
            cause="something is taken for each task that waits, a file, a process, a thread or a "
            "connection, and there are not so many: take it when its turn has come",
            history=wrong.history,
            reproduce=_many(more),
        )


def _tell_of_many(subject: Subject, seen: Crowd) -> None:
    many = f"{TASKS} tasks, a few of which cannot be sent, were begun at once on one instance"
    reproduce = _many(TASKS, seen.ended_by or RETURNS, seen.at_once)
    if seen.trouble == "none begins":
        subject.fail(
            seen=f"{many}, and none of them began",
            required=_OWN_OUTCOME,
            cause="each takes a part of what it needs, and waits for the rest, which the others "
            "have: a deadlock",
            history=seen.history,
            reproduce=reproduce,
        )
    if seen.trouble == "no next":
        subject.fail(
            seen=f"{many}; {seen.at_once} ran, and when one of these had {seen.ended_by}, none of "
            "those that waited began in its place",
            required=_OWN_OUTCOME,
            cause="what comes when all places are taken is dropped (a queue with a bound, from "
            "which nobody hears that it is full); or what a task holds while it waits is needed "
            "by those that run; or a place is given back behind the last line that can raise or be "
            "cancelled, and not in a `finally`",
            history=seen.history,
            reproduce=reproduce,
        )
    if seen.trouble == "overtaken":
        subject.fail(
            seen=f"while {seen.at_once} tasks ran and one waited, others were begun one by one, "
            f"and one of those that ran was let go for each; {seen.count} that had come later "
            "began, and the one that waited did not",
            required="who came first does not wait for ever for later ones: with as many places, "
            f"not one of them in {OVERTAKING} is for whoever waits longest",
            cause="those that wait are on a stack, and the last one is taken first: "
            "`list.pop()`, or queue.LifoQueue, for collections.deque.popleft(); or they are "
            "sorted by something that later ones are always first in",
            history=seen.history,
            reproduce=_REPRODUCE_OVERTAKING.replace("AT_ONCE", str(seen.at_once)),
        )
    if seen.wrong:
        subject.fail(
            seen=f"{many}, of which {seen.at_once} ran at the same time; of {seen.wrong}",
            required=_OWN_OUTCOME,
            cause="room for so many and no more: a list of slots whose numbers come again, a queue "
            "that raises when it is full, a name with two digits",
            history=seen.history,
            reproduce=reproduce,
            because="CNC-01" if seen.is_mixed_up else "",
        )


@check("CNC-08")
def test_CNC_08_must_count_its_places_right(subject: Subject) -> None:
    seen = _told_of_crowd(subject)
    if seen.trouble in ("none begins", "no next", "overtaken"):
        subject.could_not_run(
            "it could not be seen how many tasks run at once: those that wait do not begin, see "
            "CNC-06"
        )
    ended = f"{seen.ended_in_line} of {TASKS} tasks were cancelled, or failed, while they waited"
    if seen.trouble == "lost":
        _need_as_many_elsewhere(subject, seen)
        subject.fail(
            seen=f"{seen.at_once} tasks ran at once; {ended}; after that only {seen.count} run at "
            "once, and others that wait do not begin",
            required=f"as many as before, {seen.at_once}, run at once again",
            cause="who is cancelled while it waits for its place keeps its place in line, and the "
            "next one that is free is given to it: look whether the future is done before it is "
            "given a place, and pass on what came to one that was cancelled; a thread that waits "
            "in `acquire()` goes on when its asyncio task is cancelled",
            history=seen.history,
            reproduce=_REPRODUCE_PLACES,
        )
    if seen.trouble == "gained":
        more = at_once_on_another(subject, seen.at_once + MORE, seen.at_once + 1)
        if more <= seen.at_once:
            _tell_of_won_places(subject, seen, f"on a fresh instance, where none was, {more}")
        # It took longer until all of them had begun; or all instances share what was won.
        if subject.preflight().is_local:
            judge_in_fresh_process(subject, _judge_by_places_counted_before)


def _judge_by_places_counted_before(subject: Subject) -> None:
    """Judge in a process where no task has been cancelled, however long the counting takes."""
    before = at_once_on_another(subject, TASKS, TASKS)
    seen = crowd(subject)
    if seen.trouble == "gained" and seen.count > before:
        _tell_of_won_places(subject, seen, f"on another instance, before any was, {before}")


def _tell_of_won_places(subject: Subject, seen: Crowd, known: str) -> NoReturn:
    subject.fail(
        seen=f"{seen.at_once} tasks ran at once; {seen.ended_in_line} of {TASKS} tasks were "
        f"cancelled, or failed, while they waited; after that {seen.count} run at once, and "
        f"{known}",
        required=f"as many as before, {seen.at_once}, run at once again",
        cause="a place is given back in a `finally`, or in `teardown`, whether or not it was "
        "taken: `async with` begins the `try` when it has its place",
        history=seen.history,
        reproduce=_REPRODUCE_PLACES,
    )


def _need_as_many_elsewhere(subject: Subject, seen: Crowd) -> None:
    """End the check where a backend elsewhere has, for whatever reason, fewer places now."""
    if subject.preflight().is_local:
        return
    now = at_once_on_another(subject, seen.at_once, seen.at_once)
    if now < seen.at_once:
        subject.could_not_run(
            f"{seen.at_once} tasks ran at once, and later {seen.count}; but {now} on a fresh "
            "instance, too: the backend may have less room for other reasons"
        )


_REPRODUCE_TWO_LOOPS = """
    import asyncio, threading
    from pytest_asyncexec.conformance.subject.host import host_for

    def task():
        import time
        time.sleep(1)
        return "done"

    async def main(one, name):
        for seen in await asyncio.gather(*(
            host_for(one).execute(one, task, dispatch_id=name, node_id=n) for n in range(40)
        )):
            print(seen)

    threads = [
        threading.Thread(target=lambda n=n: asyncio.run(main(type(executor)(), f"loop-{n}")))
        for n in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def _runs_on_one_loop(subject: Subject) -> bool:
    if is_its_own(on_one_loop(subject).seen[0], 1):
        return True
    # Where something belongs to a loop that was there before, nothing has been before.
    return on_event_loops_of_a_fresh_process(subject, loops=1).get("completed") == [True]


@check("CNC-09")
def test_CNC_09_should_serve_two_event_loops_at_the_same_time(subject: Subject) -> None:
    both = on_two_loops(subject)
    if not both.wrong:
        return
    if not _runs_on_one_loop(subject):
        subject.could_not_run(
            "blocked: on an event loop that no other is beside, tasks at once go wrong as well: "
            f"{both.seen[both.wrong - 1]}"
        )
    subject.fail(
        seen="two event loops ran in two threads, each with an instance of its own and tasks on "
        f"it; on loop {both.wrong}: {both.seen[both.wrong - 1]}",
        required="a task on each of them comes to its own result, as where one loop is alone",
        cause="a lock, a semaphore, a queue or a client of asyncio's is kept on the class or in "
        "its module, and belongs to one loop; or a future of another thread's loop is set without "
        "`call_soon_threadsafe`, of which that loop does not wake up",
        history=both.history,
        reproduce=_REPRODUCE_TWO_LOOPS,
    )
