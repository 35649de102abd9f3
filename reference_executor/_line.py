"""Short tasks of one event loop that wait in line for warm workers, which work for all of them.

Only for tasks without a time limit and retries: they wait inside of `run`, as many as are of use,
and the others in `setup`, where a waiting task weighs less. A worker that has been quick is sent a
few tasks ahead of their time: it then need not be woken for each, nor its host by each answer. What
has been sent ahead is taken back when something becomes of the worker or of the task, or when
another worker could begin it earlier.
"""

import asyncio
import contextlib
from collections import OrderedDict, deque
from weakref import WeakValueDictionary

from ..base.places import Place, Places, guard
from ._desk import AHEAD, Desk, Waiter
from ._pool import Pool, start
from ._process import Worker

__all__ = ["Line", "line_of"]

#: How many tasks are in `run` for each worker: enough to send it more whenever it has answered.
IN_RUN = 2 * AHEAD

#: Seconds for each answer, up to which a worker counts as quick.
QUICK = 0.005

#: Seconds in which another event loop comes for a place, if it comes at all.
TURN = 0.005


class Line:
    """The jobs of one event loop that wait for workers of one pool, and the desks they wait for.

    All methods are to be called under `guard`.
    """

    def __init__(self, pool: Pool, loop: asyncio.AbstractEventLoop) -> None:
        self.pool = pool
        self.loop = loop
        #: For tasks in `run`: each that waits there costs more than one that waits in `setup`.
        self.places = Places(IN_RUN * pool.settings.max_workers)
        self.waiting: deque[Waiter] = deque()
        #: First those that have been heard of least lately.
        self.desks: OrderedDict[Desk, None] = OrderedDict()
        #: What will be told of another place.
        self._asked: asyncio.Future[Place] | None = None
        #: How many workers are being started.
        self._starting = 0

    def join(self, job: Waiter) -> None:
        """Have a job begun at once if that is possible, and else once its turn has come."""
        is_first = not self.waiting
        self.waiting.append(job)
        if is_first or self._may_ask():
            self.settle_up()

    def drop(self, job: Waiter) -> None:
        """Have a job not begun any more, if it waits."""
        with contextlib.suppress(ValueError):
            self.waiting.remove(job)

    def open(self, place: Place, worker: Worker) -> None:
        """Have a worker work for the line, until there is nothing to do."""
        desk = Desk(self, place, worker, self.pool.places.count_waiting(self._asked))
        self.desks[desk] = None
        worker.channel.watch(desk)
        self._fill(desk)

    def serve(self, desk: Desk, answers: int) -> None:
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
        while self.waiting:
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
        asked.add_done_callback(self._came)
        return None

    def _came(self, asked: asyncio.Future[Place]) -> None:
        """Use the place that was asked for."""
        with guard:
            if asked is self._asked and not asked.cancelled():
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
                if self.waiting:
                    self.waiting.popleft().hear(error)
                self.settle_up()

    def _send(self, desk: Desk, count: int) -> bool:
        """Send a worker so many jobs of those that wait; return whether there was room for them."""
        waiting = self.waiting
        while count > 0 and waiting:
            job = waiting.popleft()
            if not desk.take(job):
                waiting.appendleft(job)
                return False
            count -= job.desk is desk  # or it has failed at once
        return True

    def _fill(self, desk: Desk) -> None:
        """Send a worker as much as it has room for, or let it go if there is nothing to do."""
        self._send(desk, desk.room)
        if not desk.jobs:
            self._relieve(desk)
        if not desk.jobs:
            desk.leave()
            self._stop_asking()

    def _relieve(self, idle: Desk) -> None:
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


def line_of(pool: Pool) -> Line:
    """Return the line of the running event loop for workers of a pool."""
    loop = asyncio.get_running_loop()
    key = (id(pool), id(loop))
    line = _lines.get(key)
    if line is None:
        _lines[key] = line = Line(pool, loop)
    return line


# Weak, so that a line goes with its event loop; it refers to what the key stands for.
_lines: WeakValueDictionary[tuple[int, int], Line] = WeakValueDictionary()
