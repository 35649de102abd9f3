"""What was seen of one task of the plan, and how it differs from what the model predicts."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from ...contract.wording import says, short
from ..instruments.brackets import (
    cut_short,
    left_out,
    misplaced_attempt,
    not_torn_down,
    repeated,
)
from ..instruments.history import METHODS, History, Method
from ..instruments.seen import Seen
from . import values
from .conditions import (
    BREAKING,
    DIES,
    LIMITS,
    OWN_TIME_OUT,
    SHARED_DISPATCH,
    STOPPED,
    Row,
)
from .failing_line import failing_line
from .output import KILLED, PRINTED, in_order, lost_last_words, text_difference, wrong_stream
from .own import owns_in
from .prediction import Prediction, predict
from .task import GIVEN, fail_in_a_known_line

#: In what an observation can differ from its prediction, in the order in which it is told: what
#: comes first explains what comes later.
Aspect = Literal[
    "no end",
    "foreign",
    "foreign output",
    "given",
    "more attempts",
    "attempts twice",
    "attempts",
    "completed",
    "failed",
    "cancellation",
    "result",
    "own time-out",
    "message",
    "line",
    "last words",
    "stdout",
    "stderr",
    "printed by the host",
    "log",
    "arguments",
    "overlap",
    "alive",
    "order of calls",
    "no teardown",
    "cut short",
    "number of calls",
    "metadata",
]

ASPECTS: Final[tuple[Aspect, ...]] = Aspect.__args__  # type: ignore[attr-defined]

#: What is found of another task: it is for what runs at the same time.
FOREIGN: Final[tuple[Aspect, ...]] = ("foreign", "foreign output")

#: In what nothing more is said of a task that shows the output of another one.
OF_OUTPUT: Final[tuple[Aspect, ...]] = (
    "stdout",
    "stderr",
    "printed by the host",
    "log",
    "last words",
)

#: What leaves nothing else to be said of a task: not whether its result is right, or its output.
HIDING: Final[tuple[Aspect, ...]] = (
    "no end",
    "foreign",
    "given",
    "completed",
    "failed",
    "cancellation",
)


@dataclass(frozen=True, slots=True)
class Observation:
    """All that was seen of one task."""

    row: Row
    #: The text that no other task has.
    own: str
    dispatch_id: str
    results_dir: str
    #: What the host saw; None where `execute` did not end, or ended in CancelledError.
    seen: Seen | None
    #: Whether `execute` ended in CancelledError.
    cancelled: bool = False
    #: How often the task reported to the suite; None where it could not.
    attempts: int | None = None
    #: What was awaited under the executor.
    history: History = field(default_factory=History)
    #: The methods that the executor has and that are recorded.
    has: Collection[Method] = ()
    #: What the logs hold that were asked for, by "stdout" and "stderr", when the outcome is known.
    logs: Mapping[str, str] = field(default_factory=dict)
    #: The same when all tasks of the batch have ended.
    kept_logs: Mapping[str, str] = field(default_factory=dict)
    #: How the host's own arguments differ from what they were.
    arguments: str = ""
    #: The processes in which the task still did what it was told when the outcome was known.
    alive: tuple[int, ...] = ()
    #: Those in which an attempt still did so when the next one had begun.
    overlap: tuple[int, ...] = ()
    #: What of its output the host has printed itself, "stdout" or "stderr".
    overheard: str = ""
    #: Whether nothing had stopped it, until the suite told it to return.
    let_go: bool = False
    #: Where it stood when it was given up.
    stood: str = ""
    #: Whether what tasks print is captured.
    captures: bool = True
    #: The same for all tasks of one instance.
    instance: int = 0
    #: Whether it is declared that the backend may run a task again whose worker was lost.
    may_run_again: bool = False


@dataclass(frozen=True, slots=True)
class Deviation:
    """One difference between an observation and what the contract asks for."""

    aspect: Aspect
    seen: str
    required: str
    observation: Observation


def deviations(
    observation: Observation, predicted: Prediction, others: Set[str] = frozenset()
) -> Iterator[Deviation]:
    """Every way in which a task was not what the model predicts.

    Args:
        observation: of one task.
        predicted: for the same conditions.
        others: the texts of the tasks that ran at the same time, of which it may show nothing.
    """

    def differs(aspect: Aspect, seen: object, required: str) -> Deviation:
        return Deviation(aspect, str(seen), required, observation)

    seen = observation.seen
    if seen is None and not observation.cancelled:
        yield differs("no end", f"it never ended: {observation.stood}", "every task ends")
        return
    found = _foreign(observation, others)
    if found:
        yield differs("foreign", found, _OWN)
        return
    found = _foreign_output(observation, others)
    if found:
        yield differs("foreign output", found, _OWN)
    given = _not_given(seen)
    counted = _miscounted_attempts(observation, predicted)
    if counted is not None and not given:
        yield differs(*counted)
        predicted = predict(observation.row, observation.own, made=observation.attempts or 0)
    ended = _judged_end(observation, predicted)
    if given:
        yield differs("given", given, "every attempt is given what the task was sent with")
    elif ended is not None:
        yield differs(*ended)
    else:
        heard = replace(observation, captures=False) if found else observation
        yield from (differs(*each) for each in _judged_values(heard, predicted))
    yield from (differs(*each) for each in _judged_calls(observation, predicted))


_OWN: Final = "each task gets its own result, error and output"

_Difference = tuple[Aspect, object, str]


def _not_given(seen: Seen | None) -> str:
    """How what an attempt was given differs from what was sent, in the words of the task."""
    lines = "" if seen is None else _told(seen)
    _, found, wrong = lines.partition(GIVEN)
    return f"{GIVEN}{wrong.splitlines()[0]}" if found and wrong.strip() else ""


def _miscounted_attempts(
    observation: Observation, predicted: Prediction
) -> tuple[Aspect, str, str] | None:
    made, due = observation.attempts, predicted.attempts
    # Of one that never began the end says why.
    if not made or made == due or (made < due and not predicted.exactly):
        return None
    if made > due and observation.may_run_again and observation.row["end"] == DIES:
        return None
    # And of one whose every attempt failed, and should not have.
    failed = observation.seen is not None and not observation.seen.completed
    if failed and predicted.end == "completed" and made == 1 + int(observation.row["retries"]):
        return None
    aspect: Aspect = "attempts"
    calls = observation.history.count("run")
    seen = f"it was attempted {made} time{'s' * (made > 1)}"
    # Of a worker's death it is told by one rule, wherever the attempts too many are made.
    if made > due and 1 < calls < made and observation.row["end"] != DIES:
        aspect = "attempts twice"
        seen += f", and `run` was called {calls} times"
    elif made > due:
        aspect = "more attempts"
    return aspect, f"{seen}; {_outcome(observation.seen)}", f"{due} attempt{'s' * (due > 1)}"


def _judged_end(observation: Observation, predicted: Prediction) -> _Difference | None:
    seen = observation.seen
    if predicted.end == "cancelled by its host":
        if seen is None:
            return None
        return "cancellation", seen, "CancelledError out of execute, whose host has cancelled it"
    if seen is None:
        return (
            "cancellation",
            "execute ended in CancelledError, and nobody had cancelled it",
            "the outcome of the task, or its error",
        )
    if observation.attempts == 0 and observation.row["end"] not in (*STOPPED, *BREAKING):
        return "failed", f"it never ran; {seen}", "the task is run"
    if predicted.end == "completed":
        if not seen.completed:
            return "failed", seen, "the status COMPLETED, with the result of the task"
    elif predicted.end == "timed out":
        if not seen.timed_out:
            return "completed", seen, "a TimeoutError, or the status FAILED"
    elif seen.malformed or (seen.error is None and seen.status != "FAILED"):
        return "completed", seen, "the error is raised, or the status is FAILED"
    return None


def _judged_values(observation: Observation, predicted: Prediction) -> Iterator[_Difference]:
    seen, row, own = observation.seen, observation.row, observation.own
    if seen is not None and predicted.end == "completed":
        wrong = values.difference(values.make(row["result"], own), seen.result)
        if wrong:
            yield "result", f"the result {wrong}", "the result arrives as the task returned it"
    own_time_out = _not_its_own_time_out(seen, row, own)
    if own_time_out:
        yield (
            "own time-out",
            own_time_out,
            "that error, or the status FAILED with its message in stderr",
        )
    elif seen is not None and predicted.end == "failed" and predicted.message:
        told = _told(seen)
        lost = [line for line in predicted.message.split("\n") if line.strip() not in told]
        if lost:
            yield (
                "message",
                f"{seen}; of the message of its error {values.in_words(lost[0])} is nowhere found",
                "the message of the task's last error, in the error, its notes or stderr",
            )
        elif row["logs"] == "unwritable" and _is_hidden(seen.error, predicted.message):
            yield (
                "message",
                f"{seen}; its own error is left as the mere context of that",
                "the task's own error is raised, whatever becomes of its logs",
            )
        elif _hidden_by_an_earlier_one(seen, predicted):
            yield (
                "message",
                f"{seen}; that is not its last error, which said "
                f"{values.in_words(predicted.message)}",
                "the error of the last attempt",
            )
    if seen is not None and predicted.shows_line:
        yield from _judged_line(_told(seen), seen)
    if not observation.captures:
        return
    if seen is not None and seen.no_text:
        yield "stdout", f"{seen}; {seen.no_text}", "both streams are str, '' where nothing came"
        return
    if observation.overheard:
        yield (
            "printed by the host",
            f"what it printed to {observation.overheard} was printed by the host, too",
            "what a task prints is returned, and the host prints nothing of it",
        )
    # Who has reported has printed before that.
    if row["end"] in KILLED and seen is not None and observation.attempts:
        lost = list(lost_last_words(seen, row, own, observation.logs))
        if lost:
            yield (
                "last words",
                f"what it had printed to {' and '.join(lost)}, and flushed, before it was killed "
                f"is neither in its outcome nor in its logs: {seen}",
                "what a killed task had printed is kept: it is what tells why it ended",
            )
    for stream, text in (("stdout", predicted.stdout), ("stderr", predicted.stderr)):
        # With an error that is raised no output is returned.
        if seen is not None and seen.error is None and row["end"] not in KILLED:
            wrong = wrong_stream(stream, seen, row, own, predicted)
            if wrong:
                yield _aspect(stream), wrong, _WHOLE
        for when, logs in (("", observation.logs), (_LATER, observation.kept_logs)):
            if stream in logs:
                log = logs[stream]
                if not _log_holds(observation, predicted, stream, text, log):
                    yield (
                        "log",
                        text_difference(f"{when}the log of {stream}", text, log),
                        "the log holds what the task printed, whole",
                    )
                    break


_LATER = "when the other tasks had ended, too, "


def _judged_line(told: str, seen: Seen) -> Iterator[_Difference]:
    line = failing_line(fail_in_a_known_line)
    if line.shown_in(told):
        return
    missing = (
        "that number and function are found, and neither the text of the line nor the name of its "
        "file"
        if line.numbered_in(told)
        else "neither that line nor its number and function is found in the error, its notes or "
        "stderr"
    )
    yield (
        "line",
        f"{seen}; it failed in line {line.number}, in {line.function}; {missing}",
        "the traceback of the task, with the line that failed: its text, or its number with the "
        "names of the file and the function",
    )


def _not_its_own_time_out(seen: Seen | None, row: Row, own: str) -> str:
    """How a TimeoutError that a task raised itself was told as something else, in words."""
    if seen is None or seen.error is None or row["end"] != OWN_TIME_OUT:
        return ""
    message = values.message(row["end"], own)
    if seen.over_its_limit:
        return f"{seen}, of the class of errors that says that the limit was over"
    carried = getattr(seen.error, "stderr", "")
    said = carried.decode(errors="replace") if isinstance(carried, bytes) else str(carried)
    if says(seen.error, message) or message in said or message not in _told(seen):
        return ""
    # Behind another error it is merely its cause.
    return f"{seen}, which does not say what the task said"


def _hidden_by_an_earlier_one(seen: Seen, predicted: Prediction) -> bool:
    """Whether the error of an attempt before the last one is told, with that as its cause."""
    if seen.error is None:
        return False
    earlier = any(says(seen.error, message) for message in predicted.earlier)
    return earlier and not says(seen.error, predicted.message.split("\n")[0])


_WHOLE = "what every attempt printed, whole and in order"


def _aspect(stream: str) -> Aspect:
    return "stdout" if stream == "stdout" else "stderr"


def _log_holds(
    observation: Observation, predicted: Prediction, stream: str, text: str, log: str
) -> bool:
    row = observation.row
    one = PRINTED[stream](row["prints"], observation.own)
    each = getattr(predicted, f"to_{stream}")
    if row["end"] in KILLED or predicted.end == "cancelled by its host":
        # How many of its attempts came to print before they were stopped is nobody's fault, and
        # what is lost of those that did is another rule's; but the log holds what is returned.
        returned = getattr(observation.seen, stream, "")
        return not one or log.count(one) >= returned.count(one)
    return text in log or in_order(log, each)


def _is_hidden(error: BaseException | None, message: str) -> bool:
    """Whether an error of the file system is what its catcher gets in place of the task's own."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__
    if any(isinstance(each, BaseExceptionGroup) for each in chain):
        return False
    words = [text for each in chain for text in (str(each), *getattr(each, "__notes__", ()))]
    first = message.split("\n")[0].strip()
    return any(isinstance(each, OSError) for each in chain) and not any(
        first in text for text in words
    )


def _told(seen: Seen) -> str:
    """What a caller is told of a failure: the error with notes, causes and traceback, stderr."""
    error = "" if seen.error is None else "".join(traceback.format_exception(seen.error))
    return f"{error}\n{seen.stderr}"


def _foreign(observation: Observation, others: Set[str]) -> str:
    """What of another task is found in the result of this one, or in how it failed."""
    seen = observation.seen
    if seen is None:
        return ""
    said = replace(seen, stdout="", stderr="").everything_said
    # Where its own failure is told there, what stands beside it was printed.
    if not seen.completed and observation.own not in seen.stderr:
        said += seen.stderr
    if isinstance(seen.result, str):
        said += seen.result[:10_000]
    return _of_another(said, others, seen)


def _foreign_output(observation: Observation, others: Set[str]) -> str:
    """What of another task is found in the output of this one, or in its logs."""
    seen = observation.seen
    if seen is None:
        return ""
    found = _of_another(seen.everything_said, others, seen)
    if found or observation.row["logs"] != "both" or observation.row["dispatch"] == SHARED_DISPATCH:
        return found
    for stream, log in observation.logs.items():
        if not others.isdisjoint(owns_in(log)):
            return f"its log of {stream} holds what another task printed"
    return ""


def _of_another(said: str, others: Set[str], seen: Seen) -> str:
    other = next((own for own in owns_in(said) if own in others), None)
    return "" if other is None else f"it got what belongs to another task ({other}): {seen}"


def _outcome(seen: Seen | None) -> str:
    return "execute had ended in CancelledError" if seen is None else str(seen)


def _processes(pids: Collection[int]) -> str:
    return " and ".join(f"process {pid}" for pid in pids)


def _judged_calls(observation: Observation, predicted: Prediction) -> Iterator[_Difference]:
    seen = observation.seen
    if observation.arguments:
        yield (
            "arguments",
            f"the task changed the host's own objects: {observation.arguments}",
            "the host's objects stay as they are",
        )
    if observation.overlap:
        yield (
            "overlap",
            f"an attempt began while the one before still ran ({_processes(observation.overlap)})",
            "the next attempt begins only once the work of the one before is dead",
        )
    if observation.alive:
        yield (
            "alive",
            f"{_outcome(seen)}, and its task still runs ({_processes(observation.alive)})",
            "the outcome is known only once the work is dead",
        )
    elif observation.let_go and (seen is None or seen.timed_out):
        yield (
            "alive",
            f"nothing had stopped it when the suite let it go; after that {_outcome(seen)}",
            "it is stopped, however long it would have gone on",
        )
    yield from _judged_history(observation)


def _judged_history(observation: Observation) -> Iterator[_Difference]:
    history, has = observation.history, observation.has
    for aspect, judged, required in _OF_HISTORIES:
        wrong = judged(history, has)
        if wrong:
            # The first one explains what comes after it.
            yield aspect, wrong, required
            break
    for method in METHODS:
        for given in history.metadata(method):
            wrong = wrong_metadata(given, observation)
            if wrong:
                yield (
                    "metadata",
                    f"{method} was called with task_metadata in which {wrong}",
                    "setup, run and teardown all get dispatch_id, node_id and results_dir, as they "
                    "were given to execute: str, int and str; more keys are welcome",
                )
                return


_ONCE: Final = "in each bracket, setup and teardown are each awaited once, to their end"
_BRACKET: Final = (
    "setup, awaited to its end, then one or more attempts at run, then teardown; again from setup "
    "if more attempts follow"
)
_OF_HISTORIES: Final[tuple[tuple[Aspect, Callable[..., str | None], str], ...]] = (
    ("number of calls", repeated, _ONCE),
    ("order of calls", misplaced_attempt, _BRACKET),
    ("no teardown", not_torn_down, "teardown is awaited, however run has ended"),
    ("cut short", cut_short, "teardown is awaited to its end, and execute ends after it"),
    ("number of calls", left_out, _ONCE),
)


def wrong_metadata(given: Any, observation: Observation) -> str:
    """What is wrong with the `task_metadata` that a method was given for a task; or nothing."""
    told = {
        "dispatch_id": observation.dispatch_id,
        "node_id": int(observation.row["node"]),
        "results_dir": observation.results_dir,
    }
    if not isinstance(given, dict):
        return f"there are no keys: it is {short(given)}"
    for key, value in told.items():
        if key not in given:
            return f"{key!r} is missing: it is {short(given)}"
        arrived = given[key]
        right = type(arrived) is not bool and isinstance(arrived, type(value))
        # A path may be written in several ways.
        if not right or _path(key, arrived) != _path(key, value):
            return f"{key!r} is {short(arrived)}, not {short(value)}"
    return ""


def _path(key: str, value: Any) -> Any:
    return os.path.realpath(value) if key == "results_dir" else value


def limit_of(row: Row, short: float) -> float:
    """The seconds that a row's `limit` stands for."""
    return LIMITS.get(row["limit"], short)
