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
        how="""Three tasks of each ending run: they succeed, fail, are cancelled or, except in the
        quick profile, are stopped by their limit; then the asyncio tasks of the loop are looked
        at. Where every one of the three leaves some, that is a leak; what the first alone leaves
        may be a client.""",
    ),
    CHAPTER.rule(
        ("HYG-02", "MUST", "hardened", "run"),
        "Threads, child processes and file descriptors do not grow with the number of tasks.",
        why="""One descriptor or thread for each task is nothing in a test and the end of a host
        after a week: "Too many open files". A published SSH plugin leaves its connection open
        after each task that failed.""",
        how="""After a warm-up, tasks that succeed, fail, are cancelled or, except in the quick
        profile, are stopped by their limit run, and what the process holds is compared. Where it
        grew, twelve more of one ending run, two in each step; what comes with each step and stays
        is the leak.""",
    ),
    CHAPTER.rule(
        ("HYG-03", "MUST", "hardened", "run"),
        "The host's working directory, environment and `sys.stdout`/`sys.stderr` are as before.",
        why="""A `chdir` for one task moves the relative paths of all others, and an environment
        variable set for one user is read by the next one's task.""",
        how="""Working directory, environment, both streams and functions of the standard library
        are compared after a task that succeeds, fails, is cancelled or, except in the quick
        profile, is stopped by its limit, and after two at once of which the first to begin is the
        first to end.""",
    ),
    CHAPTER.rule(
        ("HYG-04", "SHOULD", "hardened", "run"),
        """No file of a finished task, failed ones included, stays in `cache_dir` or the
        temporary directory.""",
        why="""Pickled functions and results pile up until the disk is full, or somebody reads
        them. A published SSH plugin cleans up only after tasks that did not fail on the way.""",
        how="""`cache_dir` and the folder for temporary files are listed after three tasks that
        succeed, fail, are cancelled or, in the thorough profile, are stopped by their limit;
        where both the second and the third leave something, that is a finding.""",
    ),
)
