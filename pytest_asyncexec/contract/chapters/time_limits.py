"""TIM: time limits."""

from __future__ import annotations

from ..rule import Chapter

CHAPTER = Chapter(
    "TIM", "time limits", source='documented attribute time_limit: "time limit for the task"'
)

RULES = (
    CHAPTER.rule(
        ("TIM-01", "MUST", "resilient", "run"),
        "With a negative limit a task may take as long as it likes.",
        why="""-1 is the documented default. `asyncio.timeout(-1)` fires at once, and a
        comparison with the time that has passed is true from the beginning: every task of every
        user who set nothing would fail.""",
        how="""A year goes by on a loop whose clock is virtual, where the methods are coroutine
        functions and wait for nothing else; real tasks are held for longer than their limit would
        last without its sign, and those of the plan run with -60. None may be stopped; a negative
        limit other than -1 may be refused.""",
    ),
    CHAPTER.rule(
        ("TIM-02", "MUST", "resilient", "run stop"),
        """A task over its limit is reported as timed out, by a TimeoutError or the status
        FAILED and never as COMPLETED, however long it would have gone on.""",
        why="""Covalent stores `time_limit` and never reads it. A user who limits a task to an
        hour, so as not to pay for the night, pays for the night; a documented setting that does
        nothing is worse than none.""",
        how="""Tasks are held by the suite, which alone could let them go: only the limit can end
        them. It is chosen by how long the very first task took, in whole seconds where others are
        refused; one that was over before the task had begun is doubled, and tried again. Where a
        virtual clock ends tasks, a limit of an hour must end one of two hours.""",
    ),
    CHAPTER.rule(
        ("TIM-03", "MUST", "resilient", "run stop shared-files"),
        "Its work has really stopped: it makes no progress after the outcome is known.",
        why="""A timed-out job that computes on blocks the licence, the GPU and the files that
        the retry is going to write. The user has been told that it is over.""",
        how="""Tasks that are held, spin, or ignore SIGTERM are ended by their limit, and then
        asked to answer over their line to the suite, a connection or files in a shared folder: a
        dead process cannot.""",
        source="decision of the contract: the time-out is reported only once the work is dead",
    ),
    CHAPTER.rule(
        ("TIM-04", "MUST", "resilient", "run stop"),
        "A task within its limit is untouched, result and output.",
        why="""A limit taken for milliseconds, or counted from the submission, stops tasks that
        were in time; one that stops capturing loses their output.""",
        how="""Tasks of the plan run with limits of an hour and of 30 days; their status, their
        result, their error and, where it is captured, their output are looked at. Where a clock can
        be virtual, a task of 54 minutes may not be stopped either.""",
    ),
    CHAPTER.rule(
        ("TIM-05", "MUST", "resilient", "run stop"),
        "`teardown` ran, and the instance runs the next task.",
        why="""After a time-out the machine is still there, and the client may be in the middle
        of a sentence. The next task gets both.""",
        how="""Held tasks are ended by their limits; each history must hold a `teardown` that came
        to its end before the outcome, and the next task on the same instance must complete.""",
    ),
    CHAPTER.rule(
        ("TIM-06", "MUST", "resilient", "run stop"),
        """A task that never yields (pure CPU, blocking sleep) is limited all the same, and the
        host's loop stays responsive meanwhile.""",
        why="""asyncio's own timeout cannot interrupt a task that computes or sleeps on the
        loop's thread: just the tasks for which limits are made are never stopped, and all
        others wait with them.""",
        how="""A task is led through its steps by the event loop, which has to answer while the
        limit is watched. Then one spins and one is in a blocking call, and each must end by its
        limit.""",
    ),
    CHAPTER.rule(
        ("TIM-07", "MUST", "resilient", "run stop"),
        "The limit counts each attempt anew, and neither `setup` nor `teardown`.",
        why="""A queue that is full for ten minutes, or a machine that starts slowly, is no
        fault of the task; and a second attempt with what the first has left of the limit is no
        second chance.""",
        how="""On a virtual clock `setup` and `teardown` take twice the limit, and three attempts
        nine tenths of it each. Elsewhere, in real time, `setup` and `teardown` take longer than
        the limit and so do three attempts together, of a third of it and more each; the limit is
        doubled while a single attempt takes too much of it. None may be stopped.""",
        source="decision of the contract: seconds, each attempt anew, `run` alone",
    ),
    CHAPTER.rule(
        ("TIM-08", "MUST", "resilient", "run"),
        "A `TimeoutError` that the task itself raises is passed on as that error.",
        why="""A task's own `TimeoutError` (a server did not answer) has another cure than the
        limit. Reported as the limit, it makes the user raise the limit.""",
        how="""Tasks of the plan, without a limit and with one of an hour, raise `TimeoutError` with
        a message; the caller must see that message, and no `TaskTimeoutError`.""",
        source="decision of the contract: a TimeoutError of the task's own is passed on as it is",
        presupposes="RES-04",
    ),
    CHAPTER.rule(
        ("TIM-09", "SHOULD", "hardened", "run stop local-process"),
        """The whole process group of a stopped task is gone, one that ignores SIGTERM and its
        children too.""",
        why="""Tasks start programs. SIGTERM to the worker alone leaves them running, without
        parent, on a machine that everybody believes to be free; some ignore SIGTERM.""",
        how="""The task ignores SIGTERM, and has a child that does so, too; the limit must end the
        task, and then both are asked to answer over their lines to the suite, connections or
        files in a shared folder, and neither may. Where tasks run in no other process of this
        machine, the rule is not applicable.""",
        source="decision of the contract: the time-out is reported only once the work is dead",
    ),
    CHAPTER.rule(
        ("TIM-10", "MUST", "resilient", "run stop"),
        """Time spent waiting in line counts for no limit: of many tasks at once, each within its
        limit, none times out.""",
        why="""On a busy evening half of the tasks wait for an hour, and are reported as too slow
        before they have begun. Whoever then raises the limit has none left where it is needed.""",
        how="""A dozen tasks without a limit are held, so that they fill whatever places there are;
        behind them on the same instance some more with a short limit are begun, which return as
        soon as they run. None of these may end in a time-out. One that does is tried again, with a
        limit twice as long each time, and then without a limit, and without anybody before it.""",
        source="decision of the contract: seconds of each attempt, `run` alone",
        since="1.1",
    ),
    CHAPTER.rule(
        ("TIM-11", "MUST", "core", "static"),
        """Who declares that it cannot stop a task refuses a positive `time_limit` before anything
        runs.""",
        why="""A limit that is taken and ignored is the worst outcome: whoever set it does not
        look again, and pays for the night.""",
        how="""Where `cannot` names `stop`, a positive limit is given to the constructor, set on an
        instance and rehydrated from a dictionary. There, or else by `execute`, it must be refused
        with an error that names `time_limit`; setup and run are replaced by methods that do
        nothing, and may not be called. Whoever can stop a task keeps this rule.""",
        source="decision of the contract: an executor that cannot stop a task refuses a limit",
        since="1.1",
    ),
)
