"""Tasks that go wrong in bad ways, all of several rules at once, and the next task after each."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..instruments import patience
from ..instruments.beacon import Attempt
from ..instruments.by_value import ByValue
from ..instruments.history import History, recorded
from ..instruments.odd import (
    BROKEN_WIRES,
    ODD_ERRORS,
    PLUMBING,
    OddError,
    Uncarriable,
    forget_module_of_the_worker,
    new_message,
    raise_odd,
    raise_plumbing,
    uncarriable,
)
from ..instruments.probes import echo, report_home
from ..instruments.seen import Seen
from ..subject.kept import Kept
from ..subject.subject import Subject
from .neighbours import Meeting, note_beside
from .recovery import no_end

#: Instead of an exit code: the end that nobody can prepare for.
KILLED: Final = -9


@dataclass(frozen=True, slots=True)
class Accident:
    """One task that goes wrong."""

    rule_id: str
    function: Any
    args: tuple[Any, ...]
    #: What is special about it, as the check of its rule reads it.
    about: Any
    by_value: bool = True
    #: Words that nobody has said before, of the error that it raises.
    message: str = ""
    #: How often it may be attempted again.
    retries: int = 0
    #: Whether an ordinary task follows on its instance.
    is_followed: bool = True


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What became of one of them, and of the ordinary task that followed on its instance."""

    #: See `recovery.has_no_end`.
    seen: Seen
    #: What the next task came to, if that is anything but its result.
    after: Seen | None
    #: How often the task reported before it ended its worker, or raised what plumbing uses.
    reports: int = 0
    #: What left the event loop meanwhile that ends another host's.
    escaped: Sequence[BaseException] = ()
    #: Whether its `setup` or `run` was seen to begin and its `teardown` was not.
    not_torn_down: bool = False


def accidents_of(subject: Subject, rule_id: str) -> list[Accident]:
    """The tasks that a rule is judged by, as many as the profile asks for."""
    if rule_id == "RES-08":
        codes: tuple[tuple[Any, ...], ...] = ((), (0,), ("words",), (3,))
        wanted = subject.pick(quick=codes[1:3], default=codes, thorough=codes)
        return [Accident(rule_id, _exit, code, code) for code in wanted]
    if rule_id == "RES-09":
        return _deaths(subject)
    if rule_id == "RES-10":
        tasks = list(uncarriable())
        few = [tasks[place] for place in (0, 3, 5, 8, -1)]
        return list(map(_sent, subject.pick(quick=few, default=tasks, thorough=tasks)))
    if rule_id == "RES-19":
        every = (*PLUMBING, *BROKEN_WIRES)
        names = subject.pick(quick=PLUMBING, default=every, thorough=every)
        return [each for name in names for each in _plumbed(name)]
    odd = [ODD_ERRORS[place] for place in (1, 4, 6, 7)]
    return list(map(_raised, subject.pick(quick=odd, default=ODD_ERRORS, thorough=ODD_ERRORS)))


def _deaths(subject: Subject) -> list[Accident]:
    if subject.preflight().place == "this process":
        return []
    codes = (3, 0, KILLED) if hasattr(signal, "SIGKILL") else (3, 0)
    return [Accident("RES-09", _end_worker, (code, os.getpid()), code) for code in codes]


def _sent(task: Uncarriable) -> Accident:
    return Accident("RES-10", task.function, task.args, task, task.by_value)


def _raised(odd: OddError) -> Accident:
    # Not in the source of the task: a traceback alone does not show it.
    message = new_message()
    return Accident("RES-12", raise_odd, (odd.type_name, message), odd, message=message)


def _plumbed(name: str) -> Iterator[Accident]:
    # A task that is attempted again and one that follows would be waited for one after the other.
    for retries in (0, 1):
        message = new_message()
        yield Accident(
            "RES-19", _report_and_raise, (name, message), name,
            message=message, retries=retries, is_followed=not retries,
        )  # fmt: skip


def _report_and_raise(name: str, message: str, *report: Any) -> None:
    if report:
        report_home(*report)
    raise_plumbing(name, message)


def _exit(*code: Any) -> None:
    import sys

    sys.exit(*code)


def _end_worker(code: int, host: int, *report: Any) -> None:
    import contextlib
    import os

    if report:
        function, *args = report
        function(*args)
    # In the process of the host a signal would end the suite; of an exit it is told.
    if code < 0 and os.getpid() != host:
        with contextlib.suppress(OSError):
            os.kill(os.getpid(), -code)
    # The first process of a container is deaf to its own signals.
    os._exit(abs(code))


# ---- all at once -----------------------------------------------------------------------------

#: What may break a backend for those that come after it, and what does so less often.
_HARSH: Final = ("RES-08", "RES-09", "RES-19")
_TAME: Final = ("RES-10", "RES-12")

Found = Mapping[str, Sequence[tuple[Accident, Aftermath | None]]]


def all_at_once(subject: Subject, rule_id: str) -> Sequence[tuple[Accident, Aftermath | None]]:
    """What the accidents of a rule came to, among those of other rules; None where unknown.

    They run when they are first asked for. What is seen condemns nobody: a pool of all instances
    that broke by one of them is lost for the others.
    """
    return _found.of(subject).get(rule_id, ())


def broke_something(subject: Subject) -> bool:
    """Whether, when all had run at once, an ordinary task did not work on one of the instances."""
    return not subject.apart and any(
        aftermath is None or aftermath.after is not None
        for accidents in _found.of(subject).values()
        for _, aftermath in accidents
    )


def _try_all(subject: Subject) -> Found:
    # A cluster that is lost cannot be had again, a backend of this machine in a new process.
    batches = [_TAME + _HARSH] if subject.preflight().is_local else [_TAME, _HARSH]
    found: dict[str, list[tuple[Accident, Aftermath | None]]] = {}
    for rules in batches:
        accidents = [each for rule in rules for each in accidents_of(subject, rule)]
        for accident, aftermath in zip(accidents, _tried(subject, accidents), strict=True):
            found.setdefault(accident.rule_id, []).append((accident, aftermath))
    return found


_found: Final = Kept(_try_all)


def _tried(subject: Subject, accidents: Sequence[Accident]) -> Sequence[Aftermath | None]:
    harsh = any(each.rule_id == "RES-08" for each in accidents)
    try:
        executors = [executor_for(subject, accident) for accident in accidents]
        beside = Meeting(subject) if harsh and subject.preflight().reachable else None
        return _live_through(subject, accidents, executors, patience.RECOVERY, beside)
    except (Exception, asyncio.CancelledError):
        # Of all of them nothing is known: each is tried by itself.
        return [None] * len(accidents)


def executor_for(subject: Subject, accident: Accident) -> Any:
    """A fresh executor, with the retries that an accident is to have."""
    return subject.build(**({"retries": accident.retries} if accident.retries else {}))


def one_alone(subject: Subject, executor: Any, accident: Accident) -> Aftermath:
    """What one of them comes to by itself."""
    with subject.following(executor):
        return _live_through(subject, [accident], [executor], patience.FAILURE)[0]


def _live_through(
    subject: Subject,
    accidents: Sequence[Accident],
    executors: Sequence[Any],
    limit: float,
    beside: Meeting | None = None,
) -> list[Aftermath]:
    """Run them at once, each on its executor, and then an ordinary task on each.

    Who has not ended `limit` seconds after anything has happened is given up. Others run
    `beside` them, for the same wait.
    """
    before = len(subject.escaped)
    dispatches = [subject.new_dispatch() for _ in accidents]
    history: list[History] = []

    def die(attempt: Attempt, _number: int) -> None:
        # Whose backend runs the task again loses that worker, too.
        attempt.tell(do="return", value=None)

    async def story() -> list[Aftermath]:
        with contextlib.ExitStack() as stack:
            reports: list[Attempt] = []
            address: Any = None
            # A class whose methods nobody can replace is judged without.
            with contextlib.suppress(TypeError, AttributeError):
                history.append(stack.enter_context(recorded(type(executors[0]))))
            if subject.preflight().reachable and any(a.rule_id in _REPORTING for a in accidents):
                beacon = stack.enter_context(subject.beacon(die))
                address, reports = beacon.address, beacon.attempts
            neighbours = None
            if beside is not None:
                line = stack.enter_context(subject.beacon(beside.answer))
                neighbours = asyncio.ensure_future(beside.story(line))
            going_wrong = [
                asyncio.ensure_future(
                    subject.execute(
                        executor, each.function, _args(each, number, address),
                        by_value=each.by_value, dispatch_id=dispatches[number],
                    )
                )
                for number, (each, executor) in enumerate(zip(accidents, executors, strict=True))
            ]  # fmt: skip
            followed = [number for number, each in enumerate(accidents) if each.is_followed]
            others = [number for number, each in enumerate(accidents) if not each.is_followed]
            ends = await _ends([going_wrong[number] for number in followed], limit, reports)
            words = [secrets.token_hex(4) for _ in followed]
            going_well = [
                asyncio.ensure_future(subject.execute(executors[number], echo, (word,)))
                for number, word in zip(followed, words, strict=True)
            ]
            # Those that nothing follows are attempted again meanwhile.
            last = [*going_well, *(going_wrong[number] for number in others)]
            last_ends = await _ends(last, limit, reports)
            nexts, other_ends = last_ends[: len(followed)], last_ends[len(followed) :]
            seen = dict(zip([*followed, *others], [*ends, *other_ends], strict=True))
            after = {
                number: None if _is(end, word) else end
                for number, word, end in zip(followed, words, nexts, strict=True)
            }
            if neighbours is not None and beside is not None:
                harm = await neighbours
                if beside.has_seen_an_end:
                    note_beside(subject, harm)
            escaped = subject.escaped[before:]
            labels = [str(attempt.hello["label"]) for attempt in reports]
            return [
                Aftermath(
                    seen[number],
                    after.get(number),
                    labels.count(str(number)),
                    escaped,
                    any(_not_torn_down(each, dispatches[number]) for each in history)
                    and callable(getattr(executors[number], "teardown", None)),
                )
                for number in range(len(accidents))
            ]

    try:
        return subject.drive(story, longer=limit * (_MANY + 2)) if accidents else []
    finally:
        forget_module_of_the_worker()


#: Workers that a task which ends them may cost before it is given up: a backend may try it again.
_MANY: Final = 10


#: The rules whose accidents report before they happen.
_REPORTING: Final = ("RES-09", "RES-19")


def _not_torn_down(history: History, dispatch_id: str) -> bool:
    its_own = history.of(dispatch_id)
    has_begun = its_own.count("setup") or its_own.count("run")
    return bool(has_begun) and not its_own.count("teardown")


def _args(accident: Accident, number: int, address: Any) -> tuple[Any, ...]:
    if accident.rule_id not in _REPORTING or address is None:
        return accident.args
    if accident.rule_id == "RES-19":
        return (*accident.args, address, str(number))
    return (*accident.args, ByValue(report_home), address, str(number))


def _is(seen: Seen, word: str) -> bool:
    return seen.completed and bool(seen.result == word)


async def _ends(
    executing: Sequence[asyncio.Task[Seen]], limit: float, reports: Collection[Attempt]
) -> list[Seen]:
    """How each of them ended; those that do not are cancelled."""
    pending = set(executing)
    moves = True
    while pending and moves:
        # Its patience begins anew with every death.
        died = min(len(reports), _MANY * len(executing))
        done, pending = await asyncio.wait(
            pending, timeout=limit, return_when=asyncio.FIRST_COMPLETED
        )
        moves = bool(done) or min(len(reports), _MANY * len(executing)) > died
    for each in pending:
        each.cancel()
    if pending:
        await asyncio.wait(pending, timeout=5)
    return [no_end(limit) if each in pending else _seen(each) for each in executing]


def _seen(executing: asyncio.Task[Seen]) -> Seen:
    # Whoever awaits a future that a GeneratorExit has ended is closed by that, as is every
    # coroutine above it, and has nothing to say: only the task of asyncio has.
    error = executing.exception()
    return Seen(error=error) if isinstance(error, GeneratorExit) else executing.result()
