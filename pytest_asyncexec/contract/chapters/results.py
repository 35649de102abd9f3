"""RES: results, errors, output of tasks."""

from __future__ import annotations

from ..rule import Chapter

CHAPTER = Chapter(
    "RES",
    "results, errors, output of tasks",
    source='documentation of run: "the result of the function execution"',
)

RULES = (
    CHAPTER.rule(
        ("RES-01", "MUST", "core", "run"),
        "Arguments, keyword arguments and results arrive unchanged, for any picklable values.",
        why="""A workflow passes the result of one task into the next. A value that changes its
        type on the way (a tuple to a list, an int key to a string) is a wrong result without an
        error.""",
        how="""Tasks of the plan are given and return values of more than thirty kinds: falsy ones,
        one list twice, text with white space around it, classes of `__main__`. Others, all at
        once, give back one special value each, and lists of values drawn by hypothesis. Types
        are compared at every depth, NaN and negative zero too, and the order of keywords.""",
        source='documentation of run: "output: The result of the function execution"',
    ),
    CHAPTER.rule(
        ("RES-02", "MUST", "core", "run"),
        "Lambdas, closures and functions of `__main__` run (cloudpickle).",
        why="""Users write tasks in scripts and notebooks. Plain pickle carries such a function
        by its name, which no worker can import.""",
        how="""A lambda, closures and functions of a `__main__` that no worker has are run as
        they are, at once, and must return what they return here.""",
    ),
    CHAPTER.rule(
        ("RES-03", "MUST", "core", "run"),
        "A payload of 8 MiB each way arrives unchanged.",
        why="""Buffers, argument lists and one single `recv` have limits far below a small data
        frame. Such an executor works in its tutorial, and fails with the first real array.""",
        how="""Tasks of the plan are given 1 MiB of text and 17 MiB of random bytes, and return as
        much; they compare what they are given, and the suite what they return.""",
    ),
    CHAPTER.rule(
        ("RES-04", "MUST", "core", "run"),
        """A task that raises is never COMPLETED: its error is raised, or the status is FAILED;
        its message is found in the error, its notes or stderr.""",
        why="""A failed task reported as COMPLETED is the worst there is: the next one works
        with a missing result, and a workflow ends green and wrong.""",
        how="""Every task of the plan that is to fail must raise or say FAILED, and every line of
        its message be found: of short ones, of many lines, of 100,000 characters, in the last
        attempt of several. Messages hold words, and tasks have ids, that were never used before.
        So must the message of an error that `run` raises after writing the same words to its
        stderr.""",
        source="""decision of the contract: TaskRuntimeError becomes the status FAILED, any
        other error is raised""",
    ),
    CHAPTER.rule(
        ("RES-05", "SHOULD", "core", "run"),
        "The task's traceback, with the failing line, is found in the error or in stderr.",
        why="""Far from the task, `KeyError: 3` alone is a riddle. The traceback exists on the
        worker; not to send it back makes every user add prints and run for hours again.""",
        how="""Tasks of the plan fail in a known line; its text, or its number beside the names of
        the file and of the function, must be found in what the caller is told.""",
    ),
    CHAPTER.rule(
        ("RES-06", "MUST", "core", "run streams"),
        """What a task prints is returned as `stdout`/`stderr`, whole and to the right task, and
        not printed by the host.""",
        why="""With a task far away its output is all that a user has. Covalent's base class
        keeps the streams on `self`, so that the output of one task is shown as that of another.""",
        how="""Tasks of the plan print to both streams, or to one: no line end, line ends of every
        kind, controls, a line of 200 KB, a megabyte of three-byte characters, 17 MB. Each stream
        must come back whole, with what each attempt printed, without the words of the other or
        of another task, and the host's own streams must hold none of it.""",
        source='documented attribute log_stdout: "the file to be used for redirecting stdout"',
    ),
    CHAPTER.rule(
        ("RES-07", "MUST", "core", "run"),
        "Arguments the host holds are not changed by a task.",
        why="""In this process a task can sort the caller's own list; far away it sorts a copy.
        A workflow that was developed with one executor then gives other results with the next.""",
        how="""Every task of the plan changes lists, dictionaries, sets and bytearrays, nested ones
        too, in its arguments; the objects of the host are compared afterwards.""",
        source="decision of the contract: near and far behave alike",
    ),
    CHAPTER.rule(
        ("RES-08", "MUST", "resilient", "run"),
        "`SystemExit` in a task is a failed task; the host goes on.",
        why="""`sys.exit()` is how scripts end, and users paste them into tasks. In an executor
        of this process it ends the host, and with it the tasks of everybody else.""",
        how="""Tasks call `sys.exit()` with several codes, and under many other conditions. Each
        must be a failure that `except Exception` catches, nothing may leave the host's event loop,
        and the next task must complete. What is wrong among others is tried again alone, and in a
        fresh process where the backend is broken.""",
        source="decision of the contract: any error of a task is a failed task",
    ),
    CHAPTER.rule(
        ("RES-09", "MUST", "resilient", "run worker-process"),
        """A worker that dies (`os._exit`) is a failed task within bounded time, and the next
        task works.""",
        why="""Workers are killed: by the kernel when memory is short, by a cluster that wants
        the node back. A broken pool that hangs, or fails every task after that, needs a person
        to restart the host.""",
        how="""Tasks end their worker by `os._exit` with the codes 3 and 0 and, except in the
        quick profile, by SIGKILL, and under many other conditions; each must be told as a failure,
        and the next task must complete. Where tasks run in the host's own process, the rule is
        not applicable.""",
    ),
    CHAPTER.rule(
        ("RES-10", "MUST", "resilient", "run"),
        """A result, function or argument that cannot be serialised is a failed task with a
        clear message, never a hang, and the next task works.""",
        why="""Open files, locks and generators are returned every day. Some pools lose such a
        result without a word and wait for it for ever.""",
        how="""Arguments, functions and results that cannot be serialised are tried in turn. Each
        must be a failure that names the type or speaks of serialisation, or complete where
        nothing is serialised, and the next task must complete.""",
    ),
    CHAPTER.rule(
        ("RES-11", "MUST", "core", "run"),
        """Keyword arguments named `function`, `args`, `kwargs`, `self`, `timeout` or
        `task_metadata` reach the task.""",
        why="""Wrappers between host and task have parameters of their own: `def call(function,
        args, timeout=None)`. A user's keyword of that name is eaten, or ends in "multiple
        values for argument".""",
        how="""Tasks of the plan are given keyword arguments of nine such names, and of some forty
        that functions of well-known libraries have; they compare what they are given.""",
    ),
    CHAPTER.rule(
        ("RES-12", "MUST", "resilient", "run"),
        """An odd exception (a class that cannot be unpickled, made inside the task, an
        `ExceptionGroup`, chained, with notes) is a failure that names type and message, and the
        next task works.""",
        why="""Exceptions of real libraries demand arguments, hold connections, come in groups.
        One that cannot be rebuilt in the host breaks the whole pool in some executors, and
        hides the reason in most.""",
        how="""Tasks raise exceptions that cannot be unpickled or exist in the task only, groups,
        chains and notes; the type, and the message where it can be had, must be found in the
        error, its notes or stderr, and the next task must complete.""",
        presupposes="RES-04",
    ),
    CHAPTER.rule(
        ("RES-13", "SHOULD", "hardened", "run streams"),
        """Output is captured at file-descriptor level: `os.write`, child processes and C code
        too; what a killed task had printed is kept.""",
        why="""Compilers, MPI and everything that a task starts write to the file descriptor and
        not to `sys.stdout`. Their words are what explains most failures on a cluster.""",
        how="""Tasks of the plan write with `os.write`, by a child process and by C's `puts`; each
        word must come back, and the result as well. What a task had flushed before its worker
        died or its limit stopped it must be in its outcome or its logs.""",
    ),
    CHAPTER.rule(
        ("RES-14", "MUST", "core", "run"),
        """Every `execute` runs its task: equal tasks one after the other or at once are each
        run.""",
        why="""A task that reads a file, draws a sample or sends a mail is not the same the second
        time. Who keeps results by function and arguments gives yesterday's answer, without a word;
        Dask's `Client.submit` does so unless it is told `pure=False`.""",
        how="""A function that returns something else each time it runs is executed four times
        on one instance, with equal arguments: twice at once, and then twice more, the last time
        under ids that were used before. The results must all differ.""",
        source="documentation of execute: it runs the function",
        since="1.1",
        presupposes="CNC-01 CNC-02",
    ),
    CHAPTER.rule(
        ("RES-15", "MUST", "resilient", "run"),
        """What a task, its children or C code writes to descriptors 1 and 2 never changes its
        result, or another task's outcome.""",
        why="""Workers that answer on their standard output are the easiest to write. One `echo`
        of a compiler, or a warning of a C library, then destroys a result of hours, and an
        unlucky line is taken for one.""",
        how="""Tasks write to both descriptors: bytes that are no text, pickles and lines that look
        like answers, a megabyte, by `os.write`, by a child process, by C's `puts` and from a thread
        that goes on. Each must return its own result, and the next task on its instance must
        work; what is wrong among others is tried again alone.""",
        source="decision of the contract: a function behaves as in a script",
        since="1.1",
    ),
    CHAPTER.rule(
        ("RES-16", "MUST", "resilient", "run"),
        """The outcome does not wait for a child process or daemon thread that the task left
        behind, though it holds the task's output open.""",
        why="""A task that starts a server, a viewer or an `ssh` that stays leaves something that
        holds its output. Who reads a pipe to its end waits as long as that lives, with the result
        at hand.""",
        how="""Tasks leave a child process, one in a session of its own and a daemon thread, which
        go on until the suite lets them go. It does so when no outcome has come for as long as no
        right executor needs: an outcome that comes only then has waited for what was left. Decided
        by that order, and again by the task alone.""",
        source="decision of the contract: a function behaves as in a script",
        since="1.1",
    ),
    CHAPTER.rule(
        ("RES-17", "SHOULD", "hardened", "run worker-process"),
        """A task may use `asyncio.run` and `multiprocessing`, by each start method the platform
        has; its children import what it imports.""",
        why="""Data loaders of machine learning start processes; a daemonic worker may not. And
        where the folder of the worker's own script comes first on the import path of its children,
        a module beside it is found in place of the library of that name.""",
        how="""Tasks call `asyncio.run`, and start a process by each start method, in which the
        modules of the task, and all that lie beside the script of its worker, must be found
        where the task finds them. The child must not run the task once more.""",
        source="""decision of the contract: a task that was started by a worker may start others by
        any start method""",
        since="1.1",
    ),
    CHAPTER.rule(
        ("RES-18", "SHOULD", "hardened", "run worker-process"),
        "A task that reads its standard input finds its end at once.",
        why="""A forgotten `input()`, or a tool that asks whether to overwrite a file, waits for
        ever where nobody can answer; or it reads, and so destroys, what the host has to say to its
        worker.""",
        how="""A task looks whether descriptor 0 can be read, reads it, calls `sys.stdin.read()`
        and `input()`, and says itself what has not ended.""",
        source="""decision of the contract: a task that was started by a worker finds its standard
        input at its end""",
        since="1.1",
    ),
    CHAPTER.rule(
        ("RES-19", "MUST", "resilient", "run"),
        """An exception that plumbing uses is a failure that names type and message (see
        decisions), and the next task works.""",
        why="""`StopIteration` never leaves a thread in Python 3.11, `GeneratorExit` looks like a
        coroutine that is thrown away, a `CancelledError` like a host that has lost interest. Of
        published executors several hang, or lose the reason without a word.""",
        how="""Tasks raise `CancelledError`, `GeneratorExit`, `StopIteration`,
        `StopAsyncIteration`, `KeyboardInterrupt` and a `BaseException` of their own, with a retry
        left. Type and message must be found in the error, its notes or stderr; it is attempted
        again and `teardown` is awaited as after any other error; nothing may leave the host's event
        loop, and the next task must complete. For a CancelledError the status CANCELLED will do,
        with the message.""",
        source="""decision of the contract: an exception that plumbing uses, raised by the task's
        own code, is a failed attempt as any other""",
        since="1.1",
        presupposes="RES-04",
    ),
)
