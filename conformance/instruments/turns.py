"""How much processor time an event loop's thread spends before it takes the next turn.

The clock is that of the thread alone: however busy the machine is with other things, it does not
go on meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import time
import types
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from .loop import blocking_line_of, waiting_line

T = TypeVar("T")

#: Seconds of processor time within one turn of the loop. A hundred times what the reference
#: executors were seen to take (0.002 s); asyncio itself calls a callback slow after 0.1 s.
BOUND: Final = 0.25

#: Seconds between two questions to the loop, and between two looks at where it is. They decide
#: nothing.
_PAUSE, _LOOK = 0.005, 0.02


@dataclass(frozen=True, slots=True)
class LongTurn:
    """One turn that kept all others of the loop from theirs."""

    seconds: float
    where: str

    def __str__(self) -> str:
        where = f" at {self.where}" if self.where else ""
        return (
            f"the event loop is kept busy{where}: its thread takes {self.seconds:.2f} s "
            "of processor time before its next turn"
        )


@types.coroutine
def stepped(work: Coroutine[Any, Any, T], found: list[LongTurn]) -> Generator[Any, Any, T]:
    """Await `work`, and collect its own steps that take too long, whoever else is at work."""
    send, given = work.send, None
    while True:
        begin = time.thread_time()
        try:
            step: Any = send(given)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            spent = time.thread_time() - begin
            if spent > BOUND:
                where = waiting_line(work)
                found.append(LongTurn(spent, f"a line before {where}" if where else ""))
        try:
            given, send = (yield step), work.send
        except BaseException as error:
            given, send = error, work.throw


@contextlib.contextmanager
def long_turns() -> Iterator[list[LongTurn]]:
    """Within this block, on an event loop's own thread, collect the turns that take too long.

    Nothing is collected where the system does not tell the processor time of another thread.
    """
    found: list[LongTurn] = []
    get_clock: Callable[[int], int] | None = getattr(time, "pthread_getcpuclockid", None)
    if get_clock is None:
        yield found
        return
    loop, here = asyncio.get_running_loop(), threading.get_ident()
    clock = get_clock(here)
    over = threading.Event()
    watch = threading.Thread(
        target=_watch, args=(loop, here, clock, over, found), name="asyncexec-turns", daemon=True
    )
    # To collect the garbage of the whole suite is no work of the executor's.
    collects = gc.isenabled()
    gc.disable()
    watch.start()
    try:
        yield found
    finally:
        over.set()
        if collects:
            gc.enable()


def _watch(
    loop: asyncio.AbstractEventLoop,
    thread: int,
    clock: int,
    over: threading.Event,
    found: list[LongTurn],
) -> None:
    while not over.wait(_PAUSE):
        turn = threading.Event()
        ends: list[float] = []

        def tick(turn: threading.Event = turn, ends: list[float] = ends) -> None:
            ends.append(time.thread_time())
            turn.set()

        begin = time.clock_gettime(clock)
        try:
            loop.call_soon_threadsafe(tick)
        except RuntimeError:  # it is closed
            return
        places: Counter[str] = Counter()
        while not turn.wait(_LOOK):
            if over.is_set():
                return
            frame = sys._current_frames().get(thread)
            if frame is not None:
                places[blocking_line_of(frame) or ""] += 1
        del places[""]
        spent = ends[0] - begin
        if spent > BOUND:
            where = places.most_common(1)[0][0] if places else ""
            found.append(LongTurn(spent, where))
