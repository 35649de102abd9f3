"""CNC: tasks at once."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Collection
from typing import Any

from .beacon import Attempt, Beacon
from .blocking import Deadlock, deadlocks
from .check import CouldNotRun, check
from .history import METHODS, History
from .host import Seen
from .loop import Hang
from .machine import Mismatch, Play, machine
from .probes import echo, report_home
from .strategies import play
from .subject import Subject, finish
from .sweep import coroutine_methods, methods_of

_TASKS = 4

#: Seconds to wait for the next task to begin before those that have are let go. It decides
#: nothing: an executor that queues is right, it is only judged without having them all at once.
_GRACE = 3.0

#: Seconds for which a cancelled `execute` may go on: a guard, far beyond what stopping takes.
_PATIENCE = 60.0


_REPRODUCE_AT_ONCE = """
    import asyncio
    from pytest_asyncexec.conformance.host import host_for

    def task(name):
        import time
        time.sleep(1)
        print("printed by", name)
        return name

    async def main():
        executors = [{executors}]
        for seen in await asyncio.gather(*(
            host_for(one).execute(one, task, [f"{{n}}{{i}}"], dispatch_id=f"{{n}}{{i}}", node_id=i)
            for n in "ab" for i, one in enumerate(executors)
        )):
            print(seen)

    asyncio.run(main())
"""


@check("CNC-01")
def test_CNC_01_must_never_mix_tasks_at_once(subject: Subject) -> None:
    executor = subject.build()
    found = _mixed(subject, [executor] * _TASKS)

    if found is not None:
        dispatch, problem, history = found
        subject.fail(
            seen=f"{_TASKS} tasks at once on one instance; of {dispatch}: {problem}",
            required="each task gets its own result or error, output and metadata",
            cause="state of one task lives on `self` (its streams, its handle, its file), "
            "where the next task overwrites it",
            history=history,
            reproduce=_REPRODUCE_AT_ONCE.format(executors="executor, executor"),
        )


@check("CNC-02")
def test_CNC_02_must_never_mix_tasks_of_several_instances(subject: Subject) -> None:
    one, another = subject.build(), subject.build()
    found = _mixed(subject, [one, another] * (_TASKS // 2))

    if found is not None:
        dispatch, problem, history = found
        subject.fail(
            seen=f"{_TASKS} tasks at once on two instances; of {dispatch}: {problem}",
            required="each task gets its own result or error, output and metadata",
            cause="state of one task lives on the class or in its module (a default that is "
            "shared, a cache, a file of a fixed name), where that of another instance meets it",
            history=history,
            reproduce=_REPRODUCE_AT_ONCE.format(executors="executor, type(executor)()"),
        )


def _mixed(subject: Subject, executors: list[Any]) -> tuple[str, str, History] | None:
    """Run one task on each of the executors at once: the first one that went wrong, and how."""
    subject.need_beacon()
    # Who blocks the event loop runs one task after the other: to hold one would hold everything.
    answer = _finish_task if subject.preflight().blocks_loop_at else None
    dispatches = [subject.new_dispatch() for _ in executors]

    async def story() -> list[Seen | None]:
        with Beacon(answer) as beacon:
            executing = [
                asyncio.ensure_future(
                    subject.execute(
                        executor,
                        report_home,
                        (beacon.address, dispatch),
                        dispatch_id=dispatch,
                        node_id=node,
                    )
                )
                for node, (executor, dispatch) in enumerate(zip(executors, dispatches, strict=True))
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
    for node, (dispatch, seen) in enumerate(zip(dispatches, outcomes, strict=True)):
        problem = _problem(node, dispatch, dispatches, seen, history, captures)
        if problem:
            return dispatch, problem, history
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
    dispatch: str,
    dispatches: list[str],
    seen: Seen | None,
    history: History,
    captures: bool,
) -> str:
    """What is wrong with the outcome of one task, or nothing."""
    if seen is None:
        return "execute had not ended a minute after the task had"
    others = [f"{other};" for other in dispatches if other != dispatch]
    foreign = [other for other in others if other in seen.everything_said + repr(seen.result)]
    if foreign:
        return f"it got what belongs to {foreign[0][:-1]}: {seen}"
    fails = bool(int(dispatch.rpartition("-")[2]) % 2)
    if fails and (seen.completed or f"error of {dispatch};" not in seen.everything_said):
        return f"its error is lost: {seen}"
    if not fails and seen.result != f"result of {dispatch};":
        return f"its result is lost: {seen}"
    if captures and not fails and f"printed by {dispatch};" not in seen.stdout:
        return f"its output is lost: {seen}"
    runs = history.of(dispatch).metadata("run")
    # Of methods that no class has, those of a proxy for one, nothing is recorded.
    if history.count("run") and (not runs or any(given.get("node_id") != node for given in runs)):
        return f"`run` was given the metadata {runs}, and node_id should be {node}"
    return ""


_REPRODUCE_BLOCKING = """
    import asyncio, time
    from pytest_asyncexec.conformance.host import host_for

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
    from pytest_asyncexec.conformance.blocking import deadlocks
    from pytest_asyncexec.conformance.history import recorded
    from pytest_asyncexec.conformance.host import host_for

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
        if end != "is cancelled" or not subject.preflight().reaches_beacon or not cancellable:
            await subject.execute(executor, echo if end == "succeeds" else _fail, ("value",))
            return
        with Beacon() as beacon:
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
            from pytest_asyncexec.conformance.host import host_for

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
    if "stop" not in subject.preflight().cannot:
        try:
            subject.build(time_limit=1.0)
        except CouldNotRun:
            return steps
        steps.add("time out")
    return steps


# The last one of its chapter: what is judged after it is judged on the second loop.
@check("CNC-04")
def test_CNC_04_must_work_on_a_second_event_loop(subject: Subject) -> None:
    executor = subject.build()
    outcomes: list[Seen | str] = []
    with subject.recording(executor) as history:
        for number in (1, 2):
            if number == 2:
                subject.close_loop()
            try:
                outcomes.append(subject.run(executor, echo, f"on loop {number}"))
            except Hang as hang:
                outcomes.append(f"execute never ended: {hang}")

    first, second = outcomes
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
            from pytest_asyncexec.conformance.host import host_for

            for number in (1, 2):
                print(asyncio.run(host_for(executor).execute(executor, len, ["abc"])))
        """,
    )


def _echoed(seen: Seen | str, number: int) -> bool:
    return isinstance(seen, Seen) and seen.completed and seen.result == f"on loop {number}"
