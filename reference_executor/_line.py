"""Short tasks of one event loop that wait in line for warm workers, which work for all of them.

Only for tasks without a time limit and retries: they wait inside of `run`. A worker that has been
quick is sent a few tasks ahead of their time: it then need not be woken for each, nor its host by
each answer.
What has been sent ahead is taken back when something becomes of the worker or of the task, or when
another worker could begin it earlier.
"""

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import Awaitable
from functools import partial
from weakref import WeakValueDictionary, ref

from ..places import Place, guard
from ._attempt import Attempt, End, Keep
from ._channel import Answer
from ._pool import Pool, condemn, start
from ._process import Worker

__all__ = ["LONGEST", "Job"]

#: Bytes of a task that may be sent ahead: several fit into any socket.
LONGEST = 1 << 13

#: How many jobs a desk can have.
AHEAD = 8

#: Seconds for each answer, up to which a worker counts as quick.
QUICK = 0.005

#: Seconds in which another event loop comes for a place, if it comes at all.
TURN = 0.005


class Job(Attempt):
    """An attempt that shares a worker with others, one after the other."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self.line = _line_of(pool)
        self.desk: _Desk | None = None
        self.is_withdrawn = False
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
            if self.is_withdrawn:
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
        self.is_withdrawn = True
        if self.desk is None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits there
                self.loop.call_soon_threadsafe(self.hear, None)
        return True

    async def part(self, answer: Answer | None, keep: Keep, end: End) -> None:
        try:
            await super().part(self._left_line() if answer is None else answer, keep, end)
        finally:
            self._leave_place()

    def _left_line(self) -> Answer | None:
        """Leave the line, and return the answer if it has come all the same."""
        with guard:
            self.is_withdrawn = True
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
            self.is_withdrawn = True
            desk = self.desk
            if desk is not None and desk.withdraw(self):
                if self.loop.is_running():
                    desk.is_abandoned = desk.is_dying  # that loop will see the end of the worker
                elif desk in self.line.desks:
                    desk.close(self if self.desk is not None else None)
        super().abandon()
        self._leave_place()

    def _leave_place(self) -> None:
        if self.place is not None:
            self.place.leave()


class _Desk:
    """A worker in its place, and the jobs it has been sent: it is at the first, if at any.

    All methods are to be called under `guard`.
    """

    def __init__(self, line: "_Line", place: Place, worker: Worker, others: int) -> None:
        self.line = line
        self.place = place
        self.worker = worker
        self.jobs: dict[int, Job] = {}
        self.is_dying = False
        #: Whether nobody sees to the end of the worker.
        self.is_abandoned = False
        self.is_quick = False
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

    def take(self, job: Job) -> bool:
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

    def give_up(self) -> list[Job]:
        """Put back in line what the worker has not begun, and return it."""
        taken = [self.jobs.pop(number) for number in self.worker.take_back()]
        if taken and self.is_told_path:
            self.is_told_path = False
            self.worker.forget_import_path()
        for job in reversed(taken):
            job.desk = None
            self.line.waiting.appendleft(job)
        return taken

    def withdraw(self, job: Job) -> bool:
        """Take a job from the worker, or else kill it; return False if the job is over."""
        self.give_up()
        if job.desk is None:
            job.is_withdrawn = True
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
            self.is_told_path = False
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
            self.give_up()
            begun = list(self.jobs.values())
            self.close(begun[0] if begun and not self.is_abandoned else None)
            for job in begun:
                job.desk = None
                job.hear(error)

    def read_until_alone(self, job: Job) -> None:
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

    def close(self, owner: Job | None) -> None:
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


class _Line:
    """The jobs of one event loop that wait for workers of one pool, and the desks they wait for.

    All methods are to be called under `guard`.
    """

    def __init__(self, pool: Pool, loop: asyncio.AbstractEventLoop) -> None:
        self.pool = pool
        self.loop = loop
        #: Withdrawn ones stay until it is their turn.
        self.waiting: deque[Job] = deque()
        #: First those that have been heard of least lately.
        self.desks: OrderedDict[_Desk, None] = OrderedDict()
        #: What will be told of another place.
        self._asked: asyncio.Future[Place] | None = None
        #: How many workers are being started.
        self._starting = 0

    def join(self, job: Job) -> None:
        """Have a job begun at once if that is possible, and else once its turn has come."""
        is_first = not self._is_waited_for()
        self.waiting.append(job)
        if is_first or self._may_ask():
            self.settle_up()

    def open(self, place: Place, worker: Worker) -> None:
        """Have a worker work for the line, until there is nothing to do."""
        desk = _Desk(self, place, worker, self.pool.places.count_waiting(self._asked))
        self.desks[desk] = None
        worker.channel.watch(desk)
        self._fill(desk)

    def serve(self, desk: _Desk, answers: int) -> None:
        """Give the worker of a desk its next jobs, after it has given some answers."""
        now = self.loop.time()
        desk.is_quick = now - desk.since < QUICK * answers
        desk.since = now
        self.desks.move_to_end(desk)
        if desk.is_dying:
            return
        self._rescue(now)
        others = self.pool.places.count_waiting(self._asked)
        if not others:
            desk.turn = AHEAD
        elif desk.is_quick:
            desk.turn -= answers
        else:
            desk.turn = min(desk.turn - answers, others)
        if desk.turn > len(desk.jobs):
            self._fill(desk)
        elif not desk.jobs:
            desk.leave()
            if self.pool.places.are_taken:
                self.settle_up()
            else:
                # It is wanted by another event loop, which has to come for it.
                self.loop.call_later(TURN, self._settle_up)

    def settle_up(self) -> None:
        """Send the jobs that wait to whoever has room, and ask for more places if that is no one.

        Elsewhere than in the event loop of the line, have that be done there.
        """
        if asyncio._get_running_loop() is not self.loop:
            with contextlib.suppress(RuntimeError):  # it is closed
                self.loop.call_soon_threadsafe(self._settle_up)
            return
        while self._is_waited_for():
            is_covered = self._starting >= len(self.waiting)
            if not is_covered and (place := self._free_place()) is not None:
                self._use(place)
                continue
            desk = next((desk for desk in reversed(self.desks) if desk.room > 0), None)
            if desk is None or not self._send(desk, 1):
                return
        for desk in [desk for desk in self.desks if not desk.jobs and not desk.is_dying]:
            desk.leave()
        if any(len(desk.jobs) > 1 for desk in self.desks):
            if not self._starting and (place := self._free_place()) is not None:
                self._use(place)
        else:
            self._stop_asking()

    def _stop_asking(self) -> None:
        """Want no more places if there is nothing to do."""
        if not self.desks and not self.waiting and self._asked is not None:
            asked, self._asked = self._asked, None
            self.pool.places.withdraw(asked)

    def _settle_up(self) -> None:
        with guard:
            self.settle_up()

    def _is_waited_for(self) -> bool:
        while self.waiting and self.waiting[0].is_withdrawn:
            self.waiting.popleft()
        return bool(self.waiting)

    def _may_ask(self) -> bool:
        """Whether another place would be of use, and none has been asked for."""
        count = len(self.desks) + self._starting
        return self._asked is None and count < self.pool.settings.max_workers

    def _free_place(self) -> Place | None:
        """Return a place that is free, or see to it that one will come."""
        if not self._may_ask():
            return None
        asked = self.pool.places.ask()
        if isinstance(asked, Place):
            return asked
        self._asked = asked
        asked.add_done_callback(partial(_came, ref(self)))
        return None

    def came(self, asked: asyncio.Future[Place]) -> None:
        """Use the place that was asked for."""
        if asked is self._asked:
            self._asked = None
            self._use(asked.result())
            self.settle_up()

    def _use(self, place: Place) -> None:
        worker = self.pool.worker_for(place)
        if worker.process is not None:
            self.open(place, worker)
        else:
            self._starting += 1
            try:
                self.loop.run_in_executor(None, self._start, place, worker)
            except RuntimeError as error:  # the event loop has ended its threads already
                self.loop.call_soon(self._started, place, worker, error)

    def _start(self, place: Place, worker: Worker) -> None:
        """Start a worker, in a thread."""
        error: Exception | None = None
        try:
            start(worker)
            # If the event loop does not go on, it comes to the pool with the place.
            place.kept = worker
        except Exception as problem:
            error = problem
        with contextlib.suppress(RuntimeError):  # it is closed
            self.loop.call_soon_threadsafe(self._started, place, worker, error)

    def _started(self, place: Place, worker: Worker, error: Exception | None) -> None:
        with guard:
            self._starting -= 1
            place.kept = None
            if error is None:
                self.open(place, worker)
            else:
                place.leave()
                if self._is_waited_for():
                    self.waiting.popleft().hear(error)
                self.settle_up()

    def _send(self, desk: _Desk, count: int) -> bool:
        """Send a worker so many jobs of those that wait; return whether there was room for them."""
        waiting = self.waiting
        while count > 0 and waiting:
            job = waiting[0]
            if not job.is_withdrawn:
                if not desk.take(job):
                    return False
                count -= job.desk is desk  # or it has failed at once
            waiting.popleft()
        return True

    def _fill(self, desk: _Desk) -> None:
        """Send a worker as much as it has room for, or let it go if there is nothing to do."""
        self._send(desk, desk.room)
        if not desk.jobs:
            self._relieve(desk)
        if not desk.jobs:
            desk.leave()
            self._stop_asking()

    def _relieve(self, idle: _Desk) -> None:
        """Send an idle worker half of what another one has not begun."""
        busiest = max(self.desks, key=lambda desk: len(desk.jobs))
        if len(busiest.jobs) < 2:
            return
        half = (len(busiest.give_up()) + 1) // 2
        self._send(idle, min(half, idle.room))
        self._send(busiest, busiest.room)

    def _rescue(self, now: float) -> None:
        """Take back what waits for a worker that has turned out not to be quick."""
        for desk in self.desks:
            if now - desk.since < 2 * QUICK:
                break
            if len(desk.jobs) > 1:
                desk.is_quick = False
                if desk.give_up() and not desk.jobs:
                    self._send(desk, 1)


def _came(line: "ref[_Line]", asked: asyncio.Future[Place]) -> None:
    if (waiting := line()) is not None and not asked.cancelled():
        with guard:
            waiting.came(asked)


def _line_of(pool: Pool) -> _Line:
    """Return the line of the running event loop for workers of a pool."""
    loop = asyncio.get_running_loop()
    key = (id(pool), id(loop))
    line = _lines.get(key)
    if line is None:
        _lines[key] = line = _Line(pool, loop)
    return line


# Weak, so that a line goes with its event loop; it refers to what the key stands for.
_lines: WeakValueDictionary[tuple[int, int], _Line] = WeakValueDictionary()
