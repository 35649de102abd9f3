"""CNC: tasks at once."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from ..contract.finding import Moment
from .check import check
from .instruments import patience
from .instruments.blocking import Deadlock
from .instruments.loop import Hang
from .instruments.probes import echo
from .instruments.seen import Seen, finish
from .instruments.strategies import play
from .instruments.sweep import coroutine_methods, methods_of
from .instruments.turns import LongTurn
from .scenarios.asking import ask_plan
from .scenarios.fresh_process import on_event_loops_of_a_fresh_process
from .scenarios.machine import Mismatch, Play, machine
from .scenarios.mixing import LOST, TASKS, Among, mixed
from .scenarios.on_the_loop import (
    FAILS,
    FAILS_AGAIN,
    IS_CANCELLED,
    IS_STOPPED,
    SUCCEEDS,
    TAKES_MUCH,
    Held,
    endings,
    held_up,
)
from .scenarios.rehydrated import AT_ONCE
from .scenarios.two_loops import is_its_own, on_two_loops
from .subject.exceptions import CouldNotRun
from .subject.subject import Subject

_REPRODUCE_AT_ONCE = """
    import asyncio
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(name):
        import time
        time.sleep(1)
        print("printed by", name)
        return name

    async def main():
        executors = {executors}
        for seen in await asyncio.gather(*(
            host_for(one).execute(one, task, [f"{{n}}{{i}}"], dispatch_id=n, node_id=i)
            for n in "{names}" for i, one in enumerate(executors)
        )):
            print(seen)

    asyncio.run(main())
"""


@check("CNC-01")
def test_CNC_01_must_never_mix_tasks_at_once(subject: Subject) -> None:
    _judge_mixing(
        subject,
        "one instance",
        "on one instance",
        cause="state of one task lives on `self` or its class (its streams, its handle, its file, "
        "a slot with a number that comes again), where the next task overwrites it",
        executors="[executor] * 10",
        names="ab",
    )


@check("CNC-02")
def test_CNC_02_must_never_mix_tasks_of_several_instances(subject: Subject) -> None:
    # One task on each: what two of them on one instance do to each other CNC-01 tells.
    _judge_mixing(
        subject,
        "several instances",
        "each on its own instance",
        cause="state of one task lives on the class or in its module (a default that is shared, a "
        "cache, a file of a fixed name), where that of another instance meets it",
        executors="[type(executor)() for _ in range(20)]",
        names="a",
    )


def _judge_mixing(
    subject: Subject, among: Among, where: str, *, cause: str, executors: str, names: str
) -> None:
    reproduce = _REPRODUCE_AT_ONCE.format(executors=executors, names=names)
    untried = None
    try:
        ask_plan(subject, "ordinary", cause=cause, at_once=reproduce)
    except CouldNotRun as reason:
        # Where tasks at once fail, those of the plan are not all tried; a few are held below.
        untried = reason
    # Who blocks the event loop runs one task after the other: to hold one would hold everything.
    found = None
    if not subject.preflight().blocks_loop_at:
        subject.need_beacon()
        found = mixed(subject, among)
    if found is not None:
        subject.fail(
            seen=f"{TASKS} tasks at once, {where}; of {found.which}: {found.problem}",
            required="each task gets its own result or error, output and metadata",
            cause=cause,
            history=found.history,
            reproduce=reproduce,
            because="RES-04" if found.problem.startswith(LOST) else "",
        )
    if untried is not None:
        raise untried


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
    from pytest_asyncexec.conformance.instruments.turns import long_turns
    from pytest_asyncexec.conformance.scenarios.on_the_loop import large
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(value):
        import time
        time.sleep(2)
        {fails}

    async def main():
        {settings}
        with long_turns() as busy:
            running = asyncio.ensure_future(host_for(executor).execute(executor, task, [{value}]))
            {stops}
            await asyncio.wait({{running}})
        print(*busy, sep="\\n")

    with deadlocks(executor) as seen:
        methods = {{name: seen.within(name) for name in ("setup", "run", "teardown")}}
        with recorded(type(executor), **methods):
            asyncio.run(main())
    print(*seen.found, sep="\\n")
"""

_STOPS = {
    IS_CANCELLED: "await asyncio.sleep(1); running.cancel()",
    IS_STOPPED: "await asyncio.sleep(1)\n"
    '            with seen.calling("cancel"): print(await executor.cancel({}, None))',
}


@check("CNC-03")
def test_CNC_03_must_never_block_the_event_loop(subject: Subject) -> None:
    subject.need_free_loop(lost="no other task of the host goes on", reproduce=_REPRODUCE_BLOCKING)
    wanted = endings(subject)
    held = held_up(subject, wanted)
    if held.own:
        ending, turn = min(held.own, key=lambda each: wanted.index(each[0]))
        # The line was seen, if at all, by who looked on from another thread.
        seen = [other for other in held.busy if other.where]
        where = max(seen, key=lambda other: other.seconds).where if seen else turn.where
        _tell_of_blocking(subject, ending, replace(turn, where=where), "the executor", held)
    if held.blocked:
        first = held.blocked[0]
        _tell_of_blocking(subject, first.task or SUCCEEDS, first, first.method, held)
    if held.busy:
        # Of several at once each may have taken a little: it is one alone that takes too much.
        for ending in wanted:
            alone = held_up(subject, [ending])
            if alone.busy:
                longest = max(alone.busy, key=lambda turn: turn.seconds)
                _tell_of_blocking(subject, ending, longest, "the executor", alone)


def _tell_of_blocking(
    subject: Subject, ending: str, found: Deadlock | LongTurn, method: str, held: Held
) -> NoReturn:
    subject.fail(
        seen=f"of a task that {ending}: {found}, on the thread of the loop",
        required="whatever waits, or works for long, does so with `await`, or on another thread; "
        "the event loop goes on meanwhile, for all other tasks of the host",
        cause=f"a call of the blocking kind, or much work, in a coroutine: "
        f"`await asyncio.to_thread(...)` around it, or its asynchronous form, keeps `{method}` "
        "from holding up everybody",
        history=held.history,
        reproduce=_REPRODUCE_DEADLOCK.format(
            fails="raise ValueError" if ending in (FAILS, FAILS_AGAIN) else "return",
            settings="executor.retries = 2" if ending == FAILS_AGAIN else "...",
            value="large()" if ending == TAKES_MUCH else "1",
            stops=_STOPS.get(ending, "..."),
        ),
    )


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
            examples=subject.pick(quick=2, default=3, thorough=40),
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
    # Whom nothing stops these rules have told so; there is more to be seen when nothing waits.
    if inspect.iscoroutinefunction(getattr(executor, "execute", None)) and subject.keeps("CAN-01"):
        steps.add("cancel")
    if "stop" not in subject.preflight().cannot and subject.keeps("TIM-02"):
        try:
            subject.build(time_limit=1.0)
        except CouldNotRun:
            return steps
        steps.add("time out")
    return steps


@check("CNC-04")
def test_CNC_04_must_work_on_a_second_event_loop(subject: Subject) -> None:
    first, second, history = _on_two_loops(subject)

    if is_its_own(second, 2):
        return
    if not is_its_own(first, 1):
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
    # On the first loop of two at the same time, which CNC-09 speaks of, tasks have run already.
    both = on_two_loops(subject)
    executor = both.executors[0]
    with subject.recording(executor) as history:
        history.events += both.history.events
        first = _apart(subject, executor, 1) if both.wrong else both.seen[0]
        if is_its_own(first, 1):
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
    guard = patience.PAST_LIMIT + 3 * subject.preflight().seconds

    async def story() -> Seen:
        # Several at once: a lock belongs to a loop from the moment on that somebody waits for it.
        # Where tasks at once go wrong, as another rule tells, one has to do.
        mixes = any(
            known is not None and known.outcome == "failed"
            for known in map(subject.findings.get, ("CNC-01", "CNC-02"))
        )
        tasks = [
            asyncio.ensure_future(subject.execute(executor, echo, (f"on loop {number}",)))
            for _ in range(1 if mixes else AT_ONCE)
        ]
        outcomes = [await finish(executing, guard) for executing in tasks]
        if None in outcomes:
            for executing in tasks:
                executing.cancel()
            await asyncio.wait(tasks, timeout=patience.RESCUE)
            return Seen(malformed=f"execute had not ended after {guard:.0f} s")
        seen = [one for one in outcomes if one is not None]
        return next((one for one in seen if not is_its_own(one, number)), seen[0])

    try:
        return subject.drive_apart(story)
    except Hang as hang:
        return f"execute never ended: {hang}"


def _loop_echo(number: int) -> Seen:
    return Seen(result=f"on loop {number}", status="COMPLETED")
