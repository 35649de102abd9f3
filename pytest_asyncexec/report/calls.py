"""From the events of a history to its calls: from where to where each lasted, and beside which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..contract.finding import Moment
from ..contract.wording import one_line

#: In words, how a call ended.
ENDED = {"returns": "returned", "raises": "raised", "is cancelled": "was cancelled"}
NEVER = "never ended"


@dataclass(slots=True)
class Call:
    """One call: what it is called in the picture, and between which events it lasted."""

    method: str
    task: str
    name: str
    #: What stands in its bar.
    sign: str
    #: The index of the event it began with; -1 where that was not seen.
    begin: int
    end: int | None = None
    step: str = NEVER
    #: Its place in the lane of its task, where calls overlap.
    column: int = 0
    #: The calls of the same task that had not ended when it began.
    during: tuple[str, ...] = ()


def calls_of(history: Sequence[Moment]) -> tuple[list[Call], list[Call]]:
    """The calls in the order of their beginnings, and for each event the call it belongs to."""
    calls: list[Call] = []
    of_event: list[Call] = []
    running: dict[int, Call] = {}
    attempts: Counter[str] = Counter()
    for index, moment in enumerate(history):
        call = running.get(moment.call)
        if call is None:
            begun = moment.step == "begins"
            call = _begun(moment, index if begun else -1, attempts, running)
            running[moment.call] = call
            calls.append(call)
        if moment.step != "begins":
            call.end, call.step = index, ENDED.get(moment.step, moment.step)
            del running[moment.call]
        of_event.append(call)
    return calls, of_event


def _begun(moment: Moment, index: int, attempts: Counter[str], running: Mapping[int, Call]) -> Call:
    task = one_line(moment.task, 200)
    name, sign = moment.method, moment.method[:1].upper()
    if moment.method == "run":
        attempts[task] += 1
        name, sign = f"attempt {attempts[task]}", str(attempts[task])
    beside = [call for call in running.values() if call.task == task]
    taken = {call.column for call in beside}
    column = next(place for place in range(len(taken) + 1) if place not in taken)
    during = tuple(call.name for call in beside)
    return Call(moment.method, task, name, sign, index, column=column, during=during)
