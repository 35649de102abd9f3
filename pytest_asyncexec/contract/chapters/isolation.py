"""ISO: one task and the next."""

from __future__ import annotations

from ..rule import Chapter

CHAPTER = Chapter(
    "ISO",
    "one task and the next",
    source="decision of the contract: a function behaves as in a script",
)

RULES = (
    CHAPTER.rule(
        ("ISO-01", "MUST", "resilient", "run worker-process"),
        """A task finds nothing of an earlier one's environment variables, working directory, umask,
        import path or replaced streams.""",
        why="""A task sets a variable to a password, and the next one on the same worker, of another
        user perhaps, prints its environment. A relative path leads elsewhere because somebody has
        changed the directory; and nobody can say why it worked yesterday.""",
        how="""Tasks change all of that, each thing to something that no worker has by itself.
        They, and the tasks that come next, on their instances and on others, must find no such
        mark.""",
        since="1.1",
    ),
    CHAPTER.rule(
        ("ISO-02", "SHOULD", "hardened", "run worker-process"),
        """Nor its signal handlers, signal mask, timers, resource limits, locale, time zone, context
        variables, decimal context, warning filters and log handlers.""",
        why="""Numbers are rounded to the precision of an earlier task, dates are those of another
        time zone, a timer that nobody knows of kills the worker, and each line of a log stands
        there as often as tasks have set up logging.""",
        how="""As for ISO-01; what the platform does not have, or no thread but the main one may
        change, is left out.""",
        since="1.1",
        presupposes="ISO-01",
    ),
    CHAPTER.rule(
        ("ISO-03", "MUST", "resilient", "run worker-process streams"),
        """What is written late on behalf of a task (at exit, by a finalizer, from a kept stream)
        belongs to that task or to nobody.""",
        why="""Progress bars and profilers print when their process ends, and threads when they
        like. In the log of another task that is a lie, and may be what its reader must not see.""",
        how="""Tasks leave words for the end of their interpreter, for when an object is freed, and
        with a daemon thread, which writes to what it has kept while the next tasks run. Those free
        what can be freed, and half of them leave what a worker may be ended for. The words must be
        in no other task's outcome.""",
        since="1.1",
        presupposes="CNC-01 CNC-02",
    ),
    CHAPTER.rule(
        ("ISO-04", "SHOULD", "hardened", "run worker-process"),
        "Two tasks do not draw the same random numbers.",
        why="""Samples that are drawn by copies of one process are copies of one sample: a
        simulation of a thousand tasks has the information of one, and nothing shows it. NumPy's
        generator is not seeded anew in a fork; and what one task has seeded the next one draws
        from.""",
        how="""Equal tasks at once and one after the other draw numbers of `random`, and of NumPy
        where their worker has it loaded; so do the tasks that come next, after one that has
        seeded both. No number may come twice.""",
        since="1.1",
        presupposes="RES-14",
    ),
    CHAPTER.rule(
        ("ISO-05", "SHOULD", "hardened", "run local-process"),
        "A task does not inherit signals that its host ignores or blocks.",
        why="""A host that was started by `nohup`, or that waits for its signals in a thread,
        ignores or blocks some. Its children inherit that: their timers never ring, and what
        they start themselves cannot be stopped by a polite signal.""",
        how="""In a process of its own, where SIGHUP, SIGQUIT and SIGUSR1 are ignored and SIGUSR2
        and SIGWINCH are blocked before an executor is built, a task tells which of them it ignores
        or blocks.""",
        since="1.1",
    ),
)
