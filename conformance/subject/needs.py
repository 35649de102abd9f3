"""Whether a rule can be judged at all: what it needs of the subject, and what is in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from ...contract.rule import Rule
from ..instruments.probes import echo
from ..instruments.seen import Seen, finish
from .blame import explain
from .exceptions import CouldNotRun, NotApplicable, RuleViolation
from .preflight import Preflight
from .subject import Subject
from .supervising import supervise

#: Seconds for an ordinary task that decides nothing but whether others are tried at all.
_PATIENCE_WHERE_IN_DOUBT = 30.0

#: So many calls that never end are enough.
_HANGS = 4


#: What one trivial task has shown of an executor, by the need that was met so.
_SHOWN: Final = {
    "streams": "what it printed to stdout and to stderr was returned",
    "shared-files": "the suite found the file that it wrote, and it found the suite's",
}
_REPRODUCE: Final = """
    import asyncio, os, sys, tempfile
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(file):
        print("to stdout")
        print("to stderr", file=sys.stderr)
        with open(file, "a"):
            pass

    file = os.path.join(tempfile.mkdtemp(), "made by a task")
    print(executor.cannot)
    print(asyncio.run(host_for(executor).execute(executor, task, [file])))
    print(os.path.exists(file))
"""


def _visible(facts: Preflight) -> set[str]:
    """What the first task of all has shown that the executor can."""
    shown = {"streams": facts.captures_streams, "shared-files": facts.shared_files}
    return {need for need, is_shown in shown.items() if is_shown}


def require(subject: Subject, rule: Rule, *, working: bool = True) -> None:
    """See that the subject has what the rule needs.

    Args:
        subject: who is judged.
        rule: by which.
        working: see that ordinary tasks still work, too.

    Raises:
        RuleViolation, NotApplicable, CouldNotRun: the rule is decided by that alone.
    """
    facts, driving = subject.preflight(), subject.driving
    if facts.build_error and rule.id != "CON-01":
        raise CouldNotRun("blocked: no executor could be built, see CON-01")
    if rule.id in facts.convicts:
        subject.fail(
            seen=f"building one executor and running one trivial task on it: "
            f"{facts.convicts[rule.id]}",
            required="the host goes on as before, and the call ends",
            cause="the line named above",
        )
    if "run" in rule.needs and facts.run_error:
        raise CouldNotRun(f"no task runs: {facts.run_error}")
    if "run" in rule.needs and driving.hangs >= _HANGS:
        raise CouldNotRun(f"not tried any more: calls never ended, see {driving.hung_in}")
    for need in rule.needs:
        if need in facts.cannot & _visible(facts):
            subject.fail(
                seen=f"the executor declares that it cannot: {need}; and yet, of one trivial "
                f"task, {_SHOWN[need]}",
                required="`cannot` names nothing that the executor can: what is declared there is "
                "not judged, and hosts do without it",
                cause="a declaration that was copied with the class, or was true once",
                reproduce=_REPRODUCE,
            )
    lacking = absent(facts, rule.needs)
    if lacking:
        raise NotApplicable(next(iter(lacking.values())), lacking)
    if "run" in rule.needs and working:
        clear_doubts(subject)


def absent(facts: Preflight, needs: Iterable[str]) -> dict[str, str]:
    """Those of some needs that the subject honestly lacks, each with the reason in words."""
    lacking = {}
    for need in needs:
        if need in facts.declared_absent:
            lacking[need] = f"the executor declares that it cannot: {need}"
        elif need in _WITHOUT and need not in facts.needs:
            lacking[need] = _WITHOUT[need].format(place=facts.place)
    return lacking


#: Why a rule is not applicable to an executor that was found to be without what it needs. Whoever
#: lacks another need has to declare it.
_WITHOUT = {
    "cancel": "the executor has no cancel of its own",
    "setup": "the executor has no setup",
    "teardown": "the executor has no teardown",
    "settings": "the constructor takes neither time_limit nor retries",
    "awaited-execute": "execute is synchronous: nothing awaits it that could be cancelled",
    "awaited-writes": "write_streams_to_file is a plain function: hosts call it on a thread, where "
    "it may block as it likes",
    "shared-files": "its tasks neither see the suite's files nor can connect to the suite",
    "worker-process": "tasks run in the host's own process: none has a worker to itself",
    "local-process": "tasks run in {place}: there is no worker process here",
}


def believe(subject: Subject) -> None:
    """Make sure that what a check has found is no consequence of tasks that were cut short before.

    Looked at only where a rule seems broken: a task more for each of those checks would cost every
    right executor a wait.

    Raises:
        CouldNotRun: not even an ordinary task works any more.
    """
    if subject.interrupted:
        subject.doubts = subject.doubts or subject.interrupted
        subject.interrupted = ""
        clear_doubts(subject)


def clear_doubts(subject: Subject) -> None:
    """Make sure that an ordinary task works on a fresh executor, where that is in doubt.

    A backend that all instances share, a pool or a client, may have been broken by what an
    earlier check did; no other rule is broken by that.

    Raises:
        CouldNotRun: it does not.
    """
    if subject.blocked:
        raise CouldNotRun(subject.blocked)
    if not subject.doubts:
        return
    blocked = f"blocked: since {subject.doubts} was judged, not even an ordinary task completes"

    async def story(executor: Any) -> Seen | None:
        executing = asyncio.ensure_future(subject.execute(executor, echo, ("ordinary",)))
        seen = await finish(executing, _PATIENCE_WHERE_IN_DOUBT)
        executing.cancel()
        return seen

    def ordinary(subject: Subject) -> None:
        try:
            executor = subject.build()
        except BaseException as error:
            why = f"no executor could be built: {explain(error)}"
            raise CouldNotRun(f"{blocked}: {why}") from error
        seen = subject.drive(lambda: story(executor))
        if seen is None:
            subject.blocked = f"{blocked}: it had not ended after {_PATIENCE_WHERE_IN_DOUBT:g} s"
            raise CouldNotRun(subject.blocked)
        if not seen.completed or seen.result != "ordinary":
            raise CouldNotRun(f"{blocked}: {seen}")

    try:
        supervise(subject, ordinary)
    except RuleViolation:
        subject.blocked = f"{blocked}: it never ended"
        raise CouldNotRun(subject.blocked) from None
    subject.doubts = ""
