"""Many tasks that are begun at once on one instance, held where they run, and let go in turn."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ..instruments import patience
from ..instruments.beacon import Attempt, Beacon
from ..instruments.history import History
from ..instruments.probes import echo, report_home
from ..instruments.seen import Seen
from ..subject.kept import Kept
from ..subject.subject import Subject
from .echoes import first_wrong
from .moves import Moves
from .stopping import is_awaited

#: So many tasks are begun at once.
TASKS: Final = 64

#: So many tasks that came later may begin before one that waits, and no more. Whoever serves those
#: that wait in their order needs one; whoever draws lots among three needs more than this once in
#: a hundred thousand million times.
OVERTAKING: Final = 64

#: So many of those that are cancelled or fail while they wait are such as cannot be sent.
_UNSENT: Final = 4

#: So many more tasks are begun than places were seen, to see whether there are more now.
MORE: Final = 4

#: Seconds that a task which was just begun gets to stand in line. It decides nothing: who is not
#: there yet is overtaken by nobody.
_TO_THE_LINE: Final = 0.02

#: How a task ends that runs, in words.
RETURNS: Final = "ended"
FAILS: Final = "failed"
IS_CANCELLED: Final = "been cancelled by its host"

#: What went wrong with the crowd as a whole: none began, none began in the place of one that had
#: ended, one was overtaken without an end, places were lost, or there were more than before.
Trouble = Literal["none begins", "no next", "overtaken", "lost", "gained"]


@dataclass(slots=True, eq=False)
class _Member:
    """One task of the crowd."""

    label: str
    executing: asyncio.Task[Seen]
    dispatch: str
    #: Its attempt that was the first to report.
    attempt: Attempt | None = None
    #: Whether nothing is wanted of it any more: cancelled, or told to end.
    released: bool = False
    #: Whether it is one that ends while it waits.
    doomed: bool = False

    @property
    def is_held(self) -> bool:
        """Whether it runs, and waits to be let go."""
        return self.attempt is not None and not self.released and not self.attempt.gone.done()

    @property
    def waits(self) -> bool:
        """Whether it has neither begun nor ended."""
        return self.attempt is None and not self.doomed and not self.executing.done()


@dataclass(frozen=True, slots=True)
class Crowd:
    """What became of it."""

    #: How many ran at once before any of those that waited was cancelled or failed.
    at_once: int
    #: How many were cancelled or failed while they waited.
    ended_in_line: int = 0
    #: What went wrong with all of them.
    trouble: Trouble | None = None
    #: How many began before the one that was overtaken, or ran at once afterwards.
    count: int = 0
    #: How the one had ended in whose place none began, in words.
    ended_by: str = ""
    #: What was not its own outcome, of one task: in words.
    wrong: str = ""
    #: Whether that is the result of another one.
    is_mixed_up: bool = False
    #: What was awaited for the task in question.
    history: History = field(default_factory=History)


def crowd(subject: Subject) -> Crowd:
    """What became of many tasks at once; they run once for all rules that ask."""
    return _crowds.of(subject)


def _gather(subject: Subject) -> Crowd:
    executor = subject.build()
    with subject.recording(executor) as history:
        found = _Story(subject, executor, history).tell()
    if found.trouble in ("lost", "overtaken"):
        # Of those that are dropped anyway no place is lost, and nobody overtakes them.
        dropped = first_wrong(subject, TASKS)
        if dropped is not None:
            wrong = f"{dropped.which} of {TASKS}, none of which was held: {dropped.problem}"
            return Crowd(found.at_once, wrong=wrong, history=dropped.history)
    return found


_crowds: Final = Kept(_gather)


class _Story:
    """The crowd of one executor, from its beginning to its end."""

    def __init__(self, subject: Subject, executor: Any, history: History) -> None:
        self._subject = subject
        self._executor = executor
        self._history = history
        self._members: dict[str, _Member] = {}
        self._lock = threading.Lock()
        self._moves = Moves()
        self._loop: asyncio.AbstractEventLoop | None = None
        #: Grows with everything that happens.
        self._steps = 0
        #: How the one that was last let go ended.
        self._ended_by = RETURNS
        #: Whether the host can cancel one of them, and the others go on.
        self._is_awaited = is_awaited(subject, executor)
        #: Whether some are known not to end.
        self._is_over = False
        seconds = subject.preflight().seconds
        #: Seconds without a report after which it is taken, for the time being, that all run that
        #: can. Where more could, more are seen to begin later, and nobody is blamed for it.
        self._quiet = max(0.1, 2 * seconds)
        self._guard = patience.PAST_LIMIT + 3 * seconds

    def tell(self) -> Crowd:
        with self._subject.beacon(self._answer) as beacon:
            return self._subject.drive(
                lambda: self._to_the_end(beacon),
                longer=self._guard,
                progress=lambda: self._steps,
            )

    def at_once(self, tasks: int, enough: int) -> int:
        """How many of some tasks run at once; so many are waited for, for as long as it takes."""

        async def story() -> int:
            self._loop = asyncio.get_running_loop()
            for _ in range(tasks):
                self._begin(beacon)
            await self._moves.until(lambda: len(self._held()) >= enough, self._guard)
            seen = len(self._held())
            await self._end_all()
            return seen

        with self._subject.beacon(self._answer) as beacon:
            return self._subject.drive(story, longer=self._guard, progress=lambda: self._steps)

    # ---- what it is made of --------------------------------------------------------------

    def _answer(self, attempt: Attempt, _number: int) -> None:
        with self._lock:
            self._steps += 1
            member = self._members.get(str(attempt.hello["label"]))
            first = member is not None and member.attempt is None
            if member is not None and first:
                member.attempt = attempt
            released = member is None or member.released or not first
        if released:
            self._let_return(attempt)
        self._wake()

    def _wake(self, *_: object) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._moves.note)

    @staticmethod
    def _let_return(attempt: Attempt) -> None:
        attempt.tell(do="return", value=f"result of {attempt.hello['label']}")

    def _begin(self, beacon: Beacon, *, doomed: bool = False) -> _Member:
        dispatch = self._subject.new_dispatch()
        label = f"task {len(self._members) + 1}"
        # Nobody can send a lock; who need not send it runs it, and nothing is asked of that.
        function, args = (
            (echo, (threading.Lock(),)) if doomed else (report_home, (beacon.address, label))
        )
        executing = asyncio.ensure_future(
            self._subject.execute(self._executor, function, args, dispatch_id=dispatch)
        )
        executing.add_done_callback(self._ended)
        member = _Member(label, executing, dispatch, doomed=doomed)
        with self._lock:
            self._members[label] = member
        return member

    def _ended(self, executing: asyncio.Task[Seen]) -> None:
        self._steps += 1
        self._moves.note()

    def _held(self) -> list[_Member]:
        with self._lock:
            return [member for member in self._members.values() if member.is_held]

    def _waiting(self) -> list[_Member]:
        return [member for member in self._members.values() if member.waits]

    def _release(self, member: _Member) -> None:
        with self._lock:
            member.released = True
            attempt = member.attempt
        if attempt is not None:
            self._let_return(attempt)

    async def _until_quiet(self) -> None:
        known = -1
        while known != len(self._held()) and self._waiting():
            known = len(self._held())
            await self._moves.until(lambda known=known: len(self._held()) > known, self._quiet)  # type: ignore[misc]

    async def _next(self, how: str = RETURNS) -> bool:
        """End the task that has run longest; whether another one begins."""
        begun = sum(member.attempt is not None for member in self._members.values())
        await self._end(self._held()[0], how)
        self._ended_by = how
        return await self._moves.until(
            lambda: (
                sum(m.attempt is not None for m in self._members.values()) > begun
                or not self._waiting()
            ),
            self._guard,
        )

    async def _end(self, member: _Member, how: str) -> None:
        if how == RETURNS:
            self._release(member)
            return
        with self._lock:
            member.released = member.doomed = True
        assert member.attempt is not None
        if how == FAILS:
            member.attempt.tell(do="raise", type="ValueError", message="of one of many")
            return
        member.executing.cancel()
        # Where nobody stops it, it goes on until it is let go, and its place is taken until then.
        await self._moves.until(member.executing.done, self._quiet)
        self._let_return(member.attempt)

    # ---- the story -----------------------------------------------------------------------

    async def _to_the_end(self, beacon: Beacon) -> Crowd:
        self._loop = asyncio.get_running_loop()
        for number in range(TASKS):
            # Behind those that are served first, and before others that wait.
            self._begin(beacon, doomed=TASKS // 2 <= number < TASKS // 2 + _UNSENT)
        told = await self._told(beacon)
        await self._end_all()
        return told if told.trouble else self._outcomes(told)

    async def _told(self, beacon: Beacon) -> Crowd:
        if not await self._moves.until(
            lambda: bool(self._held() or not self._waiting()), self._guard
        ):
            return self._trouble(Crowd(0), "none begins", self._waiting())
        await self._until_quiet()
        first = Crowd(len(self._held()))
        if not self._held() or not self._waiting():
            return first
        endings = [FAILS, *([IS_CANCELLED] if self._is_awaited else [])]
        for how in endings:
            if not await self._next(how):
                return self._trouble(first, "no next", self._waiting())
            if not self._waiting() or not self._held():
                return Crowd(len(self._held()))

        first = Crowd(len(self._held()), await self._end_those_in_line())
        # Where nobody can be cancelled many wait, and lots among so many overtake for long.
        oldest = self._waiting()[0] if self._waiting() and self._is_awaited else None
        overtaken = 0
        while oldest is not None and oldest.waits and self._held():
            self._begin(beacon)
            await asyncio.sleep(_TO_THE_LINE)
            if not await self._next():
                trouble: Trouble = "lost" if first.ended_in_line else "no next"
                return self._trouble(first, trouble, [oldest], len(self._held()))
            if oldest.waits and (overtaken := overtaken + 1) >= OVERTAKING:
                return self._trouble(first, "overtaken", [oldest], overtaken)
        return await self._again(beacon, first)

    async def _end_those_in_line(self) -> int:
        """Cancel all that wait but for the first and the last of them; how many have ended."""
        doomed = sum(
            m.doomed and m.attempt is None and not m.executing.done()
            for m in self._members.values()
        )
        if not self._is_awaited:
            return doomed
        cancelled = self._waiting()[1:-1]
        for member in cancelled:
            member.released = True
            member.doomed = True
            member.executing.cancel()
        ended = {member.executing for member in cancelled}
        await self._moves.until(lambda: all(each.done() for each in ended), self._quiet)
        return len(cancelled) + doomed

    async def _again(self, beacon: Beacon, first: Crowd) -> Crowd:
        """See how many run at once now."""
        old = list(self._members.values())
        for member in old:
            self._release(member)
        ended = [member.executing for member in old if not member.doomed]
        if not await self._moves.until(lambda: all(each.done() for each in ended), self._guard):
            waiting = self._waiting() or old
            return self._trouble(first, "lost", waiting, 0)
        new = [self._begin(beacon) for _ in range(first.at_once + MORE)]
        if not await self._moves.until(lambda: len(self._held()) >= first.at_once, self._guard):
            return self._trouble(first, "lost", new[-1:], len(self._held()))
        await self._until_quiet()
        if len(self._held()) > first.at_once:
            return self._trouble(first, "gained", new[-1:], len(self._held()))
        return first

    def _trouble(
        self, first: Crowd, trouble: Trouble, about: Sequence[_Member], count: int = 0
    ) -> Crowd:
        self._is_over = trouble not in ("overtaken", "gained")
        history = self._history.of(about[0].dispatch) if about else History()
        return Crowd(
            first.at_once,
            first.ended_in_line,
            trouble,
            count,
            ended_by=self._ended_by,
            history=history,
        )

    async def _end_all(self) -> None:
        members = list(self._members.values())
        for member in members:
            self._release(member)
        limit = patience.SHORTLY if self._is_over else self._guard
        await self._moves.until(lambda: all(m.executing.done() for m in members), limit)
        left = {member.executing for member in members if not member.executing.done()}
        for executing in left:
            executing.cancel()
        if left:
            await asyncio.wait(left, timeout=5)

    def _outcomes(self, told: Crowd) -> Crowd:
        """The same, with what is wrong with the outcome of one of them."""
        for member in self._members.values():
            if member.doomed:
                continue
            problem = _problem(member)
            if problem:
                wrong = f"{member.label}: {problem}"
                return Crowd(
                    told.at_once,
                    told.ended_in_line,
                    wrong=wrong,
                    is_mixed_up=any(f"result of {label}'" in problem for label in self._members),
                    history=self._history.of(member.dispatch),
                )
        return told


def _problem(member: _Member) -> str:
    executing = member.executing
    if not executing.done() or executing.cancelled():
        return "execute did not end after its task had been told to"
    seen = executing.result()
    if seen.completed and seen.result == f"result of {member.label}":
        return ""
    return str(seen)


def at_once_on_another(subject: Subject, tasks: int, enough: int) -> int:
    """How many of some tasks run at once on a fresh instance, where none is cancelled."""
    return _Story(subject, subject.build(), History()).at_once(tasks, enough)
