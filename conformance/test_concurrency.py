"""CNC: tasks at once."""

from __future__ import annotations

import asyncio

from .beacon import Attempt, Beacon
from .check import check
from .history import History
from .host import Seen
from .probes import report_home
from .subject import Subject, finish

_TASKS = 4

#: Seconds to wait for the next task to begin before those that have are let go. It decides
#: nothing: an executor that queues is right, it is only judged without having them all at once.
_GRACE = 3.0


@check("CNC-01")
def test_CNC_01_must_never_mix_tasks_at_once(subject: Subject) -> None:
    subject.need_beacon()
    # Who blocks the event loop runs one task after the other: to hold one would hold everything.
    answer = _finish_task if subject.preflight().blocks_loop_at else None
    executor = subject.build()
    dispatches = [subject.new_dispatch() for _ in range(_TASKS)]

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
                for node, dispatch in enumerate(dispatches)
            ]
            # All of them have begun, where the executor lets them, before any goes on.
            everyone = asyncio.gather(*executing, return_exceptions=True)
            for number in range(1, _TASKS + 1):
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

    with subject.recording(executor) as history:
        outcomes = subject.drive(story)

    captures = subject.preflight().captures_streams
    for node, (dispatch, seen) in enumerate(zip(dispatches, outcomes, strict=True)):
        problem = _problem(node, dispatch, dispatches, seen, history, captures)
        if problem:
            subject.fail(
                seen=f"{_TASKS} tasks at once on one instance; of {dispatch}: {problem}",
                required="each task gets its own result or error, output and metadata",
                cause="state of one task lives on `self` (its streams, its handle, its file), "
                "where the next task overwrites it",
                history=history,
                reproduce="""
                    import asyncio
                    from pytest_asyncexec.conformance.host import host_for

                    def task(name):
                        import time
                        time.sleep(1)
                        print("printed by", name)
                        return name

                    async def main():
                        host = host_for(executor)
                        for seen in await asyncio.gather(*(
                            host.execute(executor, task, [n], dispatch_id=n) for n in "abcd"
                        )):
                            print(seen)

                    asyncio.run(main())
                """,
            )


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
