"""Runs tasks of the plan, as many at once as are wanted, and keeps what is seen of each."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import math
import secrets
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from ..instruments import patience
from ..instruments.beacon import Attempt
from ..instruments.blocking import nobody_sleeps_on_a_loop
from ..instruments.history import METHODS, History, lingering, under_way
from ..instruments.liveness import living
from ..instruments.loop import waiting_line
from ..instruments.overhearing import overheard
from ..instruments.seen import Seen
from ..plan import values
from ..plan.conditions import (
    AFTER_FAILURE,
    CANCELLATIONS,
    CANCELLED_AT_WORK,
    CANCELLED_TWICE,
    DIES,
    FAILURES,
    RAISES,
    RETURNS,
    SHARED_DISPATCH,
    SHORT,
    STOPPED,
    TOO_LATE,
    UNDER_HOME,
    USUAL,
    Row,
    row,
)
from ..plan.observation import Observation, limit_of
from ..plan.own import new_own, printed_in
from ..plan.task import act
from ..subject.blame import explain
from ..subject.exceptions import CouldNotRun
from ..subject.subject import Subject
from .description import Written, written
from .stopping import is_awaited, limit_guard, within

#: So many tasks are under way at once. Of more of them, the first attempts of some would stand in
#: the queue of an executor with as many workers before the second attempts of others.
AT_ONCE: Final = 64

#: Seconds that setup and teardown take longer, so that whoever does not wait for them is seen.
#: Whoever does wait is only slower: no right executor can fail by it.
_LINGER: Final = 0.01

#: So often those are given up that do not end, before the others are not tried any more.
_GIVEN_UP: Final = 2
#: So often it is looked whether anything has happened, in the time after which nothing will.
_LOOKS: Final = 10
#: How the reason begins why a task that was to be cancelled says nothing.
NEVER_BEGAN: Final = "the task never began"
_STUCK: Final = "too many tasks before them never ended"

_LOG_OF: Final = {"stdout": "out.log", "stderr": "err.log"}


@dataclass(slots=True, eq=False)
class Instance:
    """One executor that tasks of the plan share, and what it was like before and after them."""

    executor: Any
    #: What the rows that it serves ask of it.
    asked: Row
    before: dict[str, Any]
    logs: dict[str, Path | str]
    after: dict[str, Any] = field(default_factory=dict)
    first: asyncio.Task[Any] | None = None
    #: Of all its tasks, but for the one that comes first where others are the second.
    rows: list[Row] = field(default_factory=list)
    written_before: Written = field(default_factory=Written)
    written_after: Written = field(default_factory=Written)


@dataclass(slots=True)
class Sight:
    """What one batch of tasks has shown."""

    observations: list[Observation] = field(default_factory=list)
    #: Why a task was not tried, by what stood in its way.
    untried: dict[str, list[Row]] = field(default_factory=dict)
    instances: list[Instance] = field(default_factory=list)
    #: Lines at which asyncio tasks waited that nobody had waited for.
    leftovers: list[str] = field(default_factory=list)


def observe(
    subject: Subject, rows: Iterable[Row], *, at_once: int = AT_ONCE, one_stood: bool = False
) -> Sight:
    """Run one task for each row and say what was seen.

    Args:
        subject: whose executors run them.
        rows: their conditions; see `possible` for what a subject can be asked.
        at_once: how many are under way at the same time, at the most.
        one_stood: whether nothing has stopped a task by now that was to be stopped.

    Raises:
        Hang: the event loop of the host was blocked for good.
    """
    batch = _Batch(subject, list(rows), one_stood=one_stood)
    heard = subject.new_folder() / "printed by the host"
    with contextlib.ExitStack() as stack:
        in_this_process = subject.preflight().place == "this process"
        stack.enter_context(overheard(heard, descriptors=in_this_process))
        batch.prepare(stack)
        if not batch.trials:
            return batch.sight
        first = batch.trials[0].instance.executor
        linger = {"setup": lingering(_LINGER), "teardown": lingering(_LINGER)}
        # A class whose methods nobody can replace is judged without.
        with contextlib.suppress(TypeError, AttributeError):
            batch.history = stack.enter_context(subject.recording(first, **linger))
        stack.enter_context(nobody_sleeps_on_a_loop(first))
        if subject.preflight().reachable:
            beacon = stack.enter_context(subject.beacon(batch.answer))
            batch.address = beacon.address
        subject.drive(
            lambda: batch.story(at_once),
            longer=6 * subject.preflight().seconds,
            progress=lambda: batch.steps,
        )
    printed = printed_in(heard.read_text(encoding="utf-8", errors="replace"))
    seen = batch.sight.observations
    seen[:] = [replace(each, overheard=printed.get(each.own, "")) for each in seen]
    return batch.sight


@dataclass(slots=True, eq=False)
class _Trial:
    """One task: what is asked of it, where it runs, and who reports for it."""

    row: Row
    own: str
    dispatch_id: str
    node_id: int
    instance: Instance
    reports: list[Attempt] = field(default_factory=list)
    reported: asyncio.Event = field(default_factory=asyncio.Event)
    executing: asyncio.Task[Seen] | None = None
    #: Whether its attempts wait, once they have reported: until its outcome is known.
    held: bool = False
    #: See `Observation.let_go`.
    let_go: bool = False
    #: What was awaited for it, as it stood the moment `execute` ended.
    history: History = field(default_factory=History)
    #: What attempts said that were asked whether they live when the next one had reported.
    asked: list[tuple[Attempt, concurrent.futures.Future[Any]]] = field(default_factory=list)

    @property
    def is_under_way(self) -> bool:
        """Whether it has begun, or the task before it on its instance has."""
        return self.executing is not None or self.instance.first is not None

    @property
    def is_held_back(self) -> bool:
        """Whether it has begun, and waits to be let go."""
        return self.held and bool(self.reports)

    @property
    def is_to_be_over(self) -> bool:
        """Whether its host has cancelled it, or its limit runs."""
        if self.row["end"] in CANCELLATIONS:
            return self.executing is not None and self.executing.cancelling() > 0
        return True


class _Batch:
    """Some tasks and what becomes of them."""

    def __init__(self, subject: Subject, rows: Sequence[Row], *, one_stood: bool = False) -> None:
        self.subject = subject
        self.rows = rows
        self._one_stood = one_stood
        self.sight = Sight()
        self.trials: list[_Trial] = []
        self.history = History()
        self.address: Any = None
        #: Grows with everything that happens: who asks twice sees whether anything still does.
        self.steps = 0
        self._results = subject.new_folder()
        self._lock = threading.Lock()
        self._by_own: dict[str, _Trial] = {}
        self._executing: list[asyncio.Task[Seen]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._short = short_limit(subject)
        self._captures = subject.preflight().captures_streams

    # ---- before: executors and ids ---------------------------------------------------------

    def prepare(self, stack: contextlib.ExitStack) -> None:
        """Build the executors, and give each task what tells it from all others.

        What must not stay when the tasks have ended is left to the stack.
        """
        shared: dict[tuple[str, ...], Instance] = {}
        dispatches = _Dispatches(self.subject)
        for number, each in enumerate(self.rows):
            key = tuple(each[name] for name in ("retries", "limit", "logs"))
            key += (each["turn"],) if each["turn"] == AFTER_FAILURE else ()
            instance = shared.get(key) if each["instance"] != "its own" else None
            if instance is None:
                try:
                    instance = self._build(each, stack)
                except BaseException as error:
                    # sys.exit() and pytest.skip(), too, are ways of not giving an executor.
                    self.sight.untried.setdefault(_why(error), []).append(each)
                    continue
                if each["instance"] != "its own":
                    shared[key] = instance
                self.sight.instances.append(instance)
            own = new_own(number)
            dispatch = dispatches.of(each)
            trial = _Trial(each, own, dispatch, int(each["node"]), instance)
            trial.held = each["end"] in STOPPED
            instance.rows.append(each)
            self.trials.append(trial)
            self._by_own[own] = trial
        # Who takes the longest begins first, so that few are left to be waited for at the end.
        self.trials.sort(key=lambda trial: _turns(trial.row), reverse=True)

    def _build(self, each: Row, stack: contextlib.ExitStack) -> Instance:
        attributes: dict[str, Any] = {"retries": int(each["retries"])}
        limit = self._limit_of(each)
        if limit != -1 or "stop" not in self.subject.preflight().cannot:
            attributes["time_limit"] = limit
        logs: dict[str, Path | str] = {}
        if each["logs"] == "both":
            logs = dict(_LOG_OF)
        elif each["logs"] == "one file for both":
            logs = {"stdout": "both.log", "stderr": "both.log"}
        elif each["logs"] == "stdout alone, under an absolute path":
            logs = {"stdout": self.subject.new_folder() / "out.log"}
        elif each["logs"] == UNDER_HOME:
            logs = {"stdout": _folder_in_home(self.subject, stack) / "out.log"}
        elif each["logs"] == "unwritable":
            # A folder where the one file is to be, a file where the other's folder is to be: no
            # permission helps against either.
            folder = self.subject.new_folder()
            (folder / "file").touch()
            attributes["log_stdout"] = str(folder)
            attributes["log_stderr"] = str(folder / "file" / "err.log")
        attributes |= {f"log_{stream}": str(path) for stream, path in logs.items()}
        if each["logs"] == UNDER_HOME:
            attributes["log_stdout"] = _from_home_on(Path(logs["stdout"]))
        try:
            executor = self.subject.build(**attributes)
        except CouldNotRun:
            # A negative limit other than the documented one may be refused.
            if limit != -60 or not _takes(self.subject, -1):
                raise
            _refuse_negative.add(self.subject)
            executor = self.subject.build(**attributes | {"time_limit": -1})
        return Instance(executor, each, settings(executor), logs, written_before=written(executor))

    def _limit_of(self, each: Row) -> float:
        if each["limit"] == "-60" and self.subject in _refuse_negative:
            return -1
        return limit_of(each, self._short)

    # ---- on a thread of the beacon's -------------------------------------------------------

    def answer(self, attempt: Attempt, _number: int) -> None:
        """Tell an attempt its number, or hold it."""
        with self._lock:
            self.steps += 1
            trial = self._by_own.get(str(attempt.hello["label"]))
            if trial is None:
                attempt.tell(do="return", value=1)
                return
            if trial.held and trial.reports:
                before = trial.reports[-1]
                trial.asked.append((before, before.ask(do="answer")))
            trial.reports.append(attempt)
            number, held = len(trial.reports), trial.held
        if not held:
            attempt.tell(do="return", value=number)
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(trial.reported.set)

    # ---- on the event loop -----------------------------------------------------------------

    async def story(self, at_once: int) -> None:
        """Run all of them, and look at what they leave behind."""
        self._loop = asyncio.get_running_loop()
        before = asyncio.all_tasks()
        free = asyncio.Semaphore(at_once)
        trying = {asyncio.ensure_future(self._try(trial, free)): trial for trial in self.trials}
        ends: dict[_Trial, Observation] = {}
        pending = set(trying)
        known, moved, given_up = -1, self._loop.time(), 0
        while pending and given_up < _GIVEN_UP:
            done, pending = await asyncio.wait(
                pending, timeout=self._guard() / _LOOKS, return_when=asyncio.FIRST_COMPLETED
            )
            for each in done:
                self.steps += 1
                try:
                    seen = each.result()
                except BaseException as error:
                    # What one of them does to the suite must not lose the others.
                    why = f"a task could not be followed: {explain(error)}"
                    self.sight.untried.setdefault(why, []).append(trying[each].row)
                    continue
                if seen is not None:
                    ends[trying[each]] = seen
            if done or self.steps != known:
                known, moved = self.steps, self._loop.time()
                continue
            if self._loop.time() - moved < self._guard():
                continue
            moved = self._loop.time()
            standing = [trying[each] for each in pending if trying[each].is_held_back]
            if standing:
                # Nothing happens any more: whatever is held was to be stopped, and is not. Those
                # that stand in the queue behind it have still to show what becomes of them.
                self._one_stood = True
                for trial in standing:
                    trial.let_go = trial.is_to_be_over
                    if trial.row["end"] == TOO_LATE:
                        limit_guard.of(self.subject).has_stood = True
                    self._let_go(trial)
                continue
            # Only of those that have begun is it known that they do not end.
            given_up += 1
            stuck = {each for each in pending if trying[each].is_under_way} or pending
            for each in stuck:
                trial = trying[each]
                trial.history = self._history_of(trial)
                ends[trial] = self._observation(trial, None, stood=_stands_at(trial))
                each.cancel()
            await asyncio.wait(stuck, timeout=5)
            pending -= stuck
        for each in pending:
            self.sight.untried.setdefault(_STUCK, []).append(trying[each].row)
        # Nothing of them may stay on the loop, on which other rules are judged.
        left: set[asyncio.Future[Any]] = {*pending}
        left.update(each for each in self._executing if not each.done())
        if left:
            for unended in left:
                unended.cancel()
            await asyncio.wait(left, timeout=5)
        self.sight.observations += [
            replace(ends[trial], kept_logs=self._logs_of(trial))
            for trial in self.trials
            if trial in ends
        ]
        await asyncio.sleep(0)
        self._look_back(before | set(trying))

    def _guard(self) -> float:
        longest = self._short if any(t.row["end"] == TOO_LATE for t in self.trials) else 0.0
        # That what is to be stopped may go on is known: of others it is only to be seen which ones.
        known = self._one_stood and all(t.row["end"] in STOPPED for t in self.trials)
        guard = patience.SHORTLY if known else patience.PAST_LIMIT
        return longest + guard + 3 * self.subject.preflight().seconds

    def _let_go(self, trial: _Trial) -> None:
        """Let its attempts return, and all that are still to come."""
        with self._lock:
            trial.held = False
            reports = list(trial.reports)
        for number, attempt in enumerate(reports, 1):
            attempt.tell(do="return", value=number)

    async def _try(self, trial: _Trial, free: asyncio.Semaphore) -> Observation | None:
        async with free:
            if trial.row["turn"] != USUAL["turn"]:
                await self._first(trial.instance, trial.row["turn"])
            return await self._run(trial)

    async def _first(self, instance: Instance, turn: str) -> None:
        """Wait for the end of the first task of this instance, which all later ones share."""
        if instance.first is None:
            asked = {name: instance.asked[name] for name in ("retries", "limit", "logs")}
            usual = row(**asked, end=RAISES[0] if turn == AFTER_FAILURE else USUAL["end"])
            own = f"first{secrets.token_hex(4)}"
            trial = _Trial(usual, own, self.subject.new_dispatch(), 0, instance)
            with self._lock:
                self._by_own[own] = trial
            instance.first = asyncio.ensure_future(self._run(trial))
        await asyncio.shield(instance.first)

    async def _run(self, trial: _Trial, *, again: bool = False) -> Observation | None:
        limit = trial.instance.before["time_limit"]
        given = values.arguments(trial.row["arguments"], trial.own)
        names = values.named(trial.row["names"], trial.own)
        orders = {
            **{name: trial.row[name] for name in ("end", "result", "arguments", "names", "prints")},
            "fails": int(trial.row["fails"]),
            "errors": FAILURES[trial.row["errors"]],
            "own": trial.own,
        }
        trial.executing = executing = asyncio.ensure_future(
            self._execute(trial, (self.address, orders, *given), names)
        )
        self._executing.append(executing)
        cancels = trial.row["end"] in CANCELLATIONS
        if cancels:
            await self._cancel(trial, executing)
        await asyncio.wait({executing})
        refused = not executing.cancelled() and self._refused(trial, limit, executing.result())
        if refused and not again:
            return await self._run(trial, again=True)
        if cancels and not trial.reports and not executing.cancelled():
            # What is over before it begins cannot be cancelled.
            why = f"{NEVER_BEGAN}: {executing.result()}"
            self.sight.untried.setdefault(why, []).append(trial.row)
            return None
        if executing.cancelled():
            return await self._seen_of(trial, None, given, names)
        return await self._seen_of(trial, executing.result(), given, names)

    async def _execute(self, trial: _Trial, given: tuple[Any, ...], names: dict[str, Any]) -> Seen:
        under_way.set(trial.own)
        try:
            return await self.subject.execute(
                trial.instance.executor,
                act,
                given,
                names,
                dispatch_id=trial.dispatch_id,
                node_id=trial.node_id,
                results_dir=self._results,
            )
        finally:
            trial.history = self._history_of(trial)

    def _refused(self, trial: _Trial, limit: Any, seen: Seen) -> bool:
        """Whether `execute` has refused a limit that may be refused; another is set then."""
        if trial.reports or not refuses(seen):
            return False
        if trial.row["limit"] == SHORT and isinstance(limit, float) and limit % 1:
            self._short = whole_seconds(self.subject)
            instead = self._short
        elif limit == -60:
            _refuse_negative.add(self.subject)
            instead = -1
        else:
            return False
        instance = trial.instance
        instance.executor.time_limit = instance.before["time_limit"] = instead
        instance.written_before = written(instance.executor)
        return True

    async def _cancel(self, trial: _Trial, executing: asyncio.Task[Seen]) -> None:
        reported = asyncio.ensure_future(trial.reported.wait())
        await asyncio.wait({reported, executing}, return_when=asyncio.FIRST_COMPLETED)
        reported.cancel()
        if trial.row["end"] == CANCELLED_AT_WORK and trial.reports:
            for command in ("ignore_sigterm", "spin"):
                # Whether it could be done matters little: it waits for the suite then.
                await within(trial.reports[0].ask(do=command))
        executing.cancel()
        if trial.row["end"] == CANCELLED_TWICE:
            await asyncio.sleep(0)
            executing.cancel()
        if "stop" in self.subject.preflight().cannot:
            # Work that goes on may keep a thread that others, or the end of its own task, wait for.
            self._let_go(trial)

    async def _seen_of(
        self, trial: _Trial, seen: Seen | None, given: list[Any], names: dict[str, Any]
    ) -> Observation:
        alive: tuple[int, ...] = ()
        overlap: tuple[int, ...] = ()
        if trial.held:
            if "stop" not in self.subject.preflight().cannot:
                alive = tuple(a.hello["pid"] for a in await living(trial.reports))
                overlap = tuple(
                    attempt.hello["pid"]
                    for attempt, answer in trial.asked
                    if answer.done() and answer.result() is not None
                )
            with self._lock:
                # Who reports only now would wait for ever, and others for its place.
                trial.held = False
                reports = list(trial.reports)
            for attempt in reports:
                attempt.close()
        changed = values.difference(
            values.arguments(trial.row["arguments"], trial.own), given, "args", "became"
        ) or values.difference(
            values.named(trial.row["names"], trial.own), names, "kwargs", "became"
        )
        return self._observation(
            trial,
            seen,
            cancelled=seen is None,
            arguments=changed,
            alive=alive,
            overlap=overlap,
        )

    def _observation(self, trial: _Trial, seen: Seen | None, **more: Any) -> Observation:
        return Observation(
            row=trial.row,
            own=trial.own,
            dispatch_id=trial.dispatch_id,
            results_dir=str(self._results),
            seen=seen,
            attempts=None if self.address is None else len(trial.reports),
            history=trial.history,
            has=_methods_of(type(trial.instance.executor)),
            logs=self._logs_of(trial),
            captures=self._captures,
            let_go=trial.let_go,
            instance=id(trial.instance),
            may_run_again="at-most-once" in self.subject.preflight().cannot,
            **more,
        )

    def _history_of(self, trial: _Trial) -> History:
        shared = trial.row["dispatch"] == SHARED_DISPATCH
        node_id = trial.node_id if shared else None
        return self.history.of_task(trial.own, trial.dispatch_id, node_id)

    def _logs_of(self, trial: _Trial) -> dict[str, str]:
        found: dict[str, str] = {}
        if not self.subject.preflight().captures_streams:
            return found
        for stream, path in trial.instance.logs.items():
            # An absolute path stays as it is.
            file = self._results / trial.dispatch_id / path
            try:
                found[stream] = file.read_bytes().decode("utf-8", "backslashreplace")
            except OSError:
                found[stream] = ""
        return found

    # ---- afterwards ------------------------------------------------------------------------

    def _look_back(self, ours: set[asyncio.Task[Any]]) -> None:
        for instance in self.sight.instances:
            instance.after = settings(instance.executor)
            instance.written_after = written(instance.executor)


class _Dispatches:
    """Dispatch ids, none of which stands for two tasks with the same node id."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._shared: list[tuple[str, set[str]]] = []
        self._named: dict[str, Iterator[str]] = {}

    def of(self, each: Row) -> str:
        """The id for a task with these conditions."""
        if each["dispatch"] == "named with dots and capitals":
            return next(self._named.setdefault(each["node"], self._much_alike()))
        new = self._subject.new_dispatch()
        if each["dispatch"] == "named with digits alone":
            # With zeros in front, which a number would not keep.
            return f"{secrets.randbelow(10**28):030d}"
        if each["dispatch"] != SHARED_DISPATCH:
            return new
        for name, nodes in self._shared:
            if each["node"] not in nodes:
                nodes.add(each["node"])
                return name
        self._shared.append((new, {each["node"]}))
        return new

    def _much_alike(self) -> Iterator[str]:
        """Ids that are the same to whoever replaces what no name of a job may have."""
        while True:
            base = f"Dispatch_{self._subject.new_dispatch()}.2"
            yield from (f"{base}{sign}0" for sign in "._-")


#: Subjects that refuse a limit with a fraction of a second, and one below zero other than -1.
_count_whole_seconds: weakref.WeakSet[Subject] = weakref.WeakSet()
_refuse_negative: weakref.WeakSet[Subject] = weakref.WeakSet()


def short_limit(subject: Subject) -> float:
    """Seconds of a limit under which attempts begin, by how long the first task of all took.

    Whole ones, where a fraction is refused.
    """
    limit = max(0.5, 0.3 + 1.5 * subject.preflight().seconds)
    if subject not in _count_whole_seconds and _takes(subject, limit):
        return limit
    return whole_seconds(subject, limit)


def whole_seconds(subject: Subject, limit: float = 0.0) -> float:
    """A limit without a fraction, for a subject that refuses any other from now on."""
    _count_whole_seconds.add(subject)
    return math.ceil(limit or short_limit(subject))


def refuses(seen: Seen) -> bool:
    """Whether an executor has refused what its task was to run with, in the way that it may."""
    return isinstance(seen.error, ValueError | TypeError)


def _takes(subject: Subject, limit: float) -> bool:
    """Whether the attribute can be set to this limit."""
    try:
        subject.build(time_limit=limit)
    except CouldNotRun:
        return False
    except Exception:
        return True  # whoever builds the next one will say what is wrong
    return True


def _folder_in_home(subject: Subject, stack: contextlib.ExitStack) -> Path:
    """A new folder in the home folder, for as long as the stack; elsewhere where none can be."""
    try:
        folder = tempfile.TemporaryDirectory(prefix=".asyncexec-", dir=Path.home())
    except (OSError, RuntimeError):  # it cannot be written to, or there is none
        return subject.new_folder()
    return Path(stack.enter_context(folder))


def _from_home_on(path: Path) -> str:
    """The path as people write it, where it lies in the home folder."""
    with contextlib.suppress(ValueError, RuntimeError):
        return str(Path("~", path.relative_to(Path.home())))
    return str(path)


def _turns(each: Row) -> int:
    """How long a task takes, in attempts one after the other; one past its limit counts twice."""
    budget = int(each["retries"]) + 1
    first = budget if each["turn"] == AFTER_FAILURE else int(each["turn"] != USUAL["turn"])
    if each["end"] in CANCELLATIONS:
        return first + 1
    attempts = min(budget, int(each["fails"]) + 1) if each["end"] == RETURNS else budget
    return first + attempts * (1 + (each["end"] == TOO_LATE))


def settings(executor: Any) -> dict[str, Any]:
    """What is to be as before after any task: the documented attributes."""
    names = ("log_stdout", "log_stderr", "cache_dir", "time_limit", "retries")
    return {name: getattr(executor, name, None) for name in names}


def _stands_at(trial: _Trial) -> str:
    """Where a task stands that does not end, in words."""
    if trial.executing is None and trial.instance.first is not None:
        return "the task before it on its instance never ended"
    line = None if trial.executing is None else waiting_line(trial.executing.get_coro())
    return f"it waits at {line}" if line else "it waits for something that does not come"


def _methods_of(cls: type) -> tuple[Any, ...]:
    return tuple(method for method in METHODS if getattr(cls, method, None) is not None)


def _why(error: BaseException) -> str:
    if isinstance(error, CouldNotRun):
        return str(error)
    return f"no executor could be built: {explain(error)}"


def possible(subject: Subject, rows: Iterable[Row]) -> Iterator[Row]:
    """The rows that this subject can be asked: without what it declares or is seen to lack."""
    facts = subject.preflight()
    awaited = True
    with contextlib.suppress(BaseException):  # whoever builds one to run it says why there is none
        awaited = is_awaited(subject, subject.build())
    seen: set[tuple[str, ...]] = set()
    for each in rows:
        adapted = dict(each)
        stops = "stop" not in facts.cannot
        if each["end"] in STOPPED and not (facts.reachable and not facts.blocks_loop_at):
            continue
        if each["end"] in (TOO_LATE, CANCELLED_AT_WORK) and not stops:
            continue
        # It is the suite's own process that would ignore the signal.
        if facts.place == "this process" and each["end"] == CANCELLED_AT_WORK:
            continue
        if each["end"] in CANCELLATIONS and not awaited:
            continue
        if facts.place == "this process" and each["end"] == DIES:
            continue
        if not stops:
            adapted["limit"] = "-1"
        if subject.one_task_each:
            adapted |= {"turn": USUAL["turn"], "instance": "its own"}
        if not facts.reachable:
            # Nobody tells an attempt its number.
            adapted["fails"] = "0"
        key = tuple(adapted.values())
        if key not in seen:
            seen.add(key)
            yield adapted
