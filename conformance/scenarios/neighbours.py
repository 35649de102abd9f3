"""Tasks that run while others beside them fail, exit, are cancelled or take their worker along."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any, Final

from ..instruments import patience
from ..instruments.beacon import Attempt, Beacon
from ..instruments.history import History
from ..instruments.probes import report_home
from ..instruments.seen import Seen
from ..subject.kept import Kept
from ..subject.preflight import THIS_PROCESS
from ..subject.subject import Subject
from .moves import Moves
from .stopping import is_awaited, within

#: How a neighbour ends, in words, and by which command; the harshest last.
FAILS: Final = "raised an error"
EXITS: Final = "called sys.exit(3)"
IS_CANCELLED: Final = "was cancelled by its host"
DIES: Final = "ended its worker by os._exit(3)"
_COMMANDS: Final[dict[str, dict[str, Any]]] = {
    FAILS: {"do": "raise", "type": "ValueError", "message": "of a neighbour"},
    EXITS: {"do": "raise", "type": "SystemExit", "message": "3"},
    IS_CANCELLED: {"do": "return", "value": None},
    DIES: {"do": "exit", "code": 3},
}

_WITNESS: Final = "witness"

#: Seconds for those that are about to begin; it decides nothing but who ends first.
_SHORTLY: Final = 0.03


@dataclass(frozen=True, slots=True)
class Harm:
    """What became of a task by the end of another one."""

    #: How that one ended; nothing where none has.
    after: str
    #: Whether it was on the same instance.
    same_instance: bool
    #: What became of the task.
    seen: str
    history: History = field(default_factory=History)


@dataclass(slots=True, eq=False)
class _Task:
    label: str
    #: How it is to end, or `_WITNESS`.
    role: str
    executor: Any
    dispatch: str
    executing: asyncio.Task[Seen]
    attempts: list[Attempt] = field(default_factory=list)
    released: bool = False
    #: The end of another task after which this one's line was closed, or it was over.
    hurt_by: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing is to be seen of it any more."""
        return self.released or self.executing.done()

    @property
    def is_held(self) -> bool:
        """Whether it has begun, and waits to be told how to end."""
        return bool(self.attempts) and not self.is_over


#: What was found beside accidents; empty as long as none have happened.
_beside: Final[Kept[list[Harm | None]]] = Kept(lambda _: [])


def note_beside(subject: Subject, harm: Harm | None) -> None:
    """Keep what became of neighbours among others that went wrong."""
    _beside.of(subject)[:] = [harm]


def is_known_to_be_unharmed(subject: Subject) -> bool:
    """Whether neighbours were there when others went wrong, and nothing became of them."""
    return _beside.of(subject) == [None]


def harm_alone(subject: Subject) -> Harm | None:
    """What becomes of neighbours while no others than theirs go wrong."""
    meeting = Meeting(subject)
    with subject.beacon(meeting.answer) as beacon, subject.recording(meeting.own) as history:
        meeting.history = history
        return subject.drive(
            lambda: meeting.story(beacon), longer=meeting.guard, progress=lambda: meeting.steps
        )


class Meeting:
    """Some tasks, of which some end in every way while the others are held."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.own = subject.build()
        self._other = subject.build()
        #: What is awaited for them, where that is recorded.
        self.history = History()
        #: Grows with everything that happens.
        self.steps = 0
        seconds = subject.preflight().seconds
        self.guard = patience.PAST_LIMIT + 3 * seconds
        #: Seconds for the next one to begin beside others. Who queues is right: it is only judged
        #: without neighbours.
        self._grace = max(1.0, 3 * seconds)
        self._tasks: dict[str, _Task] = {}
        #: That of those which end, and of one that sees it.
        self._dispatch = subject.new_dispatch()
        self._last_ended = ""
        self._moves = Moves()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def has_seen_an_end(self) -> bool:
        """Whether any of them has ended in a bad way while others ran."""
        return bool(self._last_ended)

    def answer(self, attempt: Attempt, _number: int) -> None:
        """Hold an attempt, on a thread of the beacon's."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._reported, attempt)

    def _reported(self, attempt: Attempt) -> None:
        self.steps += 1
        task = self._tasks.get(str(attempt.hello["label"]))
        if task is not None:
            task.attempts.append(attempt)
        if task is None or task.released:
            attempt.tell(do="return", value=None if task is None else task.label)
        self._moves.note()

    async def story(self, beacon: Beacon) -> Harm | None:
        """The first of them that came to harm, if any did."""
        self._loop = asyncio.get_running_loop()
        for role in self._roles():
            self._begin(beacon, role)
        await self._moves.until(lambda: bool(self._begun()), self.guard)
        while (ending := await self._next_to_end()) is not None:
            await self._end(ending)
            await self._look_at_witnesses(ending.role)
        return await self._judged()

    def _roles(self) -> list[str]:
        facts = self._subject.preflight()
        endings = [FAILS, EXITS]
        if is_awaited(self._subject, self.own):
            endings.append(IS_CANCELLED)
        if facts.place != THIS_PROCESS:
            endings.append(DIES)
        # Where two run at once, these are one that ends and one that sees it.
        return [_WITNESS, *endings[::-1], _WITNESS, f"{_WITNESS} on another instance"]

    def _begin(self, beacon: Beacon, role: str) -> None:
        executor = self._other if role.endswith("instance") else self.own
        number = len(self._tasks) + 1
        label, shares = f"neighbour {number}", number > 1 and executor is self.own
        dispatch = self._dispatch if shares else self._subject.new_dispatch()
        executing = asyncio.ensure_future(
            self._subject.execute(
                executor,
                report_home,
                (beacon.address, label),
                dispatch_id=dispatch,
                node_id=number,
            )
        )
        executing.add_done_callback(lambda _: self._moves.note())
        self._tasks[label] = _Task(label, role, executor, dispatch, executing)

    @property
    def _witnesses(self) -> list[_Task]:
        return [task for task in self._tasks.values() if task.role.startswith(_WITNESS)]

    async def _next_to_end(self) -> _Task | None:
        """One that runs, and is to end while others see it; none where none runs beside another."""
        left = [task for task in self._tasks.values() if task.role in _COMMANDS]
        await self._moves.until(
            lambda: self._is_seen_and_to_end() or all(task.is_over for task in left), self._grace
        )
        # More of them may be on their way: the harshest is to be the last.
        known = -1
        while known < len(self._begun()) < len(self._tasks):
            known = len(self._begun())
            await self._moves.until(lambda known=known: len(self._begun()) > known, _SHORTLY)  # type: ignore[misc]
        if not self._is_seen_and_to_end():
            return None
        return next(t for role in _COMMANDS for t in left if t.role == role and t.is_held)

    def _is_seen_and_to_end(self) -> bool:
        held = [task.role for task in self._tasks.values() if task.is_held]
        return any(role in _COMMANDS for role in held) and any(
            role.startswith(_WITNESS) for role in held
        )

    async def _end(self, task: _Task) -> None:
        task.released, self._last_ended = True, task.role
        if task.role == IS_CANCELLED:
            task.executing.cancel()
            if "stop" not in self._subject.preflight().cannot:
                await self._moves.until(task.executing.done, self.guard)
        task.attempts[0].tell(**_COMMANDS[task.role])
        await self._moves.until(task.executing.done, self.guard)

    async def _look_at_witnesses(self, ended: str) -> None:
        for witness in self._witnesses:
            if witness.hurt_by:
                continue
            attempt = witness.attempts[-1] if witness.attempts else None
            if attempt is not None:
                # Who answers lives; who does not is dead, or its machine is slow.
                await within(attempt.ask(do="answer"), self._grace)
            if witness.executing.done() or (attempt is not None and attempt.gone.done()):
                witness.hurt_by = ended

    async def _judged(self) -> Harm | None:
        for task in self._tasks.values():
            task.released = True
            for attempt in task.attempts:
                attempt.tell(do="return", value=task.label)
        executing = [task.executing for task in self._tasks.values()]
        await self._moves.until(lambda: all(each.done() for each in executing), self.guard)
        left = {each for each in executing if not each.done()}
        for each in left:
            each.cancel()
        if left:
            await asyncio.wait(left, timeout=5)
        for witness in self._witnesses:
            problem = _problem(witness)
            if problem:
                return Harm(
                    witness.hurt_by or self._last_ended,
                    witness.executor is self.own,
                    problem,
                    self.history.of(witness.dispatch),
                )
        return None

    def _begun(self) -> list[_Task]:
        return [t for t in self._tasks.values() if t.attempts or t.executing.done()]


def _problem(task: _Task) -> str:
    if not task.executing.done() or task.executing.cancelled():
        return "execute did not end after its task had been told to"
    seen = task.executing.result()
    return "" if seen.completed and seen.result == task.label else str(seen)
