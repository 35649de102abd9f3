"""What a fresh process does with an executor, as JSON text or built anew: the other end."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...targets.loading import load_target
from ..instruments.by_value import ByValue
from ..instruments.history import recorded
from ..instruments.probes import echo
from ..instruments.process_state import ProcessState, may_be_there_to_stay
from ..instruments.seen import Seen, finish
from ..instruments.signals import refuse_signals, refused_signals
from ..subject.host import TemplateHost, host_for
from .endings import fail

#: Tasks on each event loop.
AT_ONCE = 3


def main(path: Path) -> None:
    """Answer the request in the file `path`, beside it: how far it came, and what was seen.

    Not by standard output, to which whoever likes may print.
    """
    request = json.loads(path.read_text(encoding="utf-8"))
    answer: dict[str, Any] = {}
    try:
        stages = _stages
        if "loops" in request:
            stages = _on_loops
        elif "main_thread" in request:
            stages = _in_main_thread
        for stage in stages(request, answer):
            answer["stage"] = stage
    except BaseException as error:
        answer["error"] = f"{type(error).__name__}: {error}"
    path.with_suffix(".answer").write_text(json.dumps(answer), encoding="utf-8")


def _stages(request: dict[str, Any], answer: dict[str, Any]) -> Iterator[str]:
    yield "importing the target"
    target = load_target(request["spec"])
    yield "building an executor"
    executor = target.build()
    yield "from_dict"
    rehydrated = executor.from_dict(json.loads(request["text"]))
    # What an executor is as a condition is its own affair.
    executor = executor if rehydrated is None else rehydrated
    yield "to_dict"
    answer["described"] = json.loads(json.dumps(executor.to_dict(), allow_nan=False))
    yield "running a task"
    seen = asyncio.run(_hello(executor, request))
    answer["completed"] = seen.completed and seen.result == "hello"
    answer["seen"] = str(seen)
    yield "done"


async def _hello(executor: Any, request: dict[str, Any]) -> Seen:
    host = host_for(executor)
    if request["template"]:
        host = TemplateHost(host)
    return await host.execute(
        executor, ByValue(echo), ["hello"], results_dir=request["results_dir"]
    )


def _on_loops(request: dict[str, Any], answer: dict[str, Any]) -> Iterator[str]:
    yield "importing the target"
    target = load_target(request["spec"])
    yield "building an executor"
    executor = target.build()
    answer["completed"], answer["seen"] = [], []
    with recorded(type(executor)) as history:
        for number in range(1, request["loops"] + 1):
            yield f"running a task on event loop {number}"
            try:
                seen = asyncio.run(_hello_or_nothing(executor, request))
            finally:
                answer["history"] = [asdict(moment) for moment in history.told()]
            answer["completed"].append(seen.completed and seen.result == "hello")
            answer["seen"].append(str(seen))
    yield "done"


async def _hello_or_nothing(executor: Any, request: dict[str, Any]) -> Seen:
    tasks = [asyncio.ensure_future(_hello(executor, request)) for _ in range(AT_ONCE)]
    outcomes = [
        await finish(executing) or Seen(malformed="execute had not ended after a minute")
        for executing in tasks
    ]
    wrong = (seen for seen in outcomes if not seen.completed or seen.result != "hello")
    return next(wrong, outcomes[0])


def _in_main_thread(request: dict[str, Any], answer: dict[str, Any]) -> Iterator[str]:
    yield "importing the target"
    # Before anything can start that tasks are started by.
    refuse_signals()
    target = load_target(request["spec"])
    yield "building an executor"
    executor = target.build()
    yield "running tasks"
    state = ProcessState()
    looked = asyncio.run(_two_that_fail(executor, request))
    # They are the first ones there.
    answer["changes"] = [each for each in state.changes() if not may_be_there_to_stay(each)]
    if looked.completed and isinstance(looked.result, list):
        answer["signals"] = looked.result
    yield "done"


async def _two_that_fail(executor: Any, request: dict[str, Any]) -> Seen:
    """Run two tasks that fail, and one at the same time that looks at its signals."""
    host = host_for(executor)
    if request["template"]:
        host = TemplateHost(host)
    dispatch = f"dispatch-{uuid.uuid4().hex}"
    works: list[tuple[Any, list[str]]] = [(fail, ["on purpose"])] * 2
    *_, looked = await asyncio.gather(
        *(
            host.execute(
                executor,
                ByValue(function),
                args,
                dispatch_id=dispatch,
                results_dir=request["results_dir"],
                node_id=node,
            )
            for node, (function, args) in enumerate([*works, (refused_signals, [])])
        )
    )
    return looked
