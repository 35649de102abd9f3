"""Tasks on two instances of an executor, in any interleaving, each judged by the model."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import threading
from collections.abc import Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from ..instruments import patience
from ..instruments.beacon import Attempt
from ..instruments.history import History, Method
from ..instruments.probes import report_home
from ..instruments.seen import Seen
from ..plan.model import Ending, ModelTask, misdone, mismatch
from ..subject.exceptions import CouldNotRun
from ..subject.subject import Subject
from .mixing import is_known_to_queue
from .overruns import usual_limit

T = TypeVar("T")

Kind = Literal["start", "prints"] | Ending

#: Seconds, beyond what a task takes to begin, to wait for some to begin before the next step. They
#: decide nothing, see `Play.start`.
_GRACE = 1.0

#: Seconds for what ends by itself: a guard far away, for executors that hang.
_LONG = 60.0


#: In an order that is worth something if nothing else is drawn: what one task came to must not
#: reach one that runs beside it on the same instance.
_KINDS: tuple[Kind, ...] = (
    "start",
    "prints",
    "fails",
    "succeeds",
    "start",
    "is cancelled",
    "start",
    "is out of time",
)


#: The instances of the tasks with which each example begins.
_FIRST = "ABA"


class Mismatch(Exception):
    """Something differs from the model."""


@dataclass(slots=True, eq=False)
class _Running:
    """One task at work: the model's, the host's, and what it is told."""

    model: ModelTask
    executing: asyncio.Task[Seen]
    orders: list[dict[str, Any]] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    #: Done once its first attempt has reported.
    begun: concurrent.futures.Future[None] = field(default_factory=concurrent.futures.Future)

    async def has_begun(self) -> None:
        """Wait until it has, or is over."""
        either: set[asyncio.Future[Any]] = {asyncio.wrap_future(self.begun), self.executing}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)


class Play:
    """The executors of one example, and everything that the machine does to them.

    Args:
        steps: what the executor can be asked for, of "cancel" and "time out".
    """

    def __init__(
        self,
        subject: Subject,
        has: Collection[Method],
        awaited: Collection[Method],
        steps: Collection[str],
    ) -> None:
        self._subject = subject
        self._has, self._awaited = has, awaited
        self.steps = steps
        self._captures = subject.preflight().captures_streams
        #: Seconds of the time limit of the second instance. Nothing is wrong with a task that is
        #: over it.
        self._limit = usual_limit(subject)
        self._queues = is_known_to_queue(subject, len(_FIRST))
        self._grace = _GRACE + 2 * subject.preflight().seconds
        #: The first thing that went wrong; nothing is tried after it.
        self.error: BaseException | None = None
        self.log: list[str] = []
        self.history = History()

    # ---- one example ---------------------------------------------------------------------

    def begin(self) -> None:
        """Build two instances, and a beacon for their tasks."""
        if self.error is not None:
            # The machine wants to see the error again, which takes no more tasks.
            raise self.error
        self.log.clear()
        self._nodes, self._steps = itertools.count(), 0
        self._tasks: list[_Running] = []
        self._lock = threading.Lock()
        self._stack = contextlib.ExitStack()
        self._executors = {"A": _built(self._subject)}
        limit = {"time_limit": self._limit} if "time out" in self.steps else {}
        self._executors["B"] = _built(self._subject, **limit)
        self._recorded = self._stack.enter_context(self._subject.recording(self._executors["A"]))
        self._beacon = self._stack.enter_context(self._subject.beacon(self._answer))

    def end(self) -> None:
        """Let every task that is still held succeed, and judge those that have not been yet."""
        try:
            if self.error is None:
                for task in self.held:
                    self.finish(task, "succeeds")
                for task in self._tasks:
                    self._judge(task)
        finally:
            self._stack.close()

    @property
    def started(self) -> int:
        """How many tasks this example has started."""
        return len(self._tasks)

    @property
    def held(self) -> list[_Running]:
        """The tasks that nobody has ended, in the order in which they were started."""
        return [task for task in self._tasks if task.model.end == "is held"]

    # ---- what may happen -----------------------------------------------------------------

    def step(self, further: int, which: int, tasks: int) -> None:
        """Make a step: by default those of all kinds in turn, and else some kinds further on.

        Of a kind that cannot be made now, the next one is.
        """
        self._steps += 1
        first = (self._steps + further) % len(_KINDS)
        for kind in (*_KINDS[first:], *_KINDS[:first]):
            among = self._among(kind, tasks)
            if not among:
                continue
            task = among[which % len(among)]
            if isinstance(task, str):
                self.start(*task)
            elif kind == "prints":
                self.print(task)
            elif kind != "start":
                self.finish(task, kind)
            return

    def _among(self, kind: Kind, tasks: int) -> Sequence[_Running | str]:
        """What a step of this kind can be made with: instances that start together, or tasks."""
        if kind == "start":
            return ["AB", "BA"] if self.started < tasks else []
        if kind == "is cancelled":
            return self.held if "cancel" in self.steps else []
        if kind == "is out of time":
            # In a queue only the first one is sure to run, and to come to the end of its limit.
            able = self.held[:1] if self._queues else self.held
            return [task for task in able if task.model.limited]
        return self.held[::-1] if kind == "succeeds" else self.held

    def start(self, *instances: str) -> None:
        """Start a task on each of these instances, all at once; they are held, once begun."""
        models = []
        for instance in instances:
            limited = instance == "B" and "time out" in self.steps
            model = ModelTask(self._subject.new_dispatch(), instance, next(self._nodes), limited)
            self.log.append(f"start {model.name} on {instance}")
            models.append(model)

        async def story() -> None:
            arriving = [asyncio.ensure_future(self._begin(model).has_begun()) for model in models]
            # An executor that lets its tasks wait for each other is not waited for any more.
            if not self._queues:
                _, waiting = await asyncio.wait(arriving, timeout=self._grace)
                self._queues = bool(waiting)
            for each in arriving:
                each.cancel()

        self._drive(story())

    def _begin(self, model: ModelTask) -> _Running:
        executing = asyncio.ensure_future(
            self._subject.execute(
                self._executors[model.instance],
                report_home,
                (self._beacon.address, model.name),
                dispatch_id=model.name,
                node_id=model.node,
            )
        )
        running = _Running(model, executing)
        self._tasks.append(running)
        return running

    def print(self, task: _Running) -> None:
        """Let a task print a line."""
        self.log.append(f"{task.model.name} prints")
        self._tell(task, do="print", text=task.model.print())

    def finish(self, task: _Running, end: Ending) -> None:
        """End a task in one way or another, and judge it where it has begun."""
        self.log.append(f"{task.model.name} {end}")
        model = task.model
        model.end = end
        if end == "is cancelled":
            self._drive(self._cancelled(task))
            # Work that cannot be stopped is let go on: it holds a thread.
            self._tell(task, do="return", value=None)
        elif end == "fails":
            self._tell(task, do="raise", type="ValueError", message=model.message)
        elif end == "is out of time":
            self._drive(self._over_time(task))
        else:
            self._tell(task, do="return", value=model.result)
        if task.attempts or end in ("is cancelled", "is out of time"):
            self._judge(task)

    # ---- how it is done ------------------------------------------------------------------

    def _answer(self, attempt: Attempt, _number: int) -> None:
        with self._lock:
            for task in self._tasks:
                if task.model.name == attempt.hello["label"]:
                    if not task.attempts:
                        task.begun.set_result(None)
                    task.attempts.append(attempt)
                    for order in task.orders:
                        attempt.tell(**order)

    def _tell(self, task: _Running, **order: Any) -> None:
        with self._lock:
            task.orders.append(order)
            for attempt in task.attempts:
                attempt.tell(**order)

    async def _cancelled(self, task: _Running) -> None:
        task.executing.cancel()
        # Who cannot stop a task is right to wait for its end.
        waits = "stop" in self._subject.preflight().cannot
        await asyncio.wait({task.executing}, timeout=self._grace if waits else _LONG)

    async def _over_time(self, task: _Running) -> None:
        done, _ = await asyncio.wait({task.executing}, timeout=self._limit + patience.PAST_LIMIT)
        if not done:
            self._tell(task, do="return", value=task.model.result)

    def _judge(self, task: _Running) -> None:
        async def ended() -> Seen | None:
            done, _ = await asyncio.wait({task.executing}, timeout=_LONG)
            if not done:
                return Seen(malformed="execute had not ended a minute after the task had")
            return None if task.executing.cancelled() else task.executing.result()

        seen = self._drive(ended())
        begun = bool(task.attempts)
        history = self._recorded.of(task.model.name)
        wrong = mismatch(
            task.model,
            seen,
            others=[other.model for other in self._tasks if other is not task],
            captures=self._captures,
            begun=begun,
        ) or misdone(
            task.model,
            history,
            self._has,
            self._awaited,
            attempts=len(task.attempts),
            begun=begun,
        )
        if wrong:
            self.history = History(list(history.events))
            self.error = Mismatch(f"of {task.model.name} on {task.model.instance}: {wrong}")
            raise self.error

    def _drive(self, story: Coroutine[Any, Any, T]) -> T:
        async def waited() -> T:
            return await story

        try:
            return self._subject.drive(waited)
        except BaseException as error:
            self.error = error
            raise


def _built(subject: Subject, **attributes: Any) -> Any:
    try:
        return subject.build(retries=0, **attributes)
    except CouldNotRun:
        return subject.build(**attributes)


def machine(play: Play, tasks: int) -> type[RuleBasedStateMachine]:
    """A machine that plays `play`, with at most so many tasks in one example."""

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            play.begin()

        @initialize()
        def begin(self) -> None:
            play.start(*_FIRST)

        # One rule, and not one for each kind of step: of several hypothesis leaves some out in
        # most examples, which is a waste where examples are few.
        @rule(further=st.integers(0, len(_KINDS) - 1), which=st.integers(0, tasks))
        def step(self, further: int, which: int) -> None:
            play.step(further, which, tasks)

        def teardown(self) -> None:
            play.end()

    return Machine
