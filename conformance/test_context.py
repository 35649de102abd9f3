"""CTX: which dispatch is the active one, inside and outside of `get_dispatch_context`."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

from ..base.common import CommonExecutor
from ..contract.wording import short, short_error
from .check import check
from .instruments.strategies import for_all
from .subject.host import CovalentHost, DispatchWorld, dispatch_world, host_for
from .subject.subject import Subject

#: What a class without a base class has to do to be asked.
_WAY_OUT = (
    "`from pytest_asyncexec import dispatch_context`, and end the method in `return "
    "dispatch_context(dispatch_info)`, or have `with dispatch_context(dispatch_info):` around its "
    "`yield`"
)

_RAISED = "get_dispatch_context, or the context manager that it returned, raised"


def _told(
    subject: Subject, executor: Any, story: Callable[[DispatchWorld], Iterator[str]]
) -> str | None:
    """Play `story` on the event loop; the first wrong thing that it saw, or None.

    Dispatches are made active in an asyncio task of their own, which keeps those of most
    executors apart from the user's; one that keeps them elsewhere is left clean as well.
    """
    world = dispatch_world(executor)

    async def play() -> str | None:
        before = world.active()
        # Not by an exception: it would leave through the contexts that are being judged.
        seen: list[str] = []
        try:
            seen.extend(story(world))
        # A context manager may raise anything at all, and the event loop must outlive it.
        except BaseException as error:
            seen.append(f"{_RAISED} {short_error(error)}")
        finally:
            if world.active() != before:
                with (
                    contextlib.suppress(Exception),
                    executor.get_dispatch_context(world.info("the last one")),
                ):
                    pass
        return seen[0] if seen else None

    return subject.drive(play)


def _tracks_dispatches(subject: Subject, executor: Any) -> None:
    """End the check where nobody can ask which dispatch is active."""
    if not callable(getattr(executor, "get_dispatch_context", None)):
        subject.could_not_run("blocked: the executor has no get_dispatch_context, see CTX-01")
    if isinstance(executor, CommonExecutor) or isinstance(host_for(executor), CovalentHost):
        return

    def story(world: DispatchWorld) -> Iterator[str]:
        with executor.get_dispatch_context(world.info("dispatch")):
            if world.active() != world.info("dispatch"):
                yield "not active here"

    if _told(subject, executor, story) is not None:
        subject.could_not_run(
            "the executor has no base class of this package's or of Covalent's, and "
            "pytest_asyncexec.get_active_dispatch() does not show the dispatches that it makes "
            f"active: nobody knows whom to ask. The way out: {_WAY_OUT}"
        )


def _cause(seen: str, usual: str) -> str:
    """The usual cause of a wrong dispatch, or that of an error."""
    if seen.startswith(_RAISED):
        return "hosts hand over one argument, a DispatchInfo, and expect a context manager"
    return usual


def _reproduce(executor: Any, *lines: str) -> str:
    world = dispatch_world(executor)
    return "\n".join((world.imports, *lines)).replace("ACTIVE", world.asks)


@check("CTX-01")
def test_CTX_01_must_yield_the_dispatch_and_make_it_active(subject: Subject) -> None:
    executor = subject.build()
    if not callable(getattr(executor, "get_dispatch_context", None)):
        subject.fail(
            seen=f"{type(executor).__name__} has no method get_dispatch_context",
            required="get_dispatch_context(dispatch_info) returns a context manager",
            cause="the class derives from no base class of executors, and does without the "
            f"method. The way out: {_WAY_OUT}",
            reproduce="print(executor.get_dispatch_context)",
        )

    def story(world: DispatchWorld) -> Iterator[str]:
        for dispatch_id in ("dispatch", ""):
            given = world.info(dispatch_id)
            with executor.get_dispatch_context(given) as yielded:
                active = world.active()
            if not isinstance(yielded, type(given)) or yielded != given:
                yield f"given {given!r}, the context manager yielded {short(yielded)}"
            actives.append((given, active))

    actives: list[tuple[Any, Any]] = []
    seen = _told(subject, executor, story)
    if seen is None:
        _tracks_dispatches(subject, executor)
        seen = next(
            (
                f"inside the context of {given!r}, the active dispatch is {short(active)}"
                for given, active in actives
                if active != given
            ),
            None,
        )

    if seen is not None:
        subject.fail(
            seen=seen,
            required="`with executor.get_dispatch_context(info) as yielded:` yields `info`, and "
            "inside it is the active dispatch",
            cause=_cause(
                seen,
                "a generator under @contextmanager that ends in a bare `yield` yields None"
                if "yielded" in seen
                else "it is remembered on the instance, where nobody else looks for it",
            ),
            reproduce=_reproduce(
                executor,
                'info = DispatchInfo("dispatch")',
                "with executor.get_dispatch_context(info) as yielded:",
                '    print("yielded:", yielded, "active:", ACTIVE)',
            ),
        )


@check("CTX-02")
def test_CTX_02_must_restore_what_was_active(subject: Subject) -> None:
    executor = subject.build()
    _tracks_dispatches(subject, executor)

    def story(world: DispatchWorld) -> Iterator[str]:
        before = world.active()
        for error in (None, ValueError("on purpose"), asyncio.CancelledError(), SystemExit(3)):
            with (
                contextlib.suppress(ValueError, asyncio.CancelledError, SystemExit),
                executor.get_dispatch_context(world.info("inner")),
            ):
                if error is not None:
                    raise error
            after = world.active()
            if after != before:
                left = "normally" if error is None else f"by {short_error(error)}"
                raised.append(repr(error))
                yield (
                    f"left {left}, the active dispatch is {short(after)}; before it was "
                    f"{short(before)}"
                )

    raised: list[str] = []
    seen = _told(subject, executor, story)

    if seen is not None:
        error = next((error for error in raised if error != "None"), 'ValueError("on purpose")')
        subject.fail(
            seen=seen,
            required="leaving makes active what was active before, after an exception too",
            cause=_cause(
                seen,
                "what follows the `yield` under @contextmanager does not run when an exception "
                "leaves the block, unless it stands in a `finally`; a cancellation is no Exception",
            ),
            reproduce=_reproduce(
                executor,
                *["from asyncio import CancelledError"] * ("Cancelled" in error),
                'print("before:", ACTIVE)',
                "try:",
                '    with executor.get_dispatch_context(DispatchInfo("inner")):',
                "        pass" if raised[:1] == ["None"] else f"        raise {error}",
                "finally:",
                '    print("after:", ACTIVE)',
            ),
        )


@check("CTX-03")
def test_CTX_03_must_nest(subject: Subject) -> None:
    # Hosts share instances and have several: both orders and mixtures of two occur.
    executors = subject.build(), subject.build()
    _tracks_dispatches(subject, executors[0])

    def judge(levels: list[tuple[int, str]]) -> None:
        def enter(world: DispatchWorld, depth: int) -> Iterator[str]:
            around = world.active()
            if depth == len(levels):
                return
            which, dispatch_id = levels[depth]
            info = world.info(dispatch_id)
            path = " > ".join(name for _, name in levels[: depth + 1])
            with executors[which].get_dispatch_context(info):
                if world.active() != info:
                    yield f"in {path} the active dispatch is {short(world.active())}"
                yield from enter(world, depth + 1)
            if world.active() != around:
                yield (
                    f"left the innermost of {path}, the active dispatch is "
                    f"{short(world.active())}; before it was {short(around)}"
                )

        seen = _told(subject, executors[0], lambda world: enter(world, 0))
        if seen is not None:
            subject.fail(
                seen=seen,
                required="each context restores the one around it, to any depth",
                cause=_cause(
                    seen,
                    "leaving sets the active dispatch to None (or to one remembered on the "
                    "instance) and not to what was active on entering this context",
                ),
                reproduce=_reproduce(executors[0], *_nested(levels)),
            )

    levels = st.tuples(st.sampled_from([0, 1]), st.sampled_from(["outer", "inner", "innermost"]))
    judge([(0, "outer"), (0, "inner")])
    for_all(st.lists(levels, max_size=5), judge, examples=40)


def _nested(levels: list[tuple[int, str]]) -> list[str]:
    """A script that enters these contexts one in the other and says what is active."""
    names = ("executor", "other")
    lines = ["import copy", "other = copy.copy(executor)"] if any(w for w, _ in levels) else []
    for depth, (which, dispatch_id) in enumerate(levels):
        context = f'{names[which]}.get_dispatch_context(DispatchInfo("{dispatch_id}"))'
        lines.append(f"{'    ' * depth}with {context}:")
    for depth in range(len(levels), -1, -1):
        where = f"in {levels[depth - 1][1]}:" if depth else "outside:"
        lines.append(f'{"    " * depth}print("{where}", ACTIVE)')
    return lines


#: Two actors in turn, so that the first to enter is the first to leave, as it may be with tasks
#: that have nothing to do with each other.
_TURNS = "ab" * 6


def _act(
    executor: Any, world: DispatchWorld, name: str, wrong: list[str], where: str
) -> Iterator[None]:
    """What one of two actors does at each of its turns."""
    outer, inner = world.info(f"outer of {name}"), world.info(f"inner of {name}")

    def look(expected: Any, when: str) -> None:
        if world.active() != expected:
            wrong.append(
                f"in {where} {name}, {when}, the active dispatch is {short(world.active())} "
                f"instead of {expected!r}"
            )

    before = world.active()
    with executor.get_dispatch_context(outer):
        yield
        with executor.get_dispatch_context(inner):
            yield
            look(inner, f"while another {where} is in contexts of its own")
            yield
            look(inner, f"before it leaves, after the other {where} may have left its own")
        yield
        look(outer, "after it left the inner of its contexts")
    yield
    look(before, "after it left its contexts")


class _Stage:
    """Has two actors take turns, whatever they run on, so that every failure is the same."""

    def __init__(self, acts: dict[str, Iterator[None]], wrong: list[str], where: str) -> None:
        self._acts = acts
        self._wrong = wrong
        self._where = where

    def step(self, name: str) -> None:
        """One turn of one actor; to be called where that actor is at home."""
        try:
            next(self._acts[name], None)
        # A context manager may raise anything at all.
        except BaseException as error:
            self._wrong.append(f"in {self._where} {name}, {_RAISED} {short_error(error)}")

    async def in_tasks(self) -> None:
        """Each actor in an asyncio task of its own."""
        turns: dict[str, asyncio.Queue[asyncio.Future[None] | None]] = {
            name: asyncio.Queue() for name in self._acts
        }

        async def actor(name: str) -> None:
            while (done := await turns[name].get()) is not None:
                self.step(name)
                done.set_result(None)

        actors = [asyncio.ensure_future(actor(name)) for name in self._acts]
        for name in _TURNS:
            done = asyncio.get_running_loop().create_future()
            turns[name].put_nowait(done)
            await done
        for each in turns.values():
            each.put_nowait(None)
        await asyncio.wait(actors)

    def in_threads(self) -> None:
        """Each actor in a thread of its own."""
        turns: dict[str, queue.SimpleQueue[threading.Event | None]] = {
            name: queue.SimpleQueue() for name in self._acts
        }

        def actor(name: str) -> None:
            while (done := turns[name].get()) is not None:
                self.step(name)
                done.set()

        threads = [threading.Thread(target=actor, args=(name,), daemon=True) for name in self._acts]
        for thread in threads:
            thread.start()
        for name in _TURNS:
            done = threading.Event()
            turns[name].put(done)
            done.wait()
        for each in turns.values():
            each.put(None)
        for thread in threads:
            thread.join()


@check("CTX-04")
def test_CTX_04_must_keep_concurrent_contexts_apart(subject: Subject) -> None:
    executor = subject.build()
    _tracks_dispatches(subject, executor)
    world = dispatch_world(executor)

    for where in ("asyncio task", "thread"):
        wrong: list[str] = []
        acts = {name: _act(executor, world, name, wrong, where) for name in "ab"}
        stage = _Stage(acts, wrong, where)
        if where == "asyncio task":
            subject.drive(stage.in_tasks)
        else:
            stage.in_threads()

        if wrong:
            subject.fail(
                seen=wrong[0],
                required="each asyncio task and each thread sees its own contexts and no other's, "
                "in whatever order they are left",
                cause="the active dispatch, or what was active before, is kept in a global, a "
                "class or an instance, or "
                + (
                    "in a threading.local(), which all tasks of an event loop share"
                    if where == "asyncio task"
                    else "under asyncio.current_task(), which a thread has none of"
                )
                + ": keep it in a contextvars.ContextVar",
                reproduce=_reproduce(
                    executor,
                    *(_TWO_TASKS if where == "asyncio task" else _TWO_THREADS).splitlines(),
                ),
            )


_TWO_TASKS = """\
import asyncio

async def task(name):
    with executor.get_dispatch_context(DispatchInfo(f"outer of {name}")):
        await asyncio.sleep(0)
        with executor.get_dispatch_context(DispatchInfo(f"inner of {name}")):
            await asyncio.sleep(0 if name == "a" else 0.1)
            print(name, "inside:", ACTIVE)
        await asyncio.sleep(0)
        print(name, "in the outer:", ACTIVE)

async def main():
    await asyncio.gather(task("a"), task("b"))

asyncio.run(main())"""

_TWO_THREADS = """\
import threading, time

def thread(name):
    with executor.get_dispatch_context(DispatchInfo(f"outer of {name}")):
        time.sleep(0.2)
        with executor.get_dispatch_context(DispatchInfo(f"inner of {name}")):
            time.sleep(0.2 if name == "a" else 0.4)
            print(name, "inside:", ACTIVE)
        print(name, "in the outer:", ACTIVE)

threads = [threading.Thread(target=thread, args=(name,)) for name in "ab"]
for each in threads:
    each.start()
for each in threads:
    each.join()"""
