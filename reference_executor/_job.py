"""An attempt that waits in line for a worker, and shares it with others."""

import asyncio
import contextlib
from collections.abc import Awaitable

from ..base.places import guard
from ._attempt import Attempt, End, Keep
from ._channel import Answer
from ._desk import Desk
from ._line import Line, line_of
from ._process import Worker

__all__ = ["LONGEST", "Job"]

#: Bytes of a task that may be sent ahead: several fit into any socket.
LONGEST = 1 << 13


class Job(Attempt):
    """An attempt that shares a worker with others, one after the other."""

    def __init__(self, line: Line) -> None:
        super().__init__(line.pool)
        # A host may set up and run in different event loops.
        self.line = line if line.loop is self.loop else line_of(line.pool)
        self.desk: Desk | None = None
        self.task = b""
        self.directory = ""
        self._heard: asyncio.Future[Answer | None] = self.line.loop.create_future()

    def answer(self, task: bytes, directory: str) -> Awaitable[Answer | None]:
        """Wait in line until a worker has run the task, and return what it says.

        None if the worker died, or if the attempt was stopped. Raises OSError where no worker can
        be started.
        """
        self.task, self.directory = task, directory
        with guard:
            self.is_given = True
            if self.stopped:
                self.hear(None)
            else:
                self.line.join(self)
        return self._heard

    def hear(self, what: Answer | Exception | None) -> None:
        """Go on with what was waited for."""
        if self._heard.done():
            return
        if isinstance(what, Exception):
            self._heard.set_exception(what)
        else:
            self._heard.set_result(what)

    def _stop_work(self) -> bool:
        if self.worker is not None:
            self.worker.kill()
            return True
        if self.desk is not None and not self.desk.withdraw(self):
            return False
        if self.desk is None:
            self.line.drop(self)
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits there
                self.loop.call_soon_threadsafe(self.hear, None)
        return True

    async def part(self, answer: Answer | None, keep: Keep, end: End) -> None:
        try:
            await super().part(self._left_line() if answer is None else answer, keep, end)
        except GeneratorExit:
            raise  # what gives the place back goes on
        except BaseException:
            self._leave_place()
            raise
        self._leave_place()

    def _left_line(self) -> Answer | None:
        """Leave the line, and return the answer if it has come all the same."""
        with guard:
            self.line.drop(self)
            desk = self.desk
            if desk is not None:
                is_over = not desk.withdraw(self)
                desk.read_until_alone(self)
                if not is_over and self.desk is not None:
                    desk.close(self)
        heard = self._heard
        is_heard = heard.done() and not heard.cancelled() and not heard.exception()
        return heard.result() if is_heard else None

    def _give_back(self, worker: Worker) -> None:
        place, self.place, self.worker = self.place, None, None
        if place is not None:
            with guard:
                self.line.open(place, worker)

    def abandon(self) -> None:
        with guard:
            self.line.drop(self)
            desk = self.desk
            if desk is not None and desk.withdraw(self):
                if self.loop.is_running():
                    desk.is_abandoned = desk.is_dying  # that loop will see the end of the worker
                elif desk in self.line.desks and not (self.desk is None and desk.jobs):
                    desk.close(self if self.desk is not None else None)
        super().abandon()
        self._leave_place()

    def _leave_place(self) -> None:
        if self.place is not None:
            self.place.leave()
