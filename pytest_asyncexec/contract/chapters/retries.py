"""RET: retries."""

from __future__ import annotations

from ..rule import Chapter

CHAPTER = Chapter(
    "RET", "retries", source='documented attribute retries: "times to retry execution upon failure"'
)

RULES = (
    CHAPTER.rule(
        ("RET-01", "MUST", "resilient", "run"),
        "`retries=0`: exactly one attempt.",
        why="""Tasks that book, send or pay must not happen twice because something thought it
        knew better.""",
        how="""At each attempt a failing task reports to the suite, by a connection or in a shared
        folder; with `retries=0` there must be one report.""",
    ),
    CHAPTER.rule(
        ("RET-02", "MUST", "resilient", "run"),
        """For every `n` and every `k <= n`, a task that fails `k` times first returns its
        result after exactly `k + 1` attempts.""",
        why="""Covalent stores `retries` and never reads it: the user who set 3 because the
        network is bad gets one attempt. An attempt too many is paid for as well.""",
        how="""For several numbers of retries and of failures, up to five (in the quick profile,
        one failure with two retries), attempts are counted by their reports to the suite, which
        tells each whether to fail.""",
    ),
    CHAPTER.rule(
        ("RET-03", "MUST", "resilient", "run"),
        """A task that always fails is attempted exactly `retries + 1` times and the last error
        is the one seen.""",
        why="""A task that can never succeed must end, and what the user repairs is what went
        wrong at last; the error of the first attempt is often another one.""",
        how="""A task fails at every attempt, with a message of its own each time; the attempts
        are counted, and the last message must be found, and not hidden behind the error of an
        earlier one.""",
    ),
    CHAPTER.rule(
        ("RET-04", "MUST", "resilient", "run"),
        "Each attempt gets the original arguments, whatever the one before did to them.",
        why="""A task that pops from its list gets an emptier one at the second attempt: it
        succeeds, with a wrong result.""",
        how="""Each attempt reports the arguments that it got, and has altered them at every depth
        before it fails; all reports must be the original.""",
        source="decision of the contract: every attempt sees the caller's original values",
    ),
    CHAPTER.rule(
        ("RET-05", "MUST", "resilient", "run"),
        "A cancelled task is not attempted again.",
        why="""Whoever cancels wants it to stop. A retry loop that takes the cancellation for
        one more failure starts the job again.""",
        how="""With three retries left, `run` raises `TaskCancelledError`, and then the host
        cancels an attempt that is held; no further attempt may begin.""",
        source="decision of the contract: a cancellation is never retried",
    ),
    CHAPTER.rule(
        ("RET-06", "MUST", "resilient", "run stop"),
        "A timed-out attempt is retried as any failed one.",
        why="""A hanging connection is the very failure for which one retries, and it shows as a
        time-out.""",
        how="""Every attempt but the last is held until its limit ends it, and the last returns;
        its result must be the outcome, and no attempt may still answer when the next has
        begun.""",
        source="decision of the contract: a time-out is a failure and is retried",
    ),
    CHAPTER.rule(
        ("RET-07", "SHOULD", "resilient", "run streams"),
        "The output of every attempt is kept, in order.",
        why="""Why the first attempt failed is only in its output. Overwritten by the second,
        the reason for a failure that comes and goes is never found.""",
        how="""Each of three attempts prints a line to each stream; both returned streams must
        hold all three, in order.""",
    ),
    CHAPTER.rule(
        ("RET-08", "MUST", "resilient", "run"),
        "`retries` and `time_limit` on the instance are what they were after any task.",
        why="""Counting down on `self.retries` is a mistake that lasts: the instance is shared,
        and the next task has no retries left.""",
        how="""On one instance tasks succeed after a failure, succeed, fail for good, are over
        their limit, and are cancelled by their host in a second attempt; both attributes are
        compared after each. The quick profile leaves out the second and the third.""",
    ),
    CHAPTER.rule(
        ("RET-09", "MUST", "resilient", "run"),
        """Retries are not enforced twice: attempts seen by the worker and calls of `run` both
        stay at `retries + 1`.""",
        why="""A backend that retries, under a template that retries: 3 become 16 attempts, each
        of them paid for.""",
        how="""A task always fails. Its attempts are counted twice, by their reports to the suite
        and by the calls of `run`; neither may go over `retries + 1`.""",
        source="decision of the contract: who leaves retries to a backend says so in `enforces`",
    ),
)
