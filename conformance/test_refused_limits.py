"""TIM, where nothing can be stopped: whether a limit is refused that could not be kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, NoReturn

from ..contract.wording import short_error
from .check import check
from .instruments.history import History, Replacement, does_nothing
from .subject.exceptions import CouldNotRun
from .subject.subject import Subject

#: Seconds: a whole number, a fraction, and one that nobody waits for.
_LIMITS: Final = (5, 0.5, 86400)

_CAUSE: Final = (
    "`time_limit` is an attribute of the base class, and is taken as it comes: raise ValueError "
    "where it is positive, in the constructor or first of all in `execute`"
)


class _Way(NamedTuple):
    """One way in which a host gives an executor its limit."""

    words: str
    give: Callable[[], Any]
    #: The line of Python that does the same to `executor`.
    line: str


@check("TIM-11")
def test_TIM_11_must_refuse_a_limit_where_no_task_can_be_stopped(subject: Subject) -> None:
    if "stop" not in subject.preflight().cannot:
        return  # who can stop a task takes every limit: whether it keeps them is TIM-02's to say
    for limit in _LIMITS:
        for way in _ways(subject, limit):
            try:
                executor = way.give()
            except CouldNotRun:
                continue
            except Exception as error:
                _require_clear(subject, way, short_error(error), History())
                continue
            _judge(subject, way, executor)


def _ways(subject: Subject, limit: float) -> Iterator[_Way]:
    if "time_limit" in subject.parameters():
        yield _Way(
            f"time_limit={limit}, given to the constructor",
            lambda: subject.construct(time_limit=limit),
            f"executor = type(executor)(time_limit={limit})",
        )

    def with_attribute() -> Any:
        executor = subject.building.build()
        executor.time_limit = limit
        return executor

    yield _Way(
        f"time_limit={limit}, set on the instance",
        with_attribute,
        f"executor.time_limit = {limit}",
    )

    def rehydrated() -> Any:
        executor = subject.building.build()
        described = json.loads(json.dumps(executor.to_dict()))
        if "time_limit" not in described["attributes"]:
            raise CouldNotRun("no limit is among the attributes")
        described["attributes"]["time_limit"] = limit
        executor.from_dict(described)
        return executor

    if callable(getattr(subject.cls, "to_dict", None)):
        yield _Way(
            f"time_limit={limit}, in the dictionary that it was rehydrated from",
            rehydrated,
            f"described = executor.to_dict()\ndescribed['attributes']['time_limit'] = {limit}\n"
            "executor.from_dict(described)",
        )


def _judge(subject: Subject, way: _Way, executor: Any) -> None:
    replaced: dict[str, Replacement] = dict.fromkeys(("setup", "run", "teardown"), does_nothing)
    with subject.recording(executor, **replaced) as history:
        seen = subject.run(executor, len, "abc")
    begun = [method for method in ("setup", "run") if method in history.beginnings()]
    if begun:
        _fail(subject, way, f"{' and '.join(begun)} had been called; {seen}", history)
    if seen.error is None and seen.status != "FAILED":
        _fail(subject, way, f"{seen}", history)
    said = short_error(seen.error) if seen.error is not None else seen.stderr
    _require_clear(subject, way, said, history)


def _require_clear(subject: Subject, way: _Way, said: str, history: History) -> None:
    if "limit" not in said.lower():
        _fail(subject, way, f"it was refused by words that do not name time_limit: {said}", history)


def _fail(subject: Subject, way: _Way, seen: str, history: History) -> NoReturn:
    subject.fail(
        seen=f"of an executor that declares that it cannot: stop; {way.words}: {seen}",
        required="an error that names time_limit, before setup or run is called",
        cause=_CAUSE,
        history=history,
        reproduce=f"""
import asyncio
from pytest_asyncexec.conformance.subject.host import host_for

{way.line}
print(asyncio.run(host_for(executor).execute(executor, print, ["it was run"])))
""",
    )
