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
)
