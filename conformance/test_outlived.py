"""HYG, what outlives its end: the workers of a host that was killed, and the data of a task."""

from __future__ import annotations

import asyncio
import logging

from .check import check
from .instruments.keepsakes import ARGUMENT, OUTPUT, RESULT, Keepsakes
from .scenarios.aftermath import TURNS, aftermath, settled
from .scenarios.endings import FAILS, RETRIED, Ending, endings
from .scenarios.killed_host import killed_host
from .scenarios.unbroken import judge_unbroken
from .subject.subject import Subject

_REPRODUCE_KILLED = """
    import asyncio, os, signal, subprocess, sys, tempfile, time
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(path):
        import time
        for _ in range(100):
            with open(path, "a") as file:
                file.write("still here\\n")
            time.sleep(0.1)

    path = os.path.join(tempfile.mkdtemp(), "signs of life")
    if not (host := os.fork()):
        os.setsid()
        asyncio.run(host_for(executor).execute(executor, task, [path]))
    while not os.path.exists(path):
        time.sleep(0.1)
    os.kill(host, signal.SIGKILL)
    os.waitpid(host, 0)
    for _ in range(3):
        print(os.path.getsize(path), "bytes were written by the task")
        time.sleep(2)
"""


@check("HYG-05", working=False)
def test_HYG_05_should_end_its_workers_with_their_host(subject: Subject) -> None:
    subject.need_beacon()
    host = killed_host(subject)
    assert host is not None
    left = host.left()
    if host.error:
        subject.could_not_run(
            f"in a host of its own, which was to be killed, no task could be seen: {host.error}"
        )
    if left:
        subject.fail(
            seen=f"a host process ran one task, and was killed (SIGKILL); its task {left}",
            required="the worker processes of a host end with it, however it ends",
            cause="a worker in a session of its own, as `start_new_session` makes it, outlives its "
            "host, and nobody tells it: have it watch a pipe that its host holds open, whose "
            "end the kernel tells, or ask for a signal (prctl with PR_SET_PDEATHSIG on Linux)",
            reproduce=_REPRODUCE_KILLED,
        )


_REPRODUCE_KEPT = """
    import asyncio, gc, weakref
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(given, fails):
        print("printed by a task")
        if fails:
            raise ValueError
        return given

    async def run(n, fails):
        given = {{n}}
        seen = await host_for(executor).execute(
            executor, task, [given, fails], dispatch_id=f"kept-{{n}}"
        )
        result = seen.result if isinstance(seen.result, set) else set()
        return weakref.ref(given), weakref.ref(result)

    async def main():
        refs = [await run(n, {fails}) for n in range(6)]
        gc.collect()
        for given, result in refs:
            print("the argument is", given(), "the result is", result())

    asyncio.run(main())
"""

#: So many tasks of a kind are enough for a suspicion, and so many one after the other decide.
_SUSPICION, _TRIAL = 4, 6

_KEPT_BY = {
    ARGUMENT: "the task, its error with the frames of its traceback, or a record of what was sent "
    "is kept in a dictionary by its id, in a list, or in the cache of `functools.lru_cache`",
    RESULT: "outcomes are kept by their id, in a list of what was done, or in a cache",
    OUTPUT: "what was printed is kept in a list or a buffer that all tasks share",
}


@check("HYG-06", working=False)
def test_HYG_06_should_keep_nothing_of_a_finished_task_alive(subject: Subject) -> None:
    judge_unbroken(subject, _decide_by_what_is_kept)


def _decide_by_what_is_kept(subject: Subject) -> None:
    seen = aftermath(subject)
    # What one thread or worker holds until its next task is no growth.
    for kind, what in settled(lambda: seen.keepsakes.kept(_SUSPICION, seen.executor)):
        keepsakes = Keepsakes(prints=subject.preflight().captures_streams)
        ending = endings(subject, seen.executor, keepsakes).get(kind)
        if ending is None:
            continue

        async def story(ending: Ending = ending) -> None:
            for _ in range(_TRIAL):
                await ending()
            for _ in range(TURNS):
                await asyncio.sleep(0)

        # Who listens to logs, as pytest does, keeps what is logged with its traceback.
        disabled = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            with subject.following(seen.executor):
                subject.drive(story)
        finally:
            logging.disable(disabled)
        if (kind, what) not in settled(lambda kept=keepsakes: kept.kept(_TRIAL, seen.executor)):  # type: ignore[misc]
            continue
        subject.fail(
            seen=f"of {_TRIAL} tasks, each of which {kind}, one after the other, the {what} of "
            f"{_TRIAL - 1} or all were still alive when all had ended and Python had collected "
            "what nobody refers to",
            required="when execute is over, nothing but its caller refers to the arguments, the "
            "result and the output of its task; those of the last one may stay",
            cause=_KEPT_BY[what],
            reproduce=_REPRODUCE_KEPT.format(fails=kind in (FAILS, RETRIED)),
        )
