"""Tasks that a time limit ends, or must not end, all at once; and what became of each."""

from __future__ import annotations

import asyncio
import inspect
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ..subject.exceptions import CouldNotRun
from ..subject.kept import Kept
from ..subject.preflight import ANOTHER_PROCESS
from ..subject.subject import Subject
from .batch import short_limit, whole_seconds
from .limited import RUN_BY, Kind, Limited, Trial

#: How often the limit of a trial is doubled, while tasks start too slowly for it.
_DOUBLED: Final = 7
#: Likewise, where an attempt that is not made is taken for one that has not begun.
_DOUBLED_WITH_RETRIES: Final = 5

_OVER: Final[tuple[Kind, ...]] = ("held", "spinning", "deaf", "with a child", "retried")

_known: Final[Kept[dict[Kind, Limited | CouldNotRun]]] = Kept(lambda _: {})
_longer: weakref.WeakKeyDictionary[Subject, float] = weakref.WeakKeyDictionary()


def usual_limit(subject: Subject) -> float:
    """A limit under which tasks of the subject have begun, as far as that is known."""
    return max(short_limit(subject), _longer.get(subject, 0.0))


def last_limit(subject: Subject) -> float:
    """The longest limit that is tried."""
    return short_limit(subject) * 2.0**_DOUBLED


def keep_limit(subject: Subject, limit: float) -> None:
    """Remember the limit that tasks needed to begin."""
    _longer[subject] = max(limit, usual_limit(subject))


def limited(subject: Subject, kind: Kind) -> Limited:
    """What became of a task of one kind; with the first that is asked for, all others are run.

    A trial that says nothing, for its limit was over before the task had begun, is repeated: alone,
    for an executor may queue, and then with a limit twice as long. One that went wrong is repeated
    alone, too, so that it is judged by itself.

    Raises:
        CouldNotRun: no executor could be built for it.
    """
    known = _known.of(subject)
    if kind not in known:
        try:
            tried = _at_once(subject)
        except BaseException as error:
            # Whoever hung once is not asked the same again.
            hung = CouldNotRun(f"tasks under a limit did not come to an end: {error}")
            known |= dict.fromkeys(possible_kinds(subject), hung)
            raise
        known |= tried
    first = known[kind]
    if isinstance(first, CouldNotRun):
        raise first
    if not first.settled:
        known[kind] = first = _alone(subject, first)
    return first


def _at_once(subject: Subject) -> dict[Kind, Limited | CouldNotRun]:
    kinds, limit = possible_kinds(subject), usual_limit(subject)
    tried = _run(subject, kinds, limit)
    if limit % 1 and any(isinstance(f, Limited) and f.refused for f in tried.values()):
        tried |= _run(subject, kinds, whole_seconds(subject, limit))
    return tried


def _alone(subject: Subject, found: Limited) -> Limited:
    """The same trial with nothing beside it, and with a limit under which its task begins."""
    limit = found.limit if found.kind in _OVER else usual_limit(subject)
    doubled = _DOUBLED_WITH_RETRIES if found.kind == "retried" else _DOUBLED
    last = short_limit(subject) * 2.0**doubled
    while True:
        if found.refused and limit % 1:
            limit = whole_seconds(subject, limit)
        again = _run(subject, [found.kind], limit)[found.kind]
        if isinstance(again, CouldNotRun):
            raise again
        found = again
        if found.refused and limit % 1:
            continue
        if found.begun or limit >= last or found.kind not in _OVER:
            break
        limit *= 2
    if found.begun:
        keep_limit(subject, limit)
    return replace(found, settled=True)


def possible_kinds(subject: Subject) -> list[Kind]:
    """What the subject can be asked for."""
    facts = subject.preflight()
    kinds: list[Kind] = ["with a negative limit", "with a tiny negative limit"]
    # What happens on the event loop cannot happen while a task blocks it.
    if facts.blocks_loop_at:
        return kinds
    if subject.template_host or inspect.iscoroutinefunction(getattr(subject.cls, "execute", None)):
        kinds.append("cancelled in its second attempt")
    if "stop" in facts.cannot:
        return kinds
    kinds += ["led by the loop", "held", "spinning", "retried"]
    # It is the suite's own process that would ignore the signal.
    if facts.place != "this process":
        kinds.append("deaf")
    if facts.place == ANOTHER_PROCESS:
        kinds.append("with a child")
    return kinds


def _run(
    subject: Subject, kinds: Sequence[Kind], limit: float
) -> dict[Kind, Limited | CouldNotRun]:
    found: dict[Kind, Limited | CouldNotRun] = {}
    trials = []
    for kind in kinds:
        try:
            trials.append(Trial(subject, kind, limit))
        except CouldNotRun as error:
            found[kind] = error
    if not trials:
        return found
    with subject.recording(trials[0].executor) as history:
        for trial in trials:
            trial.history = history

        async def story() -> list[Limited]:
            return await asyncio.gather(*(RUN_BY[trial.kind](trial) for trial in trials))

        seen = subject.drive(
            story,
            longer=trials[0].patient,
            progress=lambda: [trial.steps for trial in trials],
        )
    alone = len(kinds) == 1
    for each in seen:
        settled = each.begun and (alone or each.is_right or each.is_wrong)
        found[each.kind] = replace(each, settled=settled)
    return found
