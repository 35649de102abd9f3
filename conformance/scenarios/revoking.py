"""Tasks that their host ends by `cancel`, and whether it says the truth of them."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import dataclasses
import functools
import inspect
import json
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ...contract.wording import short, short_error
from ..instruments import patience
from ..instruments.beacon import Attempt, Beacon
from ..instruments.by_value import ByValue
from ..instruments.history import History
from ..instruments.outlasting import Outlasting
from ..instruments.probes import grandchild, report_home
from ..instruments.seen import finish
from ..subject.host import call_method
from ..subject.kept import Kept
from ..subject.subject import Subject
from .job_handles import hearing
from .stopping import Together, let_go, still_runs, with_a_retry, within

_CHILD: Final = "child"

#: How it goes on where nobody recognises the error of a task that was cancelled.
ATTEMPTED_AGAIN: Final = "the task was attempted again"

#: How it goes on where who declares that it cannot stop a task has stopped one.
DECLARED_OTHERWISE: Final = "the executor declares that it cannot: stop"

#: Whichever host judges it, it is the executor's own `cancel` that stops a task, or does not.
_guards: Final = Kept(lambda _: Outlasting(), hosts_differ=False)


@dataclass(eq=False, slots=True)
class Story(abc.ABC):
    """One task on an executor of its own, which its host cancels."""

    executor: Any
    dispatch: str
    metadata: dict[str, Any]
    #: What the executor has said of its jobs through `set_job_handle`.
    handles: list[Any] = field(default_factory=list)

    @abc.abstractmethod
    async def told(self, subject: Subject) -> str:
        """Run the task and cancel it; what is wrong with that, or nothing."""

    @property
    @abc.abstractmethod
    def reproduce(self) -> str:
        """Lines of Python that do the same without pytest."""

    @property
    def handle(self) -> Any:
        """The handle that the host knows the job by."""
        return self.handles[-1] if self.handles else None

    async def answer(self, handle: Any, called: str) -> tuple[bool, str]:
        """What `cancel` answers, and what is wrong with that."""
        with contextlib.suppress(TypeError, ValueError):
            # As hosts keep it.
            handle = json.loads(json.dumps(handle))
        given = dict(self.metadata), handle
        cancelling = asyncio.ensure_future(call_method(self.executor.cancel, *given))
        await asyncio.wait({cancelling}, timeout=patience.OUTCOME)
        if not cancelling.done():
            cancelling.cancel()
            return False, f"{called} did not return within {patience.OUTCOME:g} s"
        if cancelling.cancelled():
            return False, f"{called} raised CancelledError"
        error = cancelling.exception()
        if error is not None:
            return False, f"{called} raised {short_error(error)}"
        answer = cancelling.result()
        if not isinstance(answer, bool):
            return False, f"{called} returned {short(answer)}, which is no bool"
        return answer, ""


@dataclass(eq=False, slots=True)
class Running(Story):
    """A task that runs."""

    #: That of all these tasks.
    guard: Outlasting = field(default_factory=Outlasting)
    #: What it is, in words.
    task: str = "a running task"
    #: What it is told to do before it is cancelled.
    commands: tuple[str, ...] = ()
    has_child: bool = False
    by_handle: bool = True

    async def told(self, subject: Subject) -> str:
        """Cancel it, and once more when it is over."""
        with subject.beacon() as beacon:
            executing = asyncio.ensure_future(
                subject.execute(
                    self.executor, report_home, (beacon.address, "task"), dispatch_id=self.dispatch
                )
            )
            if not await beacon.reported(1, executing):
                subject.could_not_run(f"the task never started: {executing.result()}")
            await self._prepare(beacon, executing)
            handle = self.handle if self.by_handle else None
            called = f"cancel(task_metadata, {short(handle)}) of {self.task}"

            answer, wrong = await self.answer(handle, called)
            if not wrong and answer:
                wrong = await self._goes_on(beacon, executing)
                wrong = wrong and f"{called} returned True, and {wrong}"
            for held in beacon.answer_with(let_go):
                let_go(held, 0)
            seen = await finish(executing)
        if not wrong and answer and (seen is None or seen.completed):
            wrong = f"{called} returned True, and then {seen or 'execute did not end'}"
        if not wrong and answer and "stop" in subject.preflight().cannot:
            wrong = f"{called} returned True, and by that the task has ended; {DECLARED_OTHERWISE}"
        if not wrong:
            # Of what is over any answer is true, as long as it is one.
            _, wrong = await self.answer(handle, "cancel of a task that is over")
        return wrong

    async def _goes_on(self, beacon: Beacon, executing: asyncio.Future[Any]) -> str:
        """How the task goes on that is said to have been cancelled; or nothing."""
        known = list(beacon.attempts)
        merely_waits = not self.commands and not self.has_child
        for attempt in known:
            who = "its child" if attempt.hello["label"] == _CHILD else "its task"
            # It may take its time to die, but die it must.
            gone = asyncio.wrap_future(attempt.gone)
            await self.guard.over(gone, 0.0, merely_waits=merely_waits)
            said = await still_runs(attempt, who=who)
            if said:
                return said
        return await _is_attempted_again(beacon, executing, len(known))

    async def _prepare(self, beacon: Beacon, executing: asyncio.Future[Any]) -> None:
        attempt = beacon.attempts[0]
        for command in self.commands:
            # Whether it could be done matters little: the task is only busy in another way then.
            await within(attempt.ask(do=command))
        if self.has_child:
            await within(attempt.ask(**grandchild(beacon.address, _CHILD)))
            await within(beacon.arrival(2))
        if self.by_handle:
            # It may never be told.
            for _ in range(50):
                if self.handles or executing.done():
                    return
                await asyncio.wait({executing}, timeout=0.01)

    @property
    def reproduce(self) -> str:
        """Lines of Python that do the same without pytest."""
        return reproduce(_TASKS.get(self.task, ()), by_handle=self.by_handle)


@dataclass(eq=False, slots=True)
class Late(Story):
    """A task whose attempt has just failed by itself, and that has another one left."""

    async def told(self, subject: Subject) -> str:
        """Cancel it by the handle of the attempt that is over."""

        def begin(attempt: Attempt, number: int) -> None:
            if number == 1:
                let_go(attempt, number)

        with subject.beacon(begin) as beacon:
            executing = asyncio.ensure_future(
                subject.execute(
                    self.executor,
                    _fail_and_linger,
                    (ByValue(report_home), beacon.address),
                    dispatch_id=self.dispatch,
                )
            )
            wrong = ""
            reported = await beacon.reported(2, executing)
            if reported and beacon.attempts[1].hello["label"] == "over":
                called = (
                    f"cancel(task_metadata, {short(self.handle)}), when the attempt had failed by "
                    "itself,"
                )
                answer, wrong = await self.answer(self.handle, called)
                if answer and not wrong:
                    wrong = await _is_attempted_again(beacon, executing)
                    wrong = wrong and f"{called} returned True, and {wrong}"
            for held in beacon.answer_with(let_go):
                let_go(held, 0)
            await finish(executing)
        return wrong

    @property
    def reproduce(self) -> str:
        """Lines of Python that do the same without pytest."""
        return reproduce(_LATE)


def stories(subject: Subject) -> list[Story]:
    """The tasks that this subject can be asked to cancel, each on an executor of its own."""
    results = str(subject.folder / "results")

    def story(kind: type[Story], **more: Any) -> Story:
        dispatch = subject.new_dispatch()
        metadata = {"dispatch_id": dispatch, "node_id": 0, "results_dir": results}
        # A job that was killed has failed, which is a reason to try again: a cancelled one is not.
        return kind(with_a_retry(subject), dispatch, metadata, **more)

    running = functools.partial(story, Running, guard=_guards.of(subject))
    found = [running(by_handle=False), running()]
    if subject.preflight().place != "this process":
        found += [
            running(task="a task that ignores SIGTERM", commands=("ignore_sigterm",)),
            running(task="a task busy with pure Python", commands=("spin",)),
            running(task="a task with a child process", has_child=True),
            story(Late),
        ]
    return found


@dataclass(frozen=True, slots=True)
class Told:
    """The stories, what is wrong with each, or nothing, and what was recorded meanwhile."""

    stories: list[Story]
    wrong: list[str]
    history: History


@contextlib.contextmanager
def telling(subject: Subject) -> Iterator[tuple[Told, Callable[[], Coroutine[Any, Any, None]]]]:
    """Within this block all stories can be told at once, by the coroutine function."""
    told = Told(stories(subject), [], History())

    async def tell() -> None:
        async with Together() as together:
            for each in told.stories:
                together.begin(each.told(subject))
        told.wrong.extend(together.ended)

    handles = {id(story.executor): story.handles for story in told.stories}

    def note(executor: Any, handle: Any) -> None:
        handles.get(id(executor), []).append(handle)

    executor = told.stories[0].executor
    with subject.recording(executor) as history, hearing(type(executor), note):
        yield dataclasses.replace(told, history=history), tell


def told_alone(subject: Subject) -> Told:
    """The stories, told while nothing else runs."""
    with telling(subject) as (told, tell):
        subject.drive(tell)
    return told


async def _is_attempted_again(
    beacon: Beacon, executing: asyncio.Future[Any], known: int = 2
) -> str:
    """Whether one more attempt comes than are known, instead of the end of `execute`."""
    again = asyncio.ensure_future(beacon.reported(known + 1, executing))
    await asyncio.wait({again}, timeout=patience.OUTCOME)
    again.cancel()
    if len(beacon.attempts) > known and await still_runs(beacon.attempts[known]):
        return ATTEMPTED_AGAIN
    return "" if executing.done() else "the task is dead, but execute goes on"


def _fail_and_linger(report: Any, address: Any) -> None:
    """A task that fails, and whose interpreter is held when nothing but a thread is left in it."""
    import threading

    def linger() -> None:
        main = threading.main_thread()
        # Where an interpreter serves many tasks, it does not end.
        main.join(1)
        report(address, "still" if main.is_alive() else "over")

    report(address, "begun")
    threading.Thread(target=linger).start()
    raise ValueError("the task failed by itself")


# ---- in a script -------------------------------------------------------------------------------

_TASKS: Final = {
    "a task that ignores SIGTERM": (
        "import signal, time",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "time.sleep(20)",
    ),
    "a task busy with pure Python": (
        "import time",
        "end = time.monotonic() + 20",
        "while time.monotonic() < end:",
        "    pass",
    ),
    "a task with a child process": (
        "import subprocess",
        'subprocess.run(["sleep", "20"])  # look for it with ps',
    ),
}
_LATE: Final = (
    "import threading, time",
    "threading.Thread(target=time.sleep, args=[10]).start()",
    'raise ValueError("it has failed by itself, and its interpreter ends later")',
)


def reproduce(task: Sequence[str] = (), *, by_handle: bool = True) -> str:
    """Lines of Python that run this task on `executor` and cancel it."""
    lines = task or ("import time", "time.sleep(20)")
    script = inspect.cleandoc(_SCRIPT)
    script = script.replace("    TASK", "\n".join(f"    {line}" for line in lines))
    return script.replace("HANDLE", "handles[-1] if handles else None" if by_handle else "None")


_SCRIPT: Final = """
    import asyncio
    from unittest import mock
    from pytest_asyncexec.conformance.subject.host import call_method, host_for

    executor.retries = 1
    handles = []
    original = getattr(type(executor), "set_job_handle", None)

    def set_job_handle(self, handle):
        handles.append(handle)
        return original(self, handle)

    def task():
        TASK

    async def main():
        metadata = {"dispatch_id": "dispatch", "node_id": 0, "results_dir": "."}
        running = asyncio.ensure_future(host_for(executor).execute(executor, task))
        await asyncio.sleep(5)
        print("cancel:", await call_method(executor.cancel, metadata, HANDLE))
        print("and then:", await running)

    with mock.patch.object(type(executor), "set_job_handle", set_job_handle, create=True):
        asyncio.run(main())
"""
