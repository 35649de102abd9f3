"""CNC: tasks at once."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Collection, Sequence
from typing import Any

from ..contract.finding import Moment
from .check import check
from .instruments import patience
from .instruments.beacon import Attempt
from .instruments.blocking import Deadlock, deadlocks
from .instruments.history import METHODS, History
from .instruments.loop import Hang
from .instruments.probes import echo, report_home
from .instruments.seen import Seen, finish
from .instruments.strategies import play
from .instruments.sweep import coroutine_methods, methods_of
from .scenarios.fresh_process import on_event_loops_of_a_fresh_process
from .scenarios.machine import Mismatch, Play, machine
from .scenarios.rehydrated import AT_ONCE
from .subject.exceptions import CouldNotRun
from .subject.subject import Subject

_TASKS = 4

#: Seconds to wait for the next task to begin before those that have are let go. It decides
#: nothing: an executor that queues is right, it is only judged without having them all at once.
_GRACE = 3.0

#: Seconds for which a cancelled `execute` may go on: a guard, far beyond what stopping takes.
_PATIENCE = 60.0


_REPRODUCE_AT_ONCE = """
    import asyncio
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(name):
        import time
        time.sleep(1)
        print("printed by", name)
        return name

    async def main():
        executors = [{executors}]
        for seen in await asyncio.gather(*(
            host_for(one).execute(one, task, [f"{{n}}{{i}}"], dispatch_id=n, node_id=i)
            for n in "{names}" for i, one in enumerate(executors)
        )):
            print(seen)

    asyncio.run(main())
"""


@check("CNC-01")
def test_CNC_01_must_never_mix_tasks_at_once(subject: Subject) -> None:
    executor = subject.build()
    found = _mixed(subject, [executor] * _TASKS)

    if found is not None:
        which, problem, history = found
        subject.fail(
            seen=f"{_TASKS} tasks at once on one instance; of {which}: {problem}",
            required="each task gets its own result or error, output and metadata",
            cause="state of one task lives on `self` (its streams, its handle, its file), "
            "where the next task overwrites it",
            history=history,
            reproduce=_REPRODUCE_AT_ONCE.format(executors="executor, executor", names="ab"),
        )


@check("CNC-02")
def test_CNC_02_must_never_mix_tasks_of_several_instances(subject: Subject) -> None:
    # One task on each: what two of them on one instance do to each other CNC-01 tells.
    found = _mixed(subject, [subject.build() for _ in range(_TASKS)])

    if found is not None:
        which, problem, history = found
        subject.fail(
            seen=f"{_TASKS} tasks at once, each on its own instance; of {which}: {problem}",
            required="each task gets its own result or error, output and metadata",
            cause="state of one task lives on the class or in its module (a default that is "
            "shared, a cache, a file of a fixed name), where that of another instance meets it",
            history=history,
            reproduce=_REPRODUCE_AT_ONCE.format(executors="executor, type(executor)()", names="a"),
        )


def _mixed(subject: Subject, executors: list[Any]) -> tuple[str, str, History] | None:
    """Run one task on each of the executors at once: the first one that went wrong, and how."""
    subject.need_beacon()
    # Who blocks the event loop runs one task after the other: to hold one would hold everything.
    answer = _finish_task if subject.preflight().blocks_loop_at else None
    # What tells them apart is both ids together: of either, some of them have the same.
    dispatches = [subject.new_dispatch() for _ in range(len(executors) // 2)]
    tasks = list(itertools.product(dispatches, range(2)))

    async def story() -> list[Seen | None]:
        with subject.beacon(answer) as beacon:
            executing = [
                asyncio.ensure_future(
                    subject.execute(
                        executor,
                        report_home,
                        (beacon.address, f"{dispatch}-{node}"),
                        dispatch_id=dispatch,
                        node_id=node,
                    )
                )
                for executor, (dispatch, node) in zip(executors, tasks, strict=True)
            ]
            # All of them have begun, where the executor lets them, before any goes on.
            everyone = asyncio.gather(*executing, return_exceptions=True)
            for number in range(1, len(executors) + 1):
                begun = asyncio.ensure_future(beacon.reported(number, everyone))
                done, _ = await asyncio.wait({begun}, timeout=_GRACE)
                if not done:
                    begun.cancel()
                    break
            # They print before any of them ends, and end in the order opposite to that of their
            # beginning; who begins later, because the executor queues, is served on arrival.
            held = beacon.answer_with(_finish_task)
            if answer is None:
                for attempt in held:
                    _print(attempt)
                for attempt in reversed(held):
                    _end(attempt)
            return [await finish(task) for task in executing]

    with subject.recording(executors[0]) as history:
        outcomes = subject.drive(story)

    captures = subject.preflight().captures_streams
    recorded = history.count("run") > 0
    names = [f"{dispatch}-{node}" for dispatch, node in tasks]
    for (dispatch, node), name, seen in zip(tasks, names, outcomes, strict=True):
        others = set(names) - {name}
        problem = _problem(node, name, others, seen, history.of(dispatch), captures, recorded)
        if problem:
            return f"node {node} of {dispatch}", problem, history
    return None


def _finish_task(attempt: Attempt, number: int) -> None:
    _print(attempt)
    _end(attempt)


def _print(attempt: Attempt) -> None:
    attempt.tell(do="print", text=f"printed by {attempt.hello['label']};")


def _end(attempt: Attempt) -> None:
    label = attempt.hello["label"]
    # Every other task fails, so that errors can be mixed up too.
    if int(label.rpartition("-")[2]) % 2:
        attempt.tell(do="raise", type="ValueError", message=f"error of {label};")
    else:
        attempt.tell(do="return", value=f"result of {label};")


def _problem(
    node: int,
    name: str,
    others: Collection[str],
    seen: Seen | None,
    history: History,
    captures: bool,
    recorded: bool,
) -> str:
    """What is wrong with the outcome of one task, or nothing."""
    if seen is None:
        return "execute had not ended a minute after the task had"
    said = seen.everything_said + repr(seen.result)
    foreign = sorted(other for other in others if f"{other};" in said)
    if foreign:
        return f"it got what belongs to {foreign[0]}: {seen}"
    fails = bool(node % 2)
    if fails and (seen.completed or f"error of {name};" not in seen.everything_said):
        return f"its error is lost: {seen}"
    if not fails and seen.result != f"result of {name};":
        return f"its result is lost: {seen}"
    if captures and not fails and f"printed by {name};" not in seen.stdout:
        return f"its output is lost: {seen}"
    runs = history.metadata("run")
    # Of methods that no class has, those of a proxy for one, nothing is recorded.
    if recorded and not any(given.get("node_id") == node for given in runs):
        return f"`run` was given the metadata {runs}, and never that of node {node}"
    return ""


_REPRODUCE_BLOCKING = """
    import asyncio, time
    from pytest_asyncexec.conformance.subject.host import host_for

    async def main():
        task = asyncio.ensure_future(host_for(executor).execute(executor, time.sleep, [1]))
        while not task.done():
            last = time.monotonic()
            await asyncio.sleep(0)
            if time.monotonic() - last > 0.01:
                print(f"the loop stood still for {time.monotonic() - last:.3f} s")

    asyncio.run(main())
"""


_REPRODUCE_DEADLOCK = """
    import asyncio, time
    from pytest_asyncexec.conformance.instruments.blocking import deadlocks
    from pytest_asyncexec.conformance.instruments.history import recorded
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(seconds):
        import time
        time.sleep(seconds)
        {fails}

    async def main():
        task_of_host = asyncio.ensure_future(host_for(executor).execute(executor, task, [2]))
        {cancels}
        await asyncio.wait({{task_of_host}})

    with deadlocks(executor) as seen:
        methods = {{name: seen.within(name) for name in ("setup", "run", "teardown")}}
        with recorded(type(executor), **methods):
            asyncio.run(main())
    print(*seen.found, sep="\\n")
"""


@check("CNC-03")
def test_CNC_03_must_never_block_the_event_loop(subject: Subject) -> None:
    subject.need_free_loop(lost="no other task of the host goes on", reproduce=_REPRODUCE_BLOCKING)
    executor = subject.build()
    ends = subject.pick(
        quick=["succeeds", "is cancelled"],
        default=["succeeds", "fails", "is cancelled"],
        thorough=["succeeds", "fails", "is cancelled", "succeeds"],
    )
    for end in ends:
        found, history = _blocked(subject, executor, end)
        if found:
            subject.fail(
                seen=f"of a task that {end}: {found[0]} there, on the thread of the loop",
                required="whatever waits does so with `await`, or on another thread; the event "
                "loop goes on meanwhile, for all other tasks of the host",
                cause=f"a call of the blocking kind in a coroutine: `await asyncio.to_thread(...)` "
                f"around it, or its asynchronous form, keeps `{found[0].method}` from holding up "
                "everybody",
                history=history,
                reproduce=_REPRODUCE_DEADLOCK.format(
                    fails="raise ValueError" if end == "fails" else "return",
                    cancels="await asyncio.sleep(1); task_of_host.cancel()"
                    if end == "is cancelled"
                    else "...",
                ),
            )


def _blocked(subject: Subject, executor: Any, end: str) -> tuple[list[Deadlock], History]:
    """Run one task that ends like this, and see where it blocks the event loop."""
    cancellable = inspect.iscoroutinefunction(getattr(executor, "execute", None))

    async def story() -> None:
        if end != "is cancelled" or not subject.preflight().reachable or not cancellable:
            await subject.execute(executor, echo if end == "succeeds" else _fail, ("value",))
            return
        with subject.beacon() as beacon:
            executing = asyncio.ensure_future(
                subject.execute(executor, report_home, (beacon.address,))
            )
            await beacon.reported(1, executing)
            executing.cancel()
            await asyncio.wait({executing}, timeout=_PATIENCE)

    with (
        deadlocks(executor) as seen,
        subject.recording(executor, **{m: seen.within(m) for m in METHODS}) as history,
    ):
        subject.drive(story)
    return seen.found, history


def _fail(value: Any) -> None:
    raise ValueError(value)


@check("CNC-05")
def test_CNC_05_must_agree_with_the_model_in_any_interleaving(subject: Subject) -> None:
    subject.need_beacon()
    subject.need_free_loop(lost="no second task can begin", reproduce=_REPRODUCE_BLOCKING)
    executor = subject.build()
    has = methods_of(executor)
    game = Play(subject, has, coroutine_methods(executor, has), _steps(subject, executor))
    tasks = subject.pick(quick=3, default=5, thorough=8)
    try:
        play(
            machine(game, tasks),
            examples=subject.pick(quick=2, default=4, thorough=40),
            steps=subject.pick(quick=6, default=10, thorough=30),
        )
    except BaseException as error:
        # Whatever the machine made of it, the first thing that went wrong is what it is about.
        wrong = game.error or error
        if not isinstance(wrong, Mismatch):
            raise wrong from None
    else:
        return
    subject.fail(
        seen=f"{'; '.join(game.log)}: {wrong}",
        required="every task ends as if it were alone, whatever becomes of the others",
        cause="what one task does when it fails, is cancelled or times out reaches others: what "
        "is cleaned up, killed or remembered belongs to the instance or the class, not to the task",
        history=game.history,
        reproduce="""
            import asyncio, time
            from pytest_asyncexec.conformance.subject.host import host_for

            def task(name, seconds, fails):
                import time
                time.sleep(seconds)
                if fails:
                    raise ValueError(f"error of {name}")
                return f"result of {name}"

            async def main():
                tasks = [
                    asyncio.ensure_future(host_for(one).execute(
                        one, task, [f"{name} on {i}", seconds, name == "failing"],
                        dispatch_id=f"{name}-{i}", node_id=i,
                    ))
                    for i, one in enumerate([executor, type(executor)()])
                    for name, seconds in (("failing", 2), ("cancelled", 60), ("long", 6))
                ]
                await asyncio.sleep(1)
                tasks[1].cancel()
                tasks[4].cancel()
                for seen in await asyncio.gather(*tasks, return_exceptions=True):
                    print(repr(seen) if isinstance(seen, BaseException) else seen)

            asyncio.run(main())
        """,
    )


def _steps(subject: Subject, executor: Any) -> Collection[str]:
    """What a task can be made to do besides ending by itself."""
    steps = set()
    if inspect.iscoroutinefunction(getattr(executor, "execute", None)):
        steps.add("cancel")
    limits = subject.findings.get("TIM-02")
    # Whom no limit stops TIM-02 has told so; there is more to be seen when nothing waits for one.
    if "stop" not in subject.preflight().cannot and (limits is None or limits.outcome == "passed"):
        try:
            subject.build(time_limit=1.0)
        except CouldNotRun:
            return steps
        steps.add("time out")
    return steps


@check("CNC-04")
def test_CNC_04_must_work_on_a_second_event_loop(subject: Subject) -> None:
    first, second, history = _on_two_loops(subject)

    if _echoed(second, 2):
        return
    if not _echoed(first, 1):
        subject.could_not_run(f"blocked: the task on the first event loop went wrong: {first}")
    subject.fail(
        seen=f"on the first event loop a task ran; that was closed, and on a second one: {second}",
        required="a task runs on any event loop, also after another one was closed",
        cause="a client, a lock or a queue is made once (on `self`, the class or its module) and "
        "belongs to the loop it was made on: make it for each task, or for each running loop",
        history=history,
        reproduce="""
            import asyncio
            from pytest_asyncexec.conformance.subject.host import host_for

            for number in (1, 2):
                print(asyncio.run(host_for(executor).execute(executor, len, ["abc"])))
        """,
    )


def _on_two_loops(subject: Subject) -> tuple[Seen | str, Seen | str, Sequence[Moment]]:
    """What comes of a task on one event loop, and of another one on the next."""
    executor = subject.build()
    with subject.recording(executor) as history:
        first = _apart(subject, executor, 1)
        if _echoed(first, 1):
            return first, _apart(subject, executor, 2), history.told()

    # It may belong to the loop of the suite, which other checks are in need of: a process in which
    # there was none before has to tell.
    there = on_event_loops_of_a_fresh_process(subject, loops=2)
    if there.get("completed", [False])[0]:
        ended = there["seen"][1:] or [f"{there['stage']} ended in {there['error']}"]
        well = there["completed"] == [True, True]
        told = [Moment(**moment) for moment in there["history"]]
        return _loop_echo(1), _loop_echo(2) if well else ended[0], told
    return first, "", history.told()


def _apart(subject: Subject, executor: Any, number: int) -> Seen | str:
    async def story() -> Seen:
        # Several at once: a lock belongs to a loop from the moment on that somebody waits for it.
        tasks = [
            asyncio.ensure_future(subject.execute(executor, echo, (f"on loop {number}",)))
            for _ in range(AT_ONCE)
        ]
        outcomes = [await finish(executing, patience.RESCUE) for executing in tasks]
        if None in outcomes:
            for executing in tasks:
                executing.cancel()
            await asyncio.wait(tasks, timeout=patience.RESCUE)
            return Seen(malformed=f"execute had not ended after {patience.RESCUE:g} s")
        seen = [one for one in outcomes if one is not None]
        return next((one for one in seen if not _echoed(one, number)), seen[0])

    try:
        return subject.drive_apart(story)
    except Hang as hang:
        return f"execute never ended: {hang}"


def _loop_echo(number: int) -> Seen:
    return Seen(result=f"on loop {number}", status="COMPLETED")


def _echoed(seen: Seen | str, number: int) -> bool:
    return isinstance(seen, Seen) and seen.completed and seen.result == f"on loop {number}"
