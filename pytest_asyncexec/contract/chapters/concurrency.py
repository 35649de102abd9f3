"""CNC: concurrency."""

from __future__ import annotations

from ..rule import Chapter

CHAPTER = Chapter("CNC", "concurrency", source="hosts share executor instances between tasks")

RULES = (
    CHAPTER.rule(
        ("CNC-01", "MUST", "resilient", "run"),
        "Tasks at once on one instance never mix results, output, metadata or errors.",
        why="""A host gives one instance to all nodes of a workflow. A published Slurm plugin
        keeps the names of a task's files on `self`: of two tasks at once, one removes the files
        of the other.""",
        how="""The tasks of the plan run at once, 64 at the most; what one of them shows and does
        not show when it runs alone is blamed on the others. Where they are mixed, all that deviate
        run again one after the other, 600 at the most, so that other rules are judged by what is
        left; for what was not tried again they could not run. Then four, two of which fail and two
        of which run functions that look alike, are held until all have begun, where the executor
        does not queue them, and end in the opposite order; result, error, output and metadata of
        each must be its own.""",
        source="""decision of the contract: one instance runs many tasks at once; per-task state
        never lives on `self`""",
    ),
    CHAPTER.rule(
        ("CNC-02", "MUST", "resilient", "run"),
        "Likewise on several instances of the class.",
        why="""Two configurations of one class are two users, or two clusters. What is kept on
        the class or in the module is shared by both.""",
        how="""As for CNC-01, by the tasks of the plan with an instance of their own, and by four
        more.""",
        source="""decision of the contract: one instance runs many tasks at once; per-task state
        never lives on `self`""",
    ),
    CHAPTER.rule(
        ("CNC-03", "MUST", "resilient", "run"),
        "`setup`, `run`, `teardown` never block the host's event loop.",
        why="""One blocking `connect` in a `setup` stops every task of the host, its heartbeat
        and its web pages. A published SSH plugin pickles and writes its files on the loop.""",
        how="""Tasks succeed, fail in each of three attempts, are cancelled, are stopped by
        `cancel`, and get an argument of 4 MiB. Meanwhile the well-known blocking calls (sleeping,
        waiting for a process, a connection, another thread) depend on a turn of the event loop; on
        its own thread that is a deadlock, and the verdict. So is a name that is looked up there, a
        file that 1 MiB is written to, and 0.25 s of processor time of that thread before the loop's
        next turn.""",
        source="asyncio's documentation: blocking code should not be called directly",
    ),
    CHAPTER.rule(
        ("CNC-04", "MUST", "resilient", "run"),
        "A second event loop in the same process works after the first is closed.",
        why="""Tests, notebooks and command lines call `asyncio.run` again and again. A client
        kept in the module, as in a published Dask plugin, belongs to the first loop and fails
        in the second.""",
        how="""Three tasks at once run on a fresh event loop, which is closed, and three more on a
        second one, on the same instance. Where the first loop fails already, a fresh process does
        the same.""",
    ),
    CHAPTER.rule(
        ("CNC-05", "MUST", "hardened", "run"),
        """For any interleaving of succeeding, failing, timed-out and cancelled tasks on two
        instances (a stateful hypothesis machine against a model), every outcome is the model's.""",
        why="""Single checks show single mistakes. What hosts meet are the pairs: a time-out on
        one instance while another task of it is cancelled.""",
        presupposes="CNC-01 CNC-02",
        how="""A stateful hypothesis machine starts, fails, times out and cancels tasks on two
        instances, of which one has a time limit, in any order; outcomes and histories are compared
        with those of a model that shares no code with any executor.""",
        source="""decision of the contract: one instance runs many tasks at once; per-task state
        never lives on `self`""",
    ),
    CHAPTER.rule(
        ("CNC-06", "MUST", "resilient", "run"),
        """However many tasks are begun at once (64, thorough 1,000), each ends with its own
        outcome, and who came first does not wait for ever for later ones.""",
        why="""A list of a thousand inputs is a thousand tasks in one moment. What holds for a dozen
        breaks by the fifteenth: a bounded queue that drops what is too much, slots with numbers
        that come again, a pool in which each waits for what another one has. A line that serves
        the last one first never serves the first while others come.""",
        how="""64 tasks are begun at once on one instance, and those that run are held; how many
        these are is the executor's affair. When one fails, another one has to begin, and so it has
        when one is cancelled. Most of those that wait are cancelled (see CNC-08); then, for as long
        as the oldest of the others waits, a task is added and one that runs is let go: 64 may begin
        before it. All that were not cancelled end with their own result. In thorough 1,000 small
        ones run at once, too.""",
        source="decision of the contract: one instance runs many tasks at once",
        since="1.1",
    ),
    CHAPTER.rule(
        ("CNC-07", "MUST", "resilient", "run"),
        "The end of one task, a worker's death included, changes no other task's outcome.",
        why="""A pool of `concurrent.futures` that loses a worker fails all that it had under way. A
        TaskGroup that all tasks share cancels the others when one fails. Of a hundred results one
        is lost by its own fault, and ninety-nine with it.""",
        presupposes="RES-09",
        how="""Two tasks on one instance, one of them in the dispatch of those that end, and one on
        another instance are held while their neighbours end one after the other: by an error, by
        sys.exit, cancelled by the host, and by the death of the worker. Each that was held has to
        come to its own result; that it was run again for that is no finding. What is seen
        among tasks that go wrong on other instances counts where it is seen by itself, too. Who
        runs one task after the other has no neighbours, and passes.""",
        source="decision of the contract: one instance runs many tasks at once",
        since="1.1",
    ),
    CHAPTER.rule(
        ("CNC-08", "MUST", "hardened", "run"),
        """A task that is cancelled or fails while it waits takes no place with it and gives none
        back that it never had.""",
        why="""Users cancel what waits, for it is what they have no patience with. A place less each
        time, and in the end all tasks wait for ever; a place more, and the machine runs out of
        memory.""",
        presupposes="CNC-06",
        how="""Of 64 tasks at once on one instance those that run are held, and counted. All that
        wait but two are cancelled, and some among them cannot be sent. When one that runs is let
        go, one that waits has to begin; then all are let go, and as many as before have to run at
        once again. Where more do, it is counted on a fresh instance whether these are too many.
        Whoever runs all of them at once lets none wait, and passes.""",
        source="decision of the contract: queues exist, and an executor that queues is right",
        since="1.1",
    ),
    CHAPTER.rule(
        ("CNC-09", "SHOULD", "resilient", "run"),
        "Two event loops in two threads use the class at the same time.",
        why="""A web server has a loop in each of its threads, a notebook runs one beside its own.
        What the class keeps for all, a lock or a client, belongs to one of the loops; the other one
        gets "attached to a different event loop", or waits for ever.""",
        presupposes="CNC-04",
        how="""On two event loops in two threads, each with an instance of its own, three tasks are
        begun at the same time and held until all have begun, where the executor does not queue
        them; those of one loop end first. Each has to come to its own result.""",
        source="decision of the contract: an executor may be used wherever a loop runs",
        since="1.1",
    ),
)
