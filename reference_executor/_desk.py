"""A warm worker that serves a line of short tasks, some of which it is sent ahead of their time."""

import asyncio
from collections import OrderedDict, deque
from typing import Protocol

from ..base.places import Place, guard
from ._channel import Answer
from ._pool import condemn
from ._process import Worker

__all__ = ["AHEAD", "Desk", "Line", "Waiter"]

#: How many jobs a desk can have.
AHEAD = 16


class Waiter(Protocol):
    """A job, as far as a desk and a line have to do with it."""

    number: int
    task: bytes
    directory: str
    desk: "Desk | None"
    #: Those that the job has to see to, if any.
    worker: Worker | None
    place: Place | None

    def settle(self) -> bool:
        """End the time in which it can be stopped."""

    def hear(self, what: Answer | Exception | None) -> None:
        """Go on with what was waited for."""


class Line(Protocol):
    """A line, as far as a desk has to do with it."""

    loop: asyncio.AbstractEventLoop
    waiting: deque[Waiter]
    desks: "OrderedDict[Desk, None]"

    def serve(self, desk: "Desk", answers: int) -> None:
        """Give a worker its next jobs."""

    def drop(self, job: Waiter) -> None:
        """Have a job not begun any more, if it waits."""

    def settle_up(self) -> None:
        """Send the jobs that wait to whoever has room."""


class Desk:
    """A worker in its place, and the jobs it has been sent: it is at the first, if at any.

    All methods are to be called under `guard`.
    """

    def __init__(self, line: "Line", place: Place, worker: Worker, others: int) -> None:
        self.line = line
        self.place = place
        self.worker = worker
        self.jobs: dict[int, Waiter] = {}
        self.is_dying = False
        #: Whether nobody sees to the end of the worker.
        self.is_abandoned = False
        self.is_quick = False
        #: Whether the worker has ever answered, as one does that is fit for work.
        self.has_answered = False
        #: How many jobs it may finish while others wait for its place.
        self.turn = max(1, others)
        #: Whether its one job tells it of the import path, which must not be overtaken.
        self.is_told_path = False
        #: When it was last heard of, in seconds of the clock of the event loop.
        self.since = line.loop.time()

    @property
    def room(self) -> int:
        """How many jobs may be sent."""
        if self.is_dying or self.is_told_path:
            return 0
        is_sent_ahead = self.is_quick and self.worker.channel.takes_ahead
        return min(AHEAD if is_sent_ahead else 1, self.turn) - len(self.jobs)

    def take(self, job: Waiter) -> bool:
        """Send a job to the worker; return whether there was room for it."""
        if not self.worker.knows_import_path:
            if self.jobs:
                return False
            self.is_told_path = True
        try:
            is_sent = self.worker.take(job.number, job.task, job.directory)
        except Exception as error:  # of an import path that cannot be pickled, for one
            self.worker.forget_import_path()
            self.is_told_path = False
            job.hear(error)
            return True
        if not is_sent:
            return False
        job.desk = self
        self.jobs[job.number] = job
        return True

    def give_up(self) -> list[Waiter]:
        """Put back in line what the worker has not begun, and return it."""
        taken = [self.jobs.pop(number) for number in self.worker.take_back()]
        if taken and self.is_told_path:
            self.is_told_path = False
            self.worker.forget_import_path()
        for job in reversed(taken):
            job.desk = None
            self.line.waiting.appendleft(job)
        return taken

    def withdraw(self, job: Waiter) -> bool:
        """Take a job from the worker, or else kill it; return False if the job is over."""
        self.give_up()
        if job.desk is None:
            self.line.drop(job)
            self.line.settle_up()
            return True
        if next(reversed(self.jobs.values())) is not job:
            return False
        self.is_dying = True
        self.worker.kill()
        return True

    def answered(self, answers: list[Answer]) -> None:
        """Pass on the answers, and see to it that the worker goes on."""
        with guard:
            self.is_told_path, self.has_answered = False, True
            for answer in answers:
                job = self.jobs.pop(answer.number)
                job.desk = None
                if answer.is_last or answer.printed is None:
                    # Until it has ended, or is let go on, the worker is nobody else's.
                    self.close(job)
                if job.worker is None:
                    job.settle()
                job.hear(answer)
            if self in self.line.desks:
                self.line.serve(self, len(answers))

    def ended(self, error: Exception | None) -> None:
        """Leave what is left of the worker to the job that it was at."""
        with guard:
            untouched = self.give_up()
            begun = list(self.jobs.values())
            if untouched and not begun and not self.has_answered:
                # Whoever it was started for learns of it: the next one may well do the same.
                begun = untouched[:1]
                self.line.drop(begun[0])
            self.close(begun[0] if begun and not self.is_abandoned else None)
            for job in begun:
                job.desk = None
                job.hear(error)

    def read_until_alone(self, job: Waiter) -> None:
        """Hear the answers to the jobs before this one, and to it too where it is over.

        They are there already: a worker begins nothing before it has answered.
        """
        is_at_work = next(reversed(self.jobs.values()), None) is job
        while (
            self.worker.channel.is_watched
            and job.desk is self
            and not (is_at_work and len(self.jobs) == 1)
        ):
            self.worker.channel.read()

    def leave(self) -> None:
        """Give back the place, with its worker, which has nothing to do."""
        del self.line.desks[self]
        self.worker.channel.watch(None)
        self.place.kept = self.worker
        self.place.leave()

    def close(self, owner: Waiter | None) -> None:
        """Take the worker out of the line; `owner` has to see to it from here on."""
        self.line.desks.pop(self, None)
        self.give_up()
        self.worker.channel.unwatch()
        if owner is not None:
            owner.desk = None
            owner.worker, owner.place = self.worker, self.place
        else:
            condemn(self.worker)
            self.place.leave()
        self.line.settle_up()
