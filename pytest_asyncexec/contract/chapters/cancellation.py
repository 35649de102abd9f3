"""CAN: cancellation."""

from __future__ import annotations

from ..rule import Chapter

CHAPTER = Chapter(
    "CAN", "cancellation", source="documentation of cancel; asyncio's rules of cancellation"
)

RULES = (
    CHAPTER.rule(
        ("CAN-01", "MUST", "resilient", "run awaited-execute"),
        """Cancelling the asyncio task that awaits `execute` ends in `CancelledError`, never
        swallowed, with `teardown` awaited.""",
        why="""A host that shuts down cancels its tasks and awaits them. Swallowed, the shutdown
        hangs; without `teardown` everything that was started stays.""",
        how="""The asyncio task around `execute` is cancelled while an attempt is held; it has
        to end cancelled, and the history has to hold a `teardown`.""",
        source="asyncio's documentation: CancelledError is propagated when clean-up is complete",
    ),
    CHAPTER.rule(
        ("CAN-02", "MUST", "resilient", "run stop awaited-execute"),
        "The work has really stopped.",
        why="""Cancelled in the user interface and computing on in the cluster is the most
        expensive kind of success: nobody looks at a cancelled job.""",
        how="""Cancelled tasks of the plan are held in a call, or spin and ignore SIGTERM; when
        `execute` is over, the task's end of its line to the suite, a connection or a locked file in
        a shared folder, must be closed, as the kernel does when it dies. Where there is neither, a
        file that the task appends to must not grow any more.""",
        source="documentation of cancel; as with a time-out: told only once the work is dead",
    ),
    CHAPTER.rule(
        ("CAN-03", "MUST", "resilient", "run"),
        "`TaskCancelledError` from `run` gives status CANCELLED, and `teardown` runs.",
        why="""A job that somebody cancelled in the cluster's own tools is neither failed nor
        complete. Told as a failure, it is tried again or wakes somebody up.""",
        how="""`run` is replaced by one that raises `TaskCancelledError`; the status must be
        CANCELLED, and `teardown` in the history.""",
        source="decision of the contract: TaskCancelledError becomes the status CANCELLED",
    ),
    CHAPTER.rule(
        ("CAN-04", "MUST", "resilient", "run cancel"),
        "`cancel()` returns a bool; True only where the task will not run on.",
        why="""A host frees the slot on True. A published Dask plugin returns True whatever
        became of the job, and the user is told that it has stopped.""",
        how="""A held task is cancelled without a handle, and with the one that the host was
        given; one whose attempt has just failed by itself, where tasks run outside of the host's
        process, likewise. The answer must be a bool; after True the task must be dead, not
        attempted again, and `execute` over.""",
        source='documentation of cancel: "False by default"',
    ),
    CHAPTER.rule(
        ("CAN-05", "MUST", "hardened", "run awaited-execute"),
        """Cancelled at any suspension point of `execute`, each in turn: `setup` not begun or
        `teardown` awaited exactly once, and nothing leaks.""",
        why="""Cancellations come when they like: between `setup` and the `try`, in the middle
        of writing a log. The gap of one line leaks a machine once a month, and nobody can
        reproduce it.""",
        how="""`execute` is cancelled before its first step and at each of its suspension points
        in turn (evenly spread ones, where the profile tries fewer): with methods that only wait
        and a first attempt that fails, and with the executor's own methods and a real task. After
        each, brackets and asyncio tasks are counted, and no attempt of a cancelled task may
        outlive a later task.""",
        source="asyncio's documentation: CancelledError is propagated when clean-up is complete",
    ),
    CHAPTER.rule(
        ("CAN-06", "SHOULD", "hardened", "run teardown awaited-execute"),
        "A second cancellation during `teardown` does not cut it short.",
        why="""Users press the button twice, and hosts cancel again on shutdown. Clean-up that
        is cut short half-way leaves the half that costs.""",
        how="""`execute` is cancelled while it runs, and again while its `teardown` is held; the
        history must show that the `teardown` came to its end.""",
        source="asyncio's documentation: CancelledError is propagated when clean-up is complete",
    ),
    CHAPTER.rule(
        ("CAN-07", "MUST", "resilient", "run setup awaited-execute"),
        "Cancelled during `setup`: `run` is never called, `teardown` is.",
        why="""A `setup` that waits for a machine is what gets cancelled most. The machine comes
        all the same: nobody uses it, and without `teardown` nobody gives it back.""",
        how="""`setup` is held and cancelled; the history must show no `run` and a `teardown`
        that came to its end, and `execute` must end in `CancelledError`.""",
        source="decision of the contract: what a half-made setup acquired must not leak",
    ),
    CHAPTER.rule(
        ("CAN-08", "MUST", "resilient", "run cancel stop"),
        """While a task runs, its host knows a job handle with which `cancel` ends it; also another
        instance of the class, rehydrated from `to_dict`, in the same process.""",
        why="""Between the dispatch and the cancel button lies a database: the host that cancels has
        the handle and a description of the executor, and no more. Told of the job when that is
        over, or able to cancel by the very instance alone, it watches the bill grow.""",
        how="""A task is held; what `set_job_handle` was told by then is given, after a round trip
        through JSON, to `cancel` of another instance, which was made by `from_dict` of what
        `to_dict` of the first one said. It must return True, the task must be dead, and its outcome
        another than COMPLETED.""",
        source="documentation of set_job_handle and cancel: the job is found by its handle",
        since="1.1",
    ),
    CHAPTER.rule(
        ("CAN-09", "MUST", "resilient", "run cancel stop"),
        "`cancel` ends the one task that its handle names, and no other.",
        why="""A job id taken from the wrong place, and somebody else's calculation of two weeks is
        gone. Nobody looks for the reason in a task that was cancelled as it should be.""",
        how="""Five tasks are held, on two instances, two of them in one dispatch. One that is
        neither the first nor the last is cancelled by its handle; and `cancel` is called without a
        handle, with one that nobody knows, and with that of the task that is over by then, when the
        last of them has begun after it. All others must still answer, and end with their own
        results.""",
        source="documentation of cancel: it cancels the task of the handle",
        since="1.1",
        presupposes="CAN-08",
    ),
    CHAPTER.rule(
        ("CAN-10", "SHOULD", "resilient", "run"),
        """`get_cancel_requested` gives the host's answer; asked for before the work began, the work
        never begins, and the status is CANCELLED.""",
        why="""A workflow is cancelled while half of its tasks wait for their turn. Those which do
        not ask begin one after the other, for nobody, and each has to be killed.""",
        how="""The host's answer changes while a method in the place of `run` asks for it, and each
        time must be what is returned. A task is executed whose host wants it to stop from the
        beginning: `run` may not be called, and the status must be CANCELLED.""",
        source="documentation of get_cancel_requested",
        since="1.1",
    ),
    CHAPTER.rule(
        ("CAN-11", "MUST", "resilient", "run awaited-execute"),
        "However often `execute` is cancelled, it ends in `CancelledError`.",
        why="""Users press the button three times, and a shutdown cancels what was cancelled before.
        A clean-up that answers the second cancellation with an error of its own, or with an
        outcome, tells a host that is about to leave that there is something left to do.""",
        how="""`execute` is cancelled at each of its suspension points in turn, two, three and six
        times: at once, or again at each point that it comes to after that; with methods that end as
        soon as they are cancelled, and with methods that take their time to stop. Each time it must
        end in CancelledError.""",
        source="asyncio's documentation: CancelledError is propagated when clean-up is complete",
        since="1.1",
    ),
)
