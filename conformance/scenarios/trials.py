"""The tasks that are tried at once: each changes, writes, leaves, starts or reads something."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..instruments import patience
from ..instruments.by_value import ByValue
from ..instruments.changes import CHANGES
from ..instruments.in_tasks import (
    METHODS,
    WRITES,
    read_input,
    start_child,
    use_asyncio,
    write_below,
)
from ..instruments.leftovers import draw_again, leave, look, run_once, speak_late
from ..instruments.seen import Seen
from ..subject.preflight import THIS_PROCESS
from ..subject.subject import Subject
from .leaving import CHILD, THREAD, WRITER, leave_child, leave_thread

#: What is equal in all that can be compared, hashed or written as JSON, and the same function
#: object, as where a program holds one; behind a line to the same beacon.
_SAME: Final = (ByValue(run_once), (1, "two"), {"third": 3.0})


@dataclass(frozen=True, slots=True)
class Trial:
    """One task, and the rule that is asked of it."""

    rule_id: str
    #: What the task does, as an author reads it: `writes to ...`.
    what: str
    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    #: What it returns, where that is known.
    result: Any = None
    #: Of what it leaves behind that reports to a beacon, see `leaving`.
    leaves: str = ""
    #: Whether it meets another one that is equal, on the same instance.
    meets: bool = False
    #: Whether the one that comes next has its very ids; it is another node of its dispatch else.
    same_ids: bool = False
    #: The words that nobody but this task may be told to have written.
    word: str = ""


@dataclass(frozen=True, slots=True)
class Hand:
    """Hands over a task: to whom, under which ids, and who is told when it is over."""

    subject: Subject
    executor: Any
    dispatch: str
    node: int
    over: list[object]

    def begin(self, trial: Trial, args: tuple[Any, ...]) -> asyncio.Task[Seen]:
        """Start to execute it, with these arguments."""
        work = self.subject.execute(
            self.executor,
            trial.function,
            args,
            dict(trial.kwargs),
            dispatch_id=self.dispatch,
            node_id=self.node,
            by_value=not isinstance(trial.function, ByValue),
        )
        executing = asyncio.ensure_future(work)
        executing.add_done_callback(self.over.append)
        return executing


def trials_of(subject: Subject) -> list[Trial]:
    """The first ones; what may end a worker comes before what would go unseen by that."""
    facts = subject.preflight()
    every = subject.profile != "quick"
    trials = []
    if facts.reachable:
        # Who ends what is left ends the one and not the other, as does who waits for it.
        apart = "leaves a child process in a session of its own"
        trials.append(Trial("RES-16", "leaves a child process", leave_child, leaves=CHILD))
        trials.append(Trial("RES-16", apart, leave_child, (True,), leaves=CHILD))
        trials.append(Trial("RES-16", "leaves a daemon thread", leave_thread, leaves=THREAD))
    if facts.place != THIS_PROCESS:
        trials += [*_inside(), *_changing("ISO-02", every=every)]
    # A thread of the suite's own process goes on for longer than anybody hears what it writes.
    all_ways = [
        [way for way in group if facts.place != THIS_PROCESS or "thread" not in way]
        for group in WRITES
    ]
    for ways in _parts(all_ways, every=every):
        word = secrets.token_hex(4)
        what = f"writes to the descriptors 1 and 2: {', '.join(ways)}"
        trials.append(Trial("RES-15", what, write_below, (word, *ways), result=word))
    if facts.place != THIS_PROCESS:
        trials += [*_late(reachable=facts.reachable), *_changing("ISO-01", every=every)]
        trials.append(Trial("ISO-04", "sets the random generators", draw_again))
    function, args, kwargs = _SAME
    equal = Trial("RES-14", "is equal to others", function, args, kwargs, meets=True)
    # Results may be kept by what the function is given, or by the ids alone.
    return [*trials, equal, replace(equal, same_ids=True)]


def _parts(groups: Sequence[Sequence[str]], *, every: bool) -> list[Sequence[str]]:
    """All of a group in one task, or each thing in a task of its own."""
    return [(each,) for group in groups for each in group] if every else list(groups)


def _changing(rule_id: str, *, every: bool) -> list[Trial]:
    return [
        Trial(rule_id, f"changes {', '.join(changes)}", leave, tuple(changes))
        for changes in _parts(CHANGES[rule_id], every=every)
    ]


def _inside() -> list[Trial]:
    word = secrets.token_hex(4)
    begins = patience.OUTCOME
    return [
        Trial("RES-17", "calls asyncio.run()", use_asyncio, (word,), result=word),
        *(
            Trial("RES-17", f"starts a process by {method}", start_child, (method, begins), {}, "")
            for method in METHODS
        ),
        Trial("RES-18", "reads its standard input", read_input, (patience.TURN,), result=""),
    ]


def _late(*, reachable: bool) -> list[Trial]:
    words = [f"late-{secrets.token_hex(6)}" for _ in range(2)]
    at_exit = "leaves words for the end of its interpreter, and for when an object is freed"
    trials = [Trial("ISO-03", at_exit, speak_late, (words[0],), word=words[0])]
    if reachable:
        by_thread = "leaves a thread that writes later"
        trials.append(
            Trial("ISO-03", by_thread, leave_thread, (words[1],), leaves=WRITER, word=words[1])
        )
    return trials


def next_to(trial: Trial, number: int, *, looks: bool) -> Trial:
    """The task that comes next on the instance of one of the first, of which this is the number."""
    if trial.rule_id == "RES-14":
        return trial
    what = f"comes next to one that {trial.what}"
    if not looks:
        return Trial("", what, run_once)
    # Every other one leaves something for which its worker may be ended, at whose end words of
    # earlier tasks may come.
    return Trial("", what, look, (bool(number % 2),))
