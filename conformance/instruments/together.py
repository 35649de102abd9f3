"""Makes writers of one file meet: what they would do at once by chance, they do at once."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from .audit import audited, path_in

#: Steps of the event loop in which nobody has given a thread anything to do: whoever is to come
#: waits for his turn by then.
_IDLE_STEPS = 20

#: Seconds for which one waits for another where that cannot be seen. It decides nothing: who is
#: not met there may be met by chance.
_PATIENCE = 0.2


class _Gate:
    """Holds whoever opens the file until another one wants to."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._passed = 0
        self.waiting = 0
        self.open = False

    def enter(self) -> None:
        """Wait for one other, unless they take turns."""
        with self._changed:
            if self.open:
                return
            self.waiting += 1
            if self.waiting >= 2:
                self._let_through()
                return
            mine = self._passed
            if not self._changed.wait_for(lambda: self.open or self._passed > mine, _PATIENCE):
                self.give_up()

    def give_up(self) -> None:
        """Hold nobody any more: they take turns."""
        with self._changed:
            self.open = True
            self._let_through()

    def _let_through(self) -> None:
        self.waiting = 0
        self._passed += 1
        self._changed.notify_all()


@contextlib.asynccontextmanager
async def together(path: Path) -> AsyncIterator[None]:
    """Within this block, threads that open `path` do so two at a time.

    Until there is nobody to come: one is at the gate, no other thread of the loop's has anything to
    do, and the loop itself gives it nothing. It has to be a loop that nobody else uses.
    """
    loop, gate = asyncio.get_running_loop(), _Gate()
    here, threads = threading.get_ident(), threading.active_count()
    at_work: set[asyncio.Future[Any]] = set()
    begin = loop.run_in_executor

    def hear(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and threading.get_ident() != here and path_in(args, path) is not None:
            gate.enter()

    def counted(executor: Executor | None, work: Callable[..., Any], *args: Any) -> Any:
        future = begin(executor, work, *args)
        at_work.add(future)
        future.add_done_callback(at_work.discard)
        return future

    async def watch() -> None:
        idle = 0
        while not gate.open:
            known = len(at_work)
            await asyncio.sleep(0.001)
            # A thread of the executor's own is no work of the loop's.
            busy = len(at_work) or threading.active_count() - threads
            alone = gate.waiting == 1 and busy == 1 and len(at_work) == known
            idle = idle + 1 if alone else 0
            if idle >= _IDLE_STEPS:
                gate.give_up()

    # A loop of another make may not let itself be watched: then chance has to do.
    with contextlib.suppress(AttributeError):
        loop.run_in_executor = counted  # type: ignore[method-assign, assignment]
    with audited(hear):
        watching = asyncio.ensure_future(watch())
        try:
            yield
        finally:
            gate.give_up()
            await watching
