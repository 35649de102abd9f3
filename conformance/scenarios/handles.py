"""Tasks of which a host cancels one by its job handle, while others run: what becomes of each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ...contract.wording import short, short_error
from ..instruments import patience
from ..instruments.beacon import Attempt, Beacon
from ..instruments.history import History, under_way
from ..instruments.liveness import living
from ..instruments.probes import report_home
from ..instruments.seen import Seen, finish
from ..subject.subject import Subject
from .job_handles import Task, answer_of, name_of, told_handles, until_told
from .stopping import still_runs

#: Seconds in which one more of them begins: who queues is right, and is only judged with fewer.
_GRACE: Final = 0.05

#: Instance and dispatch of each task, by numbers, and its node: in the order in which they begin.
#: The second is cancelled, where there are places for three: others have its dispatch, its node, or
#: its place on another instance.
_TASKS: Final = ((0, 0, 0), (0, 0, 1), (0, 1, 1), (1, 2, 1), (0, 3, 0))

#: So many of them are begun first. The last one comes when the cancelled one is gone, and may be
#: given what that one had: its number, its slot, its directory.
_FIRST: Final = 4

#: A handle that no executor has ever told.
_STRANGER: Final = "a job that nobody knows"


@dataclass(slots=True)
class Revoked:
    """What became of the tasks of which one was cancelled."""

    tasks: list[Task]
    #: The one that was to be cancelled; None where none has begun.
    target: Task | None = None
    #: Another one that was cancelled when the first was over, by the instance that runs it.
    second: Task | None = None
    #: What is wrong with what `cancel` did to it, as another instance was asked; or nothing.
    wrong: str = ""
    #: Whether any call of `cancel` has ended it.
    ended: bool = False
    #: The others that did not come to their own end, in words.
    hit: list[str] = field(default_factory=list)
    history: History = field(default_factory=History)


#: What goes on beside them, at its own expense.
Beside = Callable[[], Coroutine[Any, Any, None]]


async def _nothing() -> None:
    pass


def look(subject: Subject, beside: Beside = _nothing) -> Revoked:
    """What becomes of the tasks."""
    found = _run(subject, beside, cancels=True)
    if found.hit:
        # Who mixes up tasks at once, or refuses some, does so where nobody is cancelled as well.
        found.hit = [] if _run(subject, cancels=False).hit else found.hit
    return found


def _run(subject: Subject, beside: Beside = _nothing, *, cancels: bool) -> Revoked:
    executors = [subject.build(), subject.build()]
    dispatches = [subject.new_dispatch() for _ in range(4)]
    results = str(subject.folder / "results")
    tasks = [
        Task(
            number,
            executors[instance],
            {"dispatch_id": dispatches[dispatch], "node_id": node, "results_dir": results},
        )
        for number, (instance, dispatch, node) in enumerate(_TASKS)
    ]
    found = Revoked(tasks)
    by_label = {str(task.number): task for task in tasks}

    def hold(attempt: Attempt, _number: int) -> None:
        task = by_label[str(attempt.hello["label"])]
        task.attempt = task.attempt or attempt

    with (
        subject.recording(executors[0]) as history,
        subject.beacon(hold) as beacon,
        told_handles(tasks),
    ):

        async def story() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(beside())
                group.create_task(_story(subject, found, beacon, cancels=cancels))

        subject.drive(
            story,
            longer=2 * patience.OUTCOME,
            progress=lambda: [len(beacon.attempts), *(task.seen for task in tasks)],
        )
    of_target = found.target or tasks[0]
    found.history = history.of(of_target.metadata["dispatch_id"])
    return found


async def _story(subject: Subject, found: Revoked, beacon: Beacon, *, cancels: bool) -> None:
    await _begin(subject, found.tasks[:_FIRST], beacon)
    await _as_many_as_may_run(subject, found, beacon)
    if cancels:
        await _cancel_nobody(subject, found)
        running = _running(found)
        if running:
            # Not the last that has begun, nor the first where there are three; then the last.
            found.target = running[min(1, (len(running) - 1) // 2)]
            await _cancel(subject, found, running)
        if found.ended and found.target is not None and found.target.executing is not None:
            await asyncio.wait({found.target.executing}, timeout=patience.OUTCOME)
    await _begin(subject, found.tasks[_FIRST:], beacon)
    await _as_many_as_may_run(subject, found, beacon)
    running = _running(found)
    if found.ended:
        await _cancel_what_is_over(found, running)
        if running[1:]:
            found.second = running[-1]
            await _cancel_another(found, running)
            if len(beacon.attempts) < len(found.tasks):
                # Where others wait, the first may have been there before the place was free.
                await _as_many_as_may_run(subject, found, beacon)
                await _cancel_what_is_over(found, _running(found))
    for attempt in beacon.answer_with(_return):
        _return(attempt, 0)
    for task in found.tasks:
        assert task.executing is not None
        task.seen = await finish(task.executing)
        if task not in (found.target, found.second):
            found.hit += _hit(task)
    if found.target is not None and not found.wrong:
        seen = found.target.seen
        if seen is None or seen.completed:
            found.wrong = f"and then {seen or 'execute did not end'}"
    for task in found.tasks:
        if task.executing is not None:
            task.executing.cancel()


def _running(found: Revoked) -> list[Task]:
    """The tasks that have begun and are held, in the order in which they were handed over."""
    return [t for t in found.tasks if t.attempt is not None and not t.attempt.gone.done()]


async def _begin(subject: Subject, tasks: list[Task], beacon: Beacon) -> None:
    for task in tasks:
        task.executing = asyncio.ensure_future(_execute(subject, task, beacon))
        # In this order, as far as it lies with the host.
        await asyncio.sleep(0)


async def _as_many_as_may_run(subject: Subject, found: Revoked, beacon: Beacon) -> None:
    """Wait until one has begun, and then until all have, or no more of them do."""
    begun = [task.executing for task in found.tasks if task.executing is not None]
    everyone = asyncio.gather(*begun)
    await beacon.reported(1, everyone)
    known = -1
    while known < len(beacon.attempts) < len(begun):
        known = len(beacon.attempts)
        one_more = asyncio.ensure_future(beacon.reported(known + 1, everyone))
        await asyncio.wait({one_more}, timeout=_GRACE + subject.preflight().seconds)
        one_more.cancel()


def _return(attempt: Attempt, _number: int) -> None:
    attempt.tell(do="return", value=f"result of task {attempt.hello['label']}")


async def _execute(subject: Subject, task: Task, beacon: Beacon) -> Seen:
    under_way.set(name_of(task))
    return await subject.execute(
        task.executor,
        report_home,
        (beacon.address, str(task.number)),
        dispatch_id=task.metadata["dispatch_id"],
        node_id=task.metadata["node_id"],
    )


# ---- the calls of cancel -----------------------------------------------------------------------


async def _cancel_nobody(subject: Subject, found: Revoked) -> None:
    """Call `cancel` where it can mean no task that runs."""
    running = _running(found)
    if not running:
        return
    asked, nobody = running[0].executor, {**running[0].metadata, "node_id": 7}
    nobody["dispatch_id"] = subject.new_dispatch()
    for handle, words in (
        (None, "cancel without a handle, of a dispatch that was never begun,"),
        (_STRANGER, f"cancel(task_metadata, {_STRANGER!r}) of a dispatch that was never begun"),
    ):
        await answer_of(asked, nobody, handle)
        await _note_who_is_gone(running, words)


async def _cancel(subject: Subject, found: Revoked, running: list[Task]) -> None:
    target = found.target
    assert target is not None
    assert target.attempt is not None
    others = [task for task in running if task is not target]
    await until_told(target)
    handle = target.handle
    called = f"cancel(task_metadata, {short(handle)}) of a running task"
    try:
        again: Any = subject.build()
        again.from_dict(json.loads(json.dumps(target.executor.to_dict())))
    except Exception as error:
        again, found.wrong = None, f"another instance could not be rehydrated: {short_error(error)}"
    if again is not None:
        found.wrong = await _ends(target, again, handle)
        found.wrong = found.wrong and f"{called}, asked of a rehydrated instance, {found.wrong}"
        await _note_who_is_gone(others, called)
    if found.wrong and not target.attempt.gone.done():
        # By the instance that runs it at least: what becomes of the others is another question.
        own = await _ends(target, target.executor, handle)
        found.wrong += f"; asked of its own, {own or 'it ended the task'}"
        await _note_who_is_gone(others, called)
    if not target.handles:
        found.wrong = found.wrong and f"while it ran, set_job_handle was not called; {found.wrong}"
    found.ended = target.attempt.gone.done()


async def _cancel_what_is_over(found: Revoked, running: list[Task]) -> None:
    """Call `cancel` once more for the task that was ended, when others have taken its place."""
    target = found.target
    assert target is not None
    for each, words in ((target.handle, ""), (None, ", without a handle,")):
        await answer_of(target.executor, target.metadata, each)
        await _note_who_is_gone(running, f"cancel of a task that is over{words}")


async def _cancel_another(found: Revoked, running: list[Task]) -> None:
    target = found.second
    assert target is not None
    await until_told(target)
    await answer_of(target.executor, target.metadata, target.handle)
    called = f"cancel(task_metadata, {short(target.handle)}) of the task that had begun last"
    await _note_who_is_gone([task for task in running if task is not target], called)


async def _ends(target: Task, executor: Any, handle: Any) -> str:
    """Cancel the task by an instance; what is wrong with the answer, or with what came of it."""
    answer = await answer_of(executor, target.metadata, handle)
    if answer is not True:
        return answer if isinstance(answer, str) else f"returned {short(answer)}"
    assert target.attempt is not None
    said = await still_runs(target.attempt, patience.OUTCOME)
    return said and f"returned True, and {said}"


async def _note_who_is_gone(others: list[Task], called: str) -> None:
    """Find out which of the others do not answer any more, whom nobody has let go."""
    asked = [t for t in others if t.attempt is not None and not t.gone_after]
    # Who answers lives; who does not may be slow: a dead one's line is closed.
    await living([t.attempt for t in asked if t.attempt is not None])
    for task in asked:
        if task.attempt is not None and task.attempt.gone.done():
            task.gone_after = called


def _hit(task: Task) -> Iterator[str]:
    """How one of the others was ended, if it was."""
    if task.gone_after:
        yield f"after {task.gone_after} task {task} was gone, too: {task.seen or 'no outcome'}"
    elif task.seen is None:
        yield f"task {task} did not end, and nothing held it"
    elif not task.seen.completed or task.seen.result != task.result:
        yield f"task {task}, which was not cancelled as others were: {task.seen}"
