"""Cancels a coroutine at one of the points at which it can be cancelled, counted from its start.

A point is every moment at which the event loop regains control from the coroutine: it was
suspended itself, or a task that it has started was suspended, or such a task has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import os
import sys
import traceback
from collections.abc import Callable, Collection, Coroutine, Iterator
from contextvars import ContextVar
from typing import Any

from . import patience
from .brackets import brackets
from .effects import of_library
from .history import METHODS, History, Method, Replacement

#: Seconds for which a cancelled coroutine may still go on: a guard.
PATIENCE = 60.0

_walking: ContextVar[Walk | None] = ContextVar("asyncexec_walking", default=None)


class Walk:
    """One run of a coroutine that is cancelled at its `point`-th point, if it comes that far.

    Args:
        point: from 0, which is before its first step.
        late: cancel not at the point itself, but after all that was ready then has been run.
        history: what is recorded meanwhile.
        dispatch_id: of the task, where others are recorded at the same time.
        times: how often it is cancelled: once more at each point that it comes to after that.
        at_once: cancel it all these times at its point.
    """

    def __init__(
        self,
        point: int,
        *,
        late: bool,
        history: History,
        dispatch_id: str | None = None,
        times: int = 1,
        at_once: bool = False,
    ) -> None:
        self.point = point
        self._left = times - 1
        self._at_once = at_once
        self.late = late
        self.dispatch_id = dispatch_id
        self._history = history
        self._first = len(history.events)
        self.passed = 0
        #: Where the coroutine stood when it was cancelled, in words.
        self.where = ""
        #: Whether the cancellation came before the coroutine had ended.
        self.delivered = False
        #: Whether the coroutine may have had what it waited for when the cancellation came.
        self.in_a_race = late
        self.before = self.after = History()
        self.executing: asyncio.Task[Any] | None = None
        self.tasks: list[asyncio.Task[Any]] = []
        self.left_behind: list[str] = []

    def __str__(self) -> str:
        when = "before its first step" if self.point == 0 else f"at its suspension {self.point}"
        return f"cancelled {when}{f', {self.where}' if self.where else ''}"

    async def walk(self, start: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Run `start()` in a task, and cancel that; returns when all it started has ended."""
        with counting():
            token = _walking.set(self)
            try:
                self.executing = asyncio.ensure_future(start())
            finally:
                _walking.reset(token)
            if self.point == 0:
                self._cancel()
            await asyncio.wait({self.executing}, timeout=PATIENCE)
            if not self.executing.done():
                self.after = self._recorded()
            # Whoever was just cancelled needs a turn of the loop to end.
            rest = {task for task in self.tasks if not task.done()} - {self.executing}
            if rest:
                _, rest = await asyncio.wait(rest, timeout=patience.LEFTOVERS)
        self.left_behind = sorted(_line(task.get_coro()) for task in rest)
        for task in rest | {self.executing}:
            task.cancel()

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Take a task into account that was started in the course of the walk."""
        self.tasks.append(task)

    def step(self, coroutine: Any, *, ended: bool) -> None:
        """Be told that a coroutine of the walk has given control back to the loop."""
        if ended and self.executing is not None and self.executing.get_coro() is coroutine:
            self.after = self._recorded()
            return
        if self.executing is None:
            return
        if self.delivered:
            if self._left > 0:
                self._left -= 1
                self.executing.cancel()
            return
        self.passed += 1
        if self.passed != self.point:
            return
        self.where = "as a task that it had started ended" if ended else f"at {_line(coroutine)}"
        waits = any(_loses_it(task.get_coro()) for task in self.tasks if not task.done())
        self.in_a_race = self.late or ended or waits
        if self.late:
            asyncio.get_running_loop().call_soon(self._cancel)
        else:
            self._cancel()

    def _cancel(self) -> None:
        assert self.executing is not None
        self.before = self._recorded()
        self.delivered = self.executing.cancel()
        while self._at_once and self._left:
            self._left -= 1
            self.executing.cancel()

    def _recorded(self) -> History:
        if self.dispatch_id is not None:
            return self._history.of(self.dispatch_id)
        return History(self._history.events[self._first :])

    @property
    def is_over(self) -> bool:
        """Whether the coroutine has ended."""
        return self.executing is not None and self.executing.done()

    @property
    def swallowed(self) -> bool:
        """Whether the coroutine was cancelled, and ended as if nobody had.

        Where it already had what it waited for, older versions of `asyncio.wait_for` lose the
        cancellation. That is nobody's fault, as long as nothing more is begun.
        """
        assert self.executing is not None
        if not self.delivered or self.executing.cancelled():
            return False
        begun = [event.method for event in self.after.events[len(self.before.events) :]
                 if event.step == "begins"]  # fmt: skip
        return not self.in_a_race or "setup" in begun or "run" in begun


class _Stepped(Coroutine[Any, Any, Any]):
    """A coroutine that tells of each of its steps."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], walk: Walk) -> None:
        self._coroutine = coroutine
        self._walk = walk

    def send(self, value: Any) -> Any:
        return self._step(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self._coroutine.throw, *error)

    def _step(self, step: Callable[..., Any], *args: Any) -> Any:
        try:
            awaited = step(*args)
        except BaseException:
            self._walk.step(self, ended=True)
            raise
        self._walk.step(self, ended=False)
        return awaited

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Any:
        return self._coroutine.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)


@contextlib.contextmanager
def counting() -> Iterator[None]:
    """Within this block, tasks that are started in the course of a walk belong to it.

    Walks that go on at the same time need one such block around all of them.
    """
    loop = asyncio.get_running_loop()
    former = loop.get_task_factory()
    if getattr(former, "counts", False):
        yield
        return

    def make(loop: asyncio.AbstractEventLoop, coroutine: Any, **named: Any) -> Any:
        context = named.get("context")
        walk = _walking.get() if context is None else context.get(_walking)
        if walk is not None and asyncio.iscoroutine(coroutine):
            coroutine = _Stepped(coroutine, walk)
        task = (
            asyncio.Task(coroutine, loop=loop, **named)
            if former is None
            else former(loop, coroutine, **named)
        )
        if walk is not None and isinstance(task, asyncio.Task):
            walk.adopt(task)
        return task

    make.counts = True  # type: ignore[attr-defined]
    loop.set_task_factory(make)
    try:
        yield
    finally:
        loop.set_task_factory(former)


def pausing(executor: Any) -> dict[Method, Replacement]:
    """Methods that do nothing but wait, for `recorded`; the first attempt fails.

    So a cancellation meets the moments between two attempts as well.
    """
    attempts = itertools.count(1)
    has = methods_of(executor)

    def replaced(method: Method) -> Replacement:
        def instead(*_args: Any, **_kwargs: Any) -> Any:
            number = next(attempts) if method == "run" else 0
            if number == 1:
                raise ValueError("the first attempt fails on purpose")

        async def waiting(*_args: Any, **_kwargs: Any) -> Any:
            await asyncio.sleep(0)
            await _a_turn()
            instead()
            await asyncio.sleep(0)

        return waiting if method in coroutine_methods(executor, has) else instead

    return {method: replaced(method) for method in has}


def stopping_slowly(executor: Any) -> dict[Method, Replacement]:
    """Methods that wait, and that take their time to stop what they did when they are cancelled.

    However often they are cancelled meanwhile: so does who waits until the work is dead.
    """
    has = methods_of(executor)

    async def waiting(*_args: Any, **_kwargs: Any) -> Any:
        cancelled, turns = False, 3
        while turns:
            try:
                await _a_turn()
            except asyncio.CancelledError:
                cancelled = True
                continue
            turns -= 1
        if cancelled:
            raise asyncio.CancelledError

    def instead(*_args: Any, **_kwargs: Any) -> Any:
        return None

    awaited = coroutine_methods(executor, has)
    return {method: waiting if method in awaited else instead for method in has}


async def _a_turn() -> None:
    """Wait for something that the event loop brings."""
    loop = asyncio.get_running_loop()
    turn = loop.create_future()

    def bring() -> None:
        if not turn.done():
            turn.set_result(None)

    loop.call_soon(bring)
    await turn


def _loses_it(coroutine: Any) -> bool:
    """Whether a suspended coroutine stands in a `wait_for` that may lose a cancellation."""
    if sys.version_info >= (3, 12):
        return False
    while coroutine is not None:
        if getattr(coroutine, "cr_code", None) is asyncio.wait_for.__code__:
            return True
        coroutine = getattr(coroutine, "cr_await", None)
    return False


def _line(coroutine: Any) -> str:
    """The innermost line of the executor's at which a suspended coroutine stands, if there is."""
    name = getattr(coroutine, "__qualname__", repr(coroutine))
    innermost = own = None
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None:
            innermost = frame
            own = own if of_library(frame.f_code.co_filename) else frame
        coroutine = getattr(coroutine, "cr_await", None)
    frame = own or innermost
    if frame is None:
        return name
    entry = traceback.extract_stack(frame, limit=1)[-1]
    return f'{os.path.basename(entry.filename)}:{entry.lineno}, in {entry.name}: "{entry.line}"'


def spread(points: int, wanted: int) -> list[int]:
    """At most `wanted` of the numbers from 0 to `points`, evenly spread, both ends included."""
    if points < wanted:
        return list(range(points + 1))
    if wanted < 2:
        return [points // 2][:wanted]
    return sorted({round(index * points / (wanted - 1)) for index in range(wanted)})


def unbalanced(history: History, has: Collection[Method], awaited: Collection[Method]) -> str:
    """What was begun and not torn down exactly once, or was still going on; or nothing.

    `has` are the methods that exist, `awaited` those of them that are coroutine functions: what a
    thread does cannot be cut short, and may go on.
    """
    ended = {event.call for event in history.events if event.step != "begins"}
    for event in history.events:
        if event.step == "begins" and event.method in awaited and event.call not in ended:
            return f"{event.method} was still going on when execute had ended"
    found = brackets(history)
    for number, bracket in enumerate(found, 1):
        where = f" in bracket {number} of {len(found)}" if len(found) > 1 else ""
        begun = [method for method in METHODS[:2] if bracket.events[method]]
        torn_down = bracket.events["teardown"]
        if begun and "teardown" in has and len(torn_down) != 1:
            return f"{begun[0]} was begun{where}, and teardown awaited {len(torn_down)} times"
        if begun and torn_down and torn_down[0].call not in ended:
            return f"teardown was begun{where} and not awaited: execute ended before it"
    return ""


def methods_of(executor: Any) -> set[Method]:
    """Which of the three methods the executor has where their calls are recorded, on its class."""
    own = getattr(executor, "__dict__", {})
    return {
        method
        for method in METHODS
        if callable(getattr(executor, method, None))
        and getattr(type(executor), method, None) is not None
        and method not in own
    }


def coroutine_methods(executor: Any, has: Collection[Method]) -> set[Method]:
    """Which of the methods are coroutine functions."""
    return {m for m in has if inspect.iscoroutinefunction(getattr(type(executor), m, None))}
