"""CAN, where the host insists: what becomes of a task that is cancelled again and again."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from itertools import product
from typing import Any, Final, NamedTuple

from .check import check
from .instruments.history import Method, Replacement
from .instruments.probes import echo
from .instruments.sweep import PATIENCE, Walk, pausing, spread, stopping_slowly
from .scenarios.stopping import cancellable, ending_of, with_a_retry
from .subject.subject import Subject


class _Methods(NamedTuple):
    """What setup, run and teardown do instead of what is their own."""

    made: Callable[[Any], dict[Method, Replacement]]
    words: str


_METHODS: Final = (
    _Methods(pausing, "methods that end as soon as they are cancelled"),
    _Methods(stopping_slowly, "methods that take their time to stop"),
)

#: How often each walk is cancelled in all.
_TIMES: Final = (2, 3, 6)

_REPRODUCE: Final = """
    import asyncio
    from pytest_asyncexec.conformance.instruments.history import recorded
    from pytest_asyncexec.conformance.instruments.sweep import Walk, METHODS
    from pytest_asyncexec.conformance.subject.host import host_for

    async def main():
        executor.retries = 1
        with recorded(type(executor), **METHODS(executor)) as history:
            walk = Walk(POINT, late=False, history=history, times=TIMES)
            await walk.walk(lambda: host_for(executor).execute(executor, len, ["abc"]))
        print(walk, walk.executing, walk.after, sep="\\n")

    asyncio.run(main())
"""


@check("CAN-11")
def test_CAN_11_must_end_in_cancelled_error_however_often_it_is_cancelled(subject: Subject) -> None:
    cancellable(subject)
    executor = with_a_retry(subject)
    with warnings.catch_warnings():
        # Of what is cancelled before its first step Python says that it was never awaited.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        for methods in _METHODS:
            passed = _walk(subject, executor, methods, -1, 1).passed
            wanted = subject.pick(quick=30, default=100, thorough=1000)
            for point in spread(passed, wanted):
                for times, at_once in product(_TIMES, (False, True)):
                    _judge(subject, executor, methods, point, times, at_once=at_once)


def _walk(
    subject: Subject,
    executor: Any,
    methods: _Methods,
    point: int,
    times: int,
    *,
    at_once: bool = False,
) -> Walk:
    async def story() -> Walk:
        with subject.recording(executor, **methods.made(executor)) as history:
            walk = Walk(point, late=False, history=history, times=times, at_once=at_once)
            await walk.walk(lambda: subject.execute(executor, echo, ("value",)))
        return walk

    return subject.drive(story)


def _judge(
    subject: Subject,
    executor: Any,
    methods: _Methods,
    point: int,
    times: int,
    *,
    at_once: bool,
) -> None:
    walk = _walk(subject, executor, methods, point, times, at_once=at_once)
    wrong = _wrong_with(walk)
    if not wrong:
        return
    # Who lets one cancellation go is told so by another rule.
    once = _wrong_with(_walk(subject, executor, methods, point, 1))
    subject.fail(
        seen=f"{walk}, {times} times {'at once' if at_once else 'in all, at each one after that'}, "
        f"with {methods.words}: {wrong}",
        required="CancelledError out of execute, as after the first cancellation",
        cause="what is awaited after a cancellation, a teardown or the end of the work, may be "
        "cancelled itself: an `except` there takes that for a failure of its own, or for done",
        history=walk.after,
        reproduce=_REPRODUCE.replace("POINT", str(point))
        .replace("TIMES", f"{times}, at_once={at_once}")
        .replace("METHODS", methods.made.__name__),
        because="CAN-01" if once and not subject.keeps("CAN-01") else "",
    )


def _wrong_with(walk: Walk) -> str:
    if not walk.is_over:
        return f"execute still went on {PATIENCE:g} s later"
    assert walk.executing is not None
    if not walk.swallowed:
        return ""
    if isinstance(walk.executing.exception(), asyncio.CancelledError):
        return ""
    return f"{ending_of(walk.executing)}"
