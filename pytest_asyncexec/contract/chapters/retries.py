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
        how="""Every task of the plan reports to the suite at each attempt, by a connection or in a
        shared folder. Those without retries, which return, raise errors of many kinds or go on past
        their limit, must report once.""",
    ),
    CHAPTER.rule(
        ("RET-02", "MUST", "resilient", "run"),
        """For every `n` and every `k <= n`, a task that fails `k` times first returns its
        result after exactly `k + 1` attempts.""",
        why="""Covalent stores `retries` and never reads it: the user who set 3 because the
        network is bad gets one attempt. An attempt too many is paid for as well.""",
        how="""Tasks of the plan fail up to two times first, by errors of several kinds, with up to
        two retries and in company of every other condition; their attempts are counted by their
        reports to the suite. One fails eleven times, with twelve retries: where `execute` calls a
        `run` that fails as often as it has to, that is enough (but for the thorough profile);
        elsewhere a real task does.""",
    ),
    CHAPTER.rule(
        ("RET-03", "MUST", "resilient", "run"),
        """A task that always fails is attempted exactly `retries + 1` times and the last error
        is the one seen.""",
        why="""A task that can never succeed must end, and what the user repairs is what went
        wrong at last; the error of the first attempt is often another one.""",
        how="""Tasks of the plan fail at every attempt, with a message of its own each time; the
        attempts are counted, and the last message must be found, and not hidden behind the error of
        an earlier one. So does one with eleven retries, as in RET-02.""",
        presupposes="RES-04",
    ),
    CHAPTER.rule(
        ("RET-04", "MUST", "resilient", "run"),
        "Each attempt gets the original arguments, whatever the one before did to them.",
        why="""A task that pops from its list gets an emptier one at the second attempt: it
        succeeds, with a wrong result.""",
        how="""Each attempt of a task of the plan compares what it was given with what was sent, and
        then alters it before it fails, so that the next attempt sees it; the host's own objects
        are compared afterwards.""",
        source="decision of the contract: every attempt sees the caller's original values",
    ),
    CHAPTER.rule(
        ("RET-05", "MUST", "resilient", "run"),
        "A cancelled task is not attempted again.",
        why="""Whoever cancels wants it to stop. A retry loop that takes the cancellation for
        one more failure starts the job again.""",
        how="""With three retries left, `run` raises `TaskCancelledError`; then the host cancels
        attempts that are held, the first of tasks of the plan and the second of one that has failed
        once, and a task of which an attempt has just failed; no further attempt may begin.""",
        source="decision of the contract: a cancellation is never retried",
    ),
    CHAPTER.rule(
        ("RET-06", "MUST", "resilient", "run stop"),
        "A timed-out attempt is retried as any failed one.",
        why="""A hanging connection is the very failure for which one retries, and it shows as a
        time-out.""",
        how="""Every attempt but the last is held until its limit ends it, and the last returns;
        its result must be the outcome, and no attempt may still answer when the next has
        begun. Of tasks of the plan all attempts are held: the last one has a limit, too.""",
        source="decision of the contract: a time-out is a failure and is retried",
    ),
    CHAPTER.rule(
        ("RET-07", "SHOULD", "resilient", "run streams"),
        "The output of every attempt is kept, in order.",
        why="""Why the first attempt failed is only in its output. Overwritten by the second,
        the reason for a failure that comes and goes is never found.""",
        how="""Tasks of the plan that fail first print at each attempt, in every way that the plan
        knows, and then the number of the attempt; both returned streams must hold all of it, in
        order.""",
    ),
    CHAPTER.rule(
        ("RET-08", "MUST", "resilient", "run"),
        "`retries` and `time_limit` on the instance are what they were after any task.",
        why="""Counting down on `self.retries` is a mistake that lasts: the instance is shared,
        and the next task has no retries left.""",
        how="""Both attributes of every instance are compared before and after the tasks of the
        plan that it has served: they succeed, also after failures, fail for good, are over their
        limit and are cancelled by their host. One more is cancelled in its second attempt.""",
    ),
    CHAPTER.rule(
        ("RET-09", "MUST", "resilient", "run"),
        """Retries are not enforced twice: attempts seen by the worker and calls of `run` both
        stay at `retries + 1`.""",
        why="""A backend that retries, under a template that retries: 3 become 16 attempts, each
        of them paid for.""",
        how="""The attempts of every task of the plan are counted twice, by their reports to the
        suite and by the calls of `run`: more reports than calls, and more than one call, are
        retries that were made in two places.""",
        source="decision of the contract: who leaves retries to a backend says so in `enforces`",
    ),
    CHAPTER.rule(
        ("RET-10", "MUST", "resilient", "run worker-process"),
        """The death of a worker is a failed attempt: attempted again with retries left, and never
        without, unless `at-most-once` is declared absent.""",
        why="""Where memory runs out, the kernel kills the worker. Run again unasked, what books
        or pays is paid twice; taken for final, a night's work ends by one machine's bad minute,
        though its user had set three retries.""",
        how="""Tasks of the plan report to the suite at each attempt, and then end their own
        process, with and without retries; the reports are counted. Where a backend is declared to
        run a task again whose worker is lost, more of them are right, and fewer are not.""",
        source="decision of the contract: a backend that runs a task again says so in `cannot`",
        since="1.1",
    ),
)
