"""CAN, where the host says beforehand that it wants a task no more: whether anybody asks it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import Iterator
from typing import Any, Final
from unittest import mock

from ..contract.wording import short, short_error
from .check import check
from .instruments.history import History, does_nothing
from .instruments.probes import echo, report_home
from .instruments.seen import Seen
from .scenarios.stopping import let_go
from .subject.subject import Subject

_ASKS: Final = "get_cancel_requested"

#: What the host answers, one after the other.
_ANSWERS: Final = (False, True, False, True)

_REPRODUCE: Final = """
    import asyncio
    from unittest import mock
    from pytest_asyncexec.conformance.subject.host import host_for

    # The host answers in the place of the method that the others override.
    cls = [c for c in type(executor).__mro__ if "get_cancel_requested" in vars(c)][-1:]

    async def get_cancel_requested(self):
        print("the host is asked")
        return True

    async def main():
        print(await host_for(executor).execute(executor, print, ["the task was run"]))

    with mock.patch.object(*cls or [type(executor)], "get_cancel_requested",
                           get_cancel_requested, create=True):
        asyncio.run(main())
"""


@check("CAN-10")
def test_CAN_10_should_ask_the_host_before_the_work_begins(subject: Subject) -> None:
    with _host(subject) as host:
        _judge_the_answers(subject, host)
        _judge_the_beginning(subject, host)


class _Host:
    """What it answers at this moment, whoever asks."""

    wants_it_stopped = False


def _judge_the_answers(subject: Subject, host: _Host) -> None:
    if not callable(getattr(subject.cls, _ASKS, None)):
        return
    heard: list[Any] = []

    def ask(executor: Any) -> Iterator[Any]:
        for answer in _ANSWERS:
            host.wants_it_stopped = answer
            yield getattr(executor, _ASKS)()
        host.wants_it_stopped = False

    async def asking(_original: Any, executor: Any, *_args: Any, **_kwargs: Any) -> None:
        for said in ask(executor):
            heard.append(await said if inspect.isawaitable(said) else said)

    def asking_in_a_thread(_original: Any, executor: Any, *_args: Any, **_kwargs: Any) -> None:
        for said in ask(executor):
            heard.append(asyncio.run(_of(said)) if inspect.isawaitable(said) else said)

    executor = subject.build()
    awaited = inspect.iscoroutinefunction(getattr(subject.cls, "run", None))
    replaced = asking if awaited else asking_in_a_thread
    with subject.recording(executor, run=replaced) as history:
        seen = subject.run(executor, echo, "value")
    if not history.count("run"):
        subject.could_not_run(f"execute ended without calling `run` of its class: {seen}")
    if heard != list(_ANSWERS):
        told = ", ".join(map(short, heard))
        failed = f" and then raised {short_error(seen.error)}" if seen.error else ""
        subject.fail(
            seen=f"asked again and again while a task ran, its host answered "
            f"{', '.join(map(str, _ANSWERS))}; get_cancel_requested returned {told}{failed}",
            required="what the host answers, each time anew",
            cause="get_cancel_requested is overridden, with a constant or with an answer that is "
            "kept, and does not ask the one that it overrides",
            history=history,
            reproduce=_REPRODUCE,
        )


async def _of(said: Any) -> Any:
    return await said


def _judge_the_beginning(subject: Subject, host: _Host) -> None:
    host.wants_it_stopped = True

    executor = subject.build()
    with subject.recording(executor, run=does_nothing) as history:
        seen = subject.run(executor, echo, "value")
    if not history.count("run") and seen.status == "CANCELLED":
        return
    was_run = False
    if history.count("run"):
        # It may be `run` that asks, before it has anything done.
        seen, was_run, history = _with_a_real_task(subject)
        if not was_run and seen.status == "CANCELLED":
            return
    subject.fail(
        seen=f"its host wanted a task to stop before anything was done for it, and "
        f"{'it was run' if was_run else 'it was not run'}: {seen}",
        required="the task is not run, and the status is CANCELLED",
        cause="nobody asks get_cancel_requested: ask it after `setup`, or first of all in `run`, "
        "and raise TaskCancelledError",
        history=history,
        reproduce=_REPRODUCE,
    )


def _with_a_real_task(subject: Subject) -> tuple[Seen, bool, History]:
    executor, facts = subject.build(), subject.preflight()
    with subject.recording(executor) as history:
        if not facts.reachable:
            seen = subject.run(executor, echo, "it was run")
            return seen, seen.completed, history
        with subject.beacon(let_go) as beacon:
            seen = subject.run(executor, report_home, beacon.address)
            return seen, bool(beacon.attempts), history


@contextlib.contextmanager
def _host(subject: Subject) -> Iterator[_Host]:
    """Within this block, the host answers what it is set to."""
    host = _Host()
    former, subject.tasks.stop_requested = (
        subject.tasks.stop_requested,
        lambda: host.wants_it_stopped,
    )
    # It does so in the place of the method that others override.
    definers = [each for each in subject.cls.__mro__ if callable(vars(each).get(_ASKS))]
    with contextlib.ExitStack() as stack:
        stack.callback(setattr, subject.tasks, "stop_requested", former)
        if definers:
            original = vars(definers[-1])[_ASKS]

            @functools.wraps(original)
            async def answered(_self: Any) -> bool:
                return host.wants_it_stopped

            @functools.wraps(original)
            def answered_at_once(_self: Any) -> bool:
                return host.wants_it_stopped

            is_awaited = inspect.iscoroutinefunction(original)
            instead = answered if is_awaited else answered_at_once
            stack.enter_context(mock.patch.object(definers[-1], _ASKS, instead))
        yield host
