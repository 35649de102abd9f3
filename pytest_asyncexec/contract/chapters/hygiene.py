"""HYG: what is left behind."""

from __future__ import annotations

from ..rule import Chapter

CHAPTER = Chapter("HYG", "what is left behind", source="hosts run for weeks")

RULES = (
    CHAPTER.rule(
        ("HYG-01", "MUST", "hardened", "run"),
        "No asyncio task is left running after `execute`.",
        why="""A poller that is left running asks the cluster for a job that is over, for ever;
        asyncio destroys it with a warning that nobody can place.""",
        how="""After some of each ending, all at once two tasks succeed, two fail, two are
        cancelled, two are stopped by their limit and two end their process; then it is looked which
        asyncio tasks they have made that still run, and where there are any, again for each ending
        by itself. Where both have left one, three more run one after the other; where every one of
        these leaves some, that is a leak. What the first alone leaves may be a client. Where a task
        that ended its process has broken the backend for all others, the rules of this chapter are
        judged without such tasks, in a fresh process.""",
    ),
    CHAPTER.rule(
        ("HYG-02", "MUST", "hardened", "run"),
        "Threads, child processes and file descriptors do not grow with the number of tasks.",
        why="""One descriptor or thread for each task is nothing in a test and the end of a host
        after a week: "Too many open files". A published SSH plugin leaves its connection open
        after each task that failed.""",
        how="""On an event loop that lives, after tasks of every ending, what the process holds is
        compared before and after two more of each, all at once: that succeed, fail, fail twice with
        retries=1 (not in quick), have an argument that cannot be pickled, are cancelled, are
        stopped by their limit, end their process. Where it grew, it is compared for each ending by
        itself; where it grew again, twelve more of that ending run, two in each step; what comes
        with each step and stays is the leak.""",
    ),
    CHAPTER.rule(
        ("HYG-03", "MUST", "hardened", "run"),
        "The host's working directory, environment and `sys.stdout`/`sys.stderr` are as before.",
        why="""A `chdir` for one task moves the relative paths of all others, and an environment
        variable set for one user is read by the next one's task.""",
        how="""Working directory, environment, both streams, umask, handlers of signals, import
        path, random generator, warning filters, handlers of the root logger, and the time limit of
        sockets are compared when each of two tasks of every ending, all at once, has just ended,
        and after all of them, two of which are the first to begin and to end; where any has
        changed, again for each ending by itself; and once more in the main thread of a fresh
        process. To draw from the random generator is no change, to set it anew is one.""",
    ),
    CHAPTER.rule(
        ("HYG-04", "SHOULD", "hardened", "run"),
        """No file of a finished task, failed ones included, stays in `cache_dir` or the
        temporary directory.""",
        why="""Pickled functions and results pile up until the disk is full, or somebody reads
        them. A published SSH plugin cleans up only after tasks that did not fail on the way.""",
        how="""`cache_dir`, the folder for temporary files and every other folder that an attribute
        names are listed before and after two tasks at once of each ending. Where else temporary
        files go, as in /tmp and /var/tmp, it is looked for what is new and has the id of a
        task, or what the task was given, in its name or its content. Where something is new, three
        more tasks run one after the other; where both the second and the third leave something,
        that is a finding.""",
    ),
    CHAPTER.rule(
        ("HYG-05", "SHOULD", "hardened", "run local-process"),
        "When the host process is killed, its worker processes on this machine end.",
        why="""A host that runs out of memory is killed without a word. Its workers compute on for
        days for nobody, on the machine on which the next host is started, and write over its
        files.""",
        how="""A host process of its own, in a session of its own, runs one task, which reports to
        the suite, and is killed with SIGKILL. The task's line has to be closed, as by its death;
        where it still answers long afterwards, that is a finding, and it is told to end
        itself.""",
        source="hosts are killed, and run out of memory",
        since="1.1",
    ),
    CHAPTER.rule(
        ("HYG-06", "SHOULD", "hardened", "run"),
        "Arguments, results and output of a finished task are not kept alive.",
        why="""A host hands over arrays of a gigabyte, and lives for weeks. Results in a dictionary
        that nobody empties, or errors with all the frames of their tracebacks, end it by the tenth
        of them, and nobody finds the reason in a graph of its memory.""",
        how="""The tasks of HYG-01, of every ending, are given arguments and return results of which
        only weak references are kept, and what they print has a mark. After a collection it is
        looked what is alive, of texts by a walk through all that refers to any. Where it is that of
        all tasks of a kind but one, six more run one after the other, and five of these decide: one
        that was the last may be kept.""",
        source="hosts run for weeks",
        since="1.1",
    ),
)
