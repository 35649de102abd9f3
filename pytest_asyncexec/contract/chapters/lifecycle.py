"""LIF: lifecycle."""

from __future__ import annotations

from ..rule import Chapter

CHAPTER = Chapter("LIF", "lifecycle", source="documentation of setup, run and teardown")

RULES = (
    CHAPTER.rule(
        ("LIF-01", "MUST", "core", "run"),
        "Every attempt happens after `setup` and before `teardown` of its bracket.",
        why="""`setup` starts the machine and `teardown` gives it back. An attempt outside of
        the two finds no machine, or one that is being taken away.""",
        how="""`setup`, `run` and `teardown` are recorded with their beginnings and ends, for a
        task that succeeds and one that fails, with a retry where one can be set; the history must
        match `(setup run+ teardown)+`.""",
    ),
    CHAPTER.rule(
        ("LIF-02", "MUST", "core", "run"),
        "In a bracket `setup` and `teardown` are awaited exactly once.",
        why="""A second `setup` starts a second machine, for which nobody has the name any more;
        a `teardown` that is begun and not awaited leaves the first one running.""",
        how="""In the recorded history, where both methods take a little longer than they would,
        each bracket has to hold one `setup` and one `teardown`, run to their ends.""",
    ),
    CHAPTER.rule(
        ("LIF-03", "MUST", "core", "run teardown"),
        "`teardown` is awaited when `run` raised.",
        why="""A task that fails is when clean-up matters: users run it again at once, and each
        time one more machine, container or lock file stays behind.""",
        how="""`run` is replaced by one that raises, five kinds of error one after the other,
        among them those that become a status; each history must hold a `teardown`.""",
        source='documentation of teardown: "executor specific cleanup/teardown actions"',
    ),
    CHAPTER.rule(
        ("LIF-04", "MUST", "core", "run setup"),
        """When `setup` raises, `run` is not called, `teardown` is, and the caller sees the
        setup error.""",
        why="""A `setup` that fails half-way has already acquired something, and only `teardown`
        can give it back. Running the task all the same hides why it then fails.""",
        how="""The executor's own `setup` runs and then raises: `run` must not follow, `teardown`
        must, and the message of the error must reach the caller, who may not be told
        COMPLETED; also where `teardown` raises, too.""",
        source="decision of the contract: what a half-made setup acquired must not leak",
    ),
    CHAPTER.rule(
        ("LIF-05", "MUST", "core", "run teardown"),
        "An error in `teardown` neither hides the error of `run` nor loses its result.",
        why="""In Covalent's base class an error in `teardown` leaves the `finally` and takes
        the place of whatever went before: hours of work, or the reason for a failure, are gone
        for a temporary file that could not be removed.""",
        how="""`teardown` raises after its work, once after a `run` that returned and once after
        one that raised; result and error must both reach the caller.""",
        source="decision of the contract: hours of work must not vanish",
    ),
    CHAPTER.rule(
        ("LIF-06", "MUST", "core", "run"),
        "`setup`, `run`, `teardown` get equal `task_metadata` with the documented keys.",
        why="""The three methods find what belongs to one task by this dictionary: the folder
        that `setup` made is the one that `run` fills and `teardown` removes.""",
        how="""The dictionaries with which the three methods are called are recorded, and
        compared with what `execute` was given; further keys are welcome.""",
        source='documentation of run: "Current keys are `dispatch_id` and `node_id`"',
    ),
    CHAPTER.rule(
        ("LIF-07", "SHOULD", "core", "run"),
        "What one of them changes in `task_metadata` is not seen by the next.",
        why="""One shared dictionary is a back channel: a `setup` that changes `node_id` sends
        `run` to another folder. Plugins that pass notes in it break with the first host that
        hands out copies.""",
        how="""`setup` and `run` each add a key to the dictionary that they are given; it may not
        be there when a later method is called.""",
    ),
    CHAPTER.rule(
        ("LIF-08", "MUST", "core", "run"),
        "The same instance runs a second task, after success and after failure.",
        why="""Hosts keep one instance per configuration for all of its tasks. Something closed
        or left over by the first one, a client or a flag, spoils everything after it.""",
        how="""On one instance a task follows a successful one, and another a failed one; both
        must complete with their own results.""",
    ),
    CHAPTER.rule(
        ("LIF-09", "MUST", "core", "run"),
        "`execute` on a fresh executor needs no further initialisation.",
        why="""A host knows `execute` and nothing else. What an extra `connect()` has to prepare
        is missing wherever an executor is made from its dictionary.""",
        how="`execute` is the first call on each of two new instances, and must complete.",
    ),
    CHAPTER.rule(
        ("LIF-10", "SHOULD", "core", "run teardown"),
        "A teardown error is visible: raised, attached as a note, or in the returned `stderr`.",
        why="""An error of `teardown` means that something is still there, and somebody pays for
        it. Only logged, or dropped, nobody looks.""",
        how="""`teardown` raises after its work; its message must be found in the error, its
        notes, or the returned `stderr`, after a success and after a failure.""",
        source="decision of the contract: a machine left running must not go unseen",
    ),
    CHAPTER.rule(
        ("LIF-11", "SHOULD", "core", "run teardown"),
        """`teardown` copes with any beginning: after a failed or missing `setup`, a `run` that
        never started, and when called twice.""",
        why="""`teardown` runs when something has gone wrong, and then half of what it wants to
        free was never made. A published Slurm plugin asks for files that only a submitted job
        has, and leaves its connection open when there are none.""",
        how="""`teardown` is called after a `setup` that raised at its beginning or at its end,
        without a `setup`, after a `run` that did nothing, and twice; it must never raise.""",
    ),
)
