"""What tasks leave behind that end in every way at once: in the host's process, and on its disk."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from ..instruments import patience
from ..instruments.beacon import Attempt
from ..instruments.elsewhere import Elsewhere
from ..instruments.keepsakes import Keepsakes
from ..instruments.probes import echo, report_home
from ..instruments.process_state import ProcessState, may_be_there_to_stay
from ..instruments.residue import Held, files_below, held
from ..instruments.seen import finish
from ..subject.exceptions import CouldNotRun
from ..subject.kept import Kept
from ..subject.subject import Subject
from .endings import MARK, SUCCEEDS, Ending, endings

T = TypeVar("T")

#: So many tasks of each ending are in one batch.
_EACH: Final = 2

#: Turns of the event loop that an asyncio task gets which is about to end.
TURNS: Final = 10

#: Seconds for what is about to end, where it decides only whether a longer trial is worth its time.
_GRACE: Final = 0.2

#: Whose asyncio tasks are made at this moment.
_maker: ContextVar[list[Any] | None] = ContextVar("asyncexec_maker", default=None)


@dataclass(slots=True)
class Traces:
    """What some tasks have left that ran at once."""

    #: The endings of which each task had left asyncio tasks.
    running: Collection[str] = ()
    #: How the state of the process was changed.
    changes: list[str] = field(default_factory=list)
    #: Whether it was another when one of them had just ended.
    passing: bool = False
    #: The kinds of things of which there are more.
    grown: Collection[str] = ()
    files: Collection[str] = ()

    def __bool__(self) -> bool:
        return bool(self.running or self.changes or self.grown or self.files or self.passing)


@dataclass(slots=True)
class Aftermath:
    """What the tasks of a subject have left, by how they ended."""

    executor: Any
    kinds: Mapping[str, Ending]
    #: The folders in which files of tasks may lie, by what they are called in a finding.
    folders: dict[str, Path]
    #: Where else they may lie.
    elsewhere: Elsewhere
    #: What they were given, and have returned and printed.
    keepsakes: Keepsakes
    #: By how they ended; empty where tasks of all kinds at once have left nothing.
    of: dict[str, Traces] = field(default_factory=dict)
    #: What the first tasks of all had changed, which ended in every way.
    first_changes: list[str] = field(default_factory=list)
    #: Whether the tasks do not succeed but one after the other, as CNC-01 tells.
    one_by_one: bool = False
    #: Grows with every task that has ended.
    ended: int = 0


#: Nothing, until they have run; then what they have left, or why they did not come to an end.
_known: Final[Kept[list[Aftermath | BaseException]]] = Kept(lambda _: [])


def aftermath(subject: Subject) -> Aftermath:
    """What the tasks of a subject leave behind; they run once for all rules that ask.

    Raises:
        Hang: they do not come to an end; the second time CouldNotRun.
    """
    known = _known.of(subject)
    if not known:
        try:
            known.append(_look(subject))
        except BaseException as error:
            known.append(error)
            raise
    (found,) = known
    if isinstance(found, BaseException):
        raise CouldNotRun(f"the tasks that were to be looked at did not come to an end: {found}")
    return found


def _look(subject: Subject) -> Aftermath:
    temporary, cache = subject.new_folder(), subject.new_folder()
    executor = subject.build()
    with contextlib.suppress(Exception):
        executor.cache_dir = str(cache)
    folders = {"the temporary folder": temporary, "cache_dir": cache}
    elsewhere = Elsewhere(subject.folder)
    keepsakes = Keepsakes(prints=subject.preflight().captures_streams)
    kinds = endings(subject, executor, keepsakes)
    seen = Aftermath(executor, kinds, folders, elsewhere, keepsakes)

    with temporary_folder(temporary), elsewhere.watched(), subject.following(executor):
        # What is there to stay, a client for one, is there after these.
        first = _run(subject, seen, *seen.kinds)
        seen.first_changes = [c for c in first.changes if not may_be_there_to_stay(c)]
        folders.update(_named_folders(executor, folders.values()))
        if _traces(subject, seen, *seen.kinds):
            # One way after the other: what one task puts back another one may have left.
            seen.of = {kind: _traces(subject, seen, kind) for kind in seen.kinds}
    return seen


def _run(subject: Subject, seen: Aftermath, *kinds: str) -> Traces:
    """Run some tasks of each kind at once, and see what they have changed or left running."""
    state, left = ProcessState(), Traces()
    subject.drive(lambda: _batch(subject, seen, kinds, state, left), progress=lambda: seen.ended)
    left.changes = state.changes()
    state.restore()
    return left


def _traces(subject: Subject, seen: Aftermath, *kinds: str) -> Traces:
    """Run some tasks of each kind at once, and see all that they have left."""
    before, files = held(), files_of_tasks(subject, seen)
    left = _run(subject, seen, *kinds)
    left.grown = settled(lambda: _grown(before, held()), _GRACE)
    left.files = settled(lambda: files_of_tasks(subject, seen) - files, _GRACE)
    return left


def files_of_tasks(subject: Subject, seen: Aftermath) -> set[str]:
    """The files and folders in the folders that were looked at, and tasks' temporary ones."""

    def owned(text: bytes) -> bool:
        return MARK.encode() in text or subject.tasks.has_drawn(text)

    # It comes to an end, however much others have there: that is nothing that hangs.
    with subject.elsewhere():
        return files_below(*seen.folders.values()) | seen.elsewhere.temporary_files(owned)


async def _batch(
    subject: Subject, seen: Aftermath, kinds: Collection[str], state: ProcessState, left: Traces
) -> None:
    """Run them, and note what shows while their loop lives."""
    trials = [kind for kind in kinds for _ in range(_EACH)]
    made: list[list[Any]] = [[] for _ in trials]
    places = asyncio.Semaphore(1 if seen.one_by_one else len(trials))

    async def one(kind: str, mine: list[Any]) -> object:
        _maker.set(mine)
        async with places:
            try:
                return await seen.kinds[kind]()
            finally:
                seen.ended += 1
                left.passing = left.passing or bool(state.changes())

    pair = overlapping(subject, seen.executor) if SUCCEEDS in kinds else asyncio.sleep(0)
    with _noting_who_makes_tasks():
        if seen.one_by_one:
            await pair
        work = [one(kind, mine) for kind, mine in zip(trials, made, strict=True)]
        *outcomes, _ = await asyncio.gather(
            *work, asyncio.sleep(0) if seen.one_by_one else pair, return_exceptions=True
        )
        for _ in range(TURNS):
            await asyncio.sleep(0)
    failed = {k: e for k, e in zip(trials, outcomes, strict=True) if isinstance(e, BaseException)}
    if SUCCEEDS in failed and not seen.one_by_one:
        # Too many at once, or neighbours of one that has ended its process.
        seen.one_by_one = True
        await _batch(subject, seen, kinds, state, left)
        return
    for error in failed.values():
        raise error
    quiet = {
        kind for kind, mine in zip(trials, made, strict=True) if all(task.done() for task in mine)
    }
    left.running = set(kinds) - quiet


@contextlib.contextmanager
def _noting_who_makes_tasks() -> Iterator[None]:
    """Within this block, know for whom each asyncio task of this loop is made."""
    loop = asyncio.get_running_loop()
    former = loop.get_task_factory()

    def make(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> Any:
        task = (
            former(loop, work, **options)
            if former is not None
            else asyncio.Task(work, loop=loop, **options)
        )
        maker = _maker.get()
        if maker is not None:
            maker.append(task)
        return task

    loop.set_task_factory(make)
    try:
        yield
    finally:
        loop.set_task_factory(former)


async def overlapping(subject: Subject, executor: Any) -> None:
    """Two tasks of which the first to begin is the first to end, where the executor lets them."""
    facts = subject.preflight()
    if not facts.reachable or facts.blocks_loop_at:
        await asyncio.gather(*(subject.execute(executor, echo, (n,)) for n in range(2)))
        return
    with subject.beacon() as beacon:
        both = [
            asyncio.ensure_future(
                subject.execute(executor, report_home, (beacon.address, str(number)))
            )
            for number in range(2)
        ]
        everyone = asyncio.gather(*both, return_exceptions=True)
        begun = asyncio.ensure_future(beacon.reported(2, everyone))
        # Who queues is right, and is only judged without tasks that overlap.
        await asyncio.wait({begun}, timeout=1 + 2 * facts.seconds)
        begun.cancel()

        def end_first(attempt: Attempt, _number: int) -> None:
            if attempt.hello["label"] == "0":
                _return(attempt, 0)

        for attempt in beacon.answer_with(end_first):
            end_first(attempt, 0)
        queued = len(beacon.attempts) < 2
        if not queued:
            await finish(both[0])
        # ... and only then the other one.
        for attempt in beacon.answer_with(_return):
            _return(attempt, 0)
        for each in both:
            await finish(each)


def _return(attempt: Attempt, number: int) -> None:
    attempt.tell(do="return", value=None)


# ---- how it is looked ----------------------------------------------------------------------


def _grown(before: Held, now: Held) -> list[str]:
    return [what for what, things in now.items() if len(things) > len(before[what])]


def settled(look: Callable[[], T], limit: float | None = None) -> T:
    """What is seen when what was about to end has had the time to do so."""
    end = time.monotonic() + (patience.LEFTOVERS if limit is None else limit)
    while (seen := look()) and time.monotonic() < end:
        time.sleep(0.02)
    return seen


#: So many folders deep, and so many files, is where a folder of an executor's own ends.
_MANY: Final = 2_000


def _named_folders(executor: Any, known: Collection[Path]) -> dict[str, Path]:
    """The folders that other attributes of the executor name, but for those of everybody."""
    everybody = {Path.home(), Path.cwd(), Path(tempfile.gettempdir()), Path("/")}
    found: dict[str, Path] = {}
    for name, value in _attributes(executor).items():
        if not isinstance(value, str | Path) or not str(value):
            continue
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            folder = Path(value).expanduser().absolute()
            shared = any(other.is_relative_to(folder) for other in everybody)
            if folder in known or shared or not folder.is_dir():
                continue
            if len(files_below(folder, most=_MANY)) < _MANY:
                found[name] = folder
    return found


def _attributes(executor: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with contextlib.suppress(Exception):
        found |= dict(executor.to_dict()["attributes"])
    return found | dict(getattr(executor, "__dict__", {}))


@contextlib.contextmanager
def temporary_folder(folder: Path) -> Iterator[None]:
    """Have this process, and every child of it, make its temporary files there."""
    names = ("TMPDIR", "TEMP", "TMP")
    environment = {name: os.environ.get(name) for name in names}
    tempdir = tempfile.tempdir
    os.environ.update(dict.fromkeys(names, str(folder)))
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = tempdir
        for name, value in environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
