"""What makes a task unusual, as data: each condition with its values, the usual one first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

#: One task: for each condition, by name, the value that holds for it.
Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing in which tasks differ."""

    name: str
    #: Values that meet every value of the other conditions. The first one is the usual one.
    crossed: tuple[str, ...]
    #: Values that occur in one task each, which is usual in everything else.
    single: tuple[str, ...] = ()
    #: The words around a value in a sentence, as in "prints {}".
    words: str = "{}"

    @property
    def usual(self) -> str:
        """The value that a task has where nothing is asked of this condition."""
        return self.crossed[0]

    @property
    def values(self) -> tuple[str, ...]:
        """All of them."""
        return self.crossed + self.single


#: How a task ends by itself, with a worker that lives.
RETURNS: Final = "returns"
RAISES: Final = (
    "raises an error",
    "raises an error of many lines",
    "raises an error of 100,000 characters",
    "raises an error of a class that cannot be unpickled",
)
RAISES_SINGLE: Final = (
    "raises an error without a message",
    "raises an error with a cause and a note",
    "raises a group of errors",
    "raises a TimeoutError",
    "raises an error whose message is not ASCII",
    "raises a ConnectionError",
    "raises an EOFError",
)
#: Of these, the ones that differ in their message alone.
PLAIN_ERRORS: Final = (*RAISES[:3], RAISES_SINGLE[4])
OWN_TIME_OUT: Final = "raises a TimeoutError"
#: What the attempts fail with that fail first, one after the other. Some retry what they think
#: will go away, and a failure is a failure.
FAILURES: Final[Mapping[str, tuple[str, ...]]] = {
    "a ValueError, then a ConnectionError": ("ValueError", "ConnectionError"),
    "a KeyError, then an AttributeError": ("KeyError", "AttributeError"),
    "a TypeError, then a NameError": ("TypeError", "NameError"),
    "a TimeoutError, then an ImportError": ("TimeoutError", "ImportError"),
    "an AssertionError, then a NotImplementedError": ("AssertionError", "NotImplementedError"),
    "a PermissionError, then a MemoryError": ("PermissionError", "MemoryError"),
    "a RuntimeError, then a ZeroDivisionError": ("RuntimeError", "ZeroDivisionError"),
}
#: How it is ended by its limit or its host.
TOO_LATE: Final = "goes on past its limit"
CANCELLED: Final = "is cancelled by its host"
CANCELLED_TWICE: Final = "is cancelled by its host twice"
CANCELLED_AT_WORK: Final = "is cancelled by its host, at work and deaf to SIGTERM"
CANCELLATIONS: Final = (CANCELLED, CANCELLED_TWICE, CANCELLED_AT_WORK)
STOPPED: Final = (TOO_LATE, *CANCELLATIONS)
#: How it ends with its worker.
EXITS: Final = "calls sys.exit(3)"
DIES: Final = "ends its process"
BREAKING: Final = (EXITS, DIES)

#: The limits that no task in time comes near, by their words, in seconds.
LIMITS: Final[Mapping[str, int]] = {
    "-1": -1,
    "-60": -60,
    "3600": 3600,
    "30 days": 30 * 86400,
}
#: The limit of a task that goes on past it; how long that is depends on the backend.
SHORT: Final = "a short one"

#: A log file that is named from the home folder on.
UNDER_HOME: Final = "stdout alone, under ~"

#: What an instance has done before.
SECOND: Final = "second"
AFTER_FAILURE: Final = "second (after one that failed)"

SHARED_DISPATCH: Final = "shared with other nodes"

_CONDITIONS: Final = (
    Condition(
        "end",
        (RETURNS, *RAISES, TOO_LATE, CANCELLED, CANCELLED_TWICE, *BREAKING),
        (*RAISES_SINGLE, CANCELLED_AT_WORK),
        "that {}",
    ),
    Condition(
        "result",
        (
            "a text",
            "None",
            "0",
            "False",
            "an empty text",
            "an empty list",
            "a text with white space around it",
            "one list twice",
            "an instance of a class of __main__",
            "a text of 1 MiB",
        ),
        (
            "an empty dict",
            "an empty tuple",
            "empty bytes",
            "0.0",
            "an empty set",
            "bytes of every value",
            "a dict whose keys are not sorted",
            "a dict with keys of several types",
            "a tuple of four",
            "a tuple in a tuple",
            "an exception",
            "an object without a truth value",
            "a lone surrogate",
            "line ends of every kind",
            "NaN",
            "an int of 5,000 digits",
            "a function",
            "a set in a list",
            "True",
            "a class",
            "a text that reads as JSON",
            "bytes that read as a text",
            "bytes of 17 MiB",
        ),
        "whose result is {}",
    ),
    Condition(
        "arguments",
        ("plain", "falsy", "one list twice", "with white space around them", "of 1 MiB"),
        ("none", "of many types", "of 17 MiB"),
        "whose arguments are {}",
    ),
    Condition(
        "names",
        ("none", "named as the host's own", "not sorted"),
        ("not ASCII", "named as in libraries"),
        "with keyword arguments that are {}",
    ),
    Condition("fails", ("0", "1", "2"), words="that fails {} times first"),
    Condition("retries", ("0", "1", "2"), words="with retries={}"),
    Condition("limit", ("-1", "-60", "3600", "30 days", SHORT), words="with time_limit={}"),
    Condition(
        "prints",
        (
            "nothing",
            "a line",
            "a line without its end",
            "line ends of every kind",
            "a line of 200 KB",
            "1 MB of three-byte characters",
        ),
        (
            "to the descriptor",
            "by a child process",
            "by C code",
            "white space around it",
            "controls",
            "17 MB in lines",
            "a line to stdout alone",
            "a line to stderr alone",
        ),
        "that prints {}",
    ),
    Condition(
        "logs",
        ("none", "both", "stdout alone, under an absolute path", "one file for both", "unwritable"),
        (UNDER_HOME,),
        "with log files: {}",
    ),
    Condition("node", ("0", "-1", "1"), words="with node id {}"),
    Condition(
        "dispatch",
        ("its own", SHARED_DISPATCH, "named with dots and capitals"),
        ("named with digits alone",),
        "in a dispatch {}",
    ),
    Condition("instance", ("shared by tasks at once", "its own"), words="on an instance of {}"),
    Condition("turn", ("first", SECOND), (AFTER_FAILURE,), "as the {} task of its instance"),
    Condition("errors", tuple(FAILURES)[:1], tuple(FAILURES)[1:], "whose attempts fail with {}"),
)

#: By name, in the order in which they are told.
CONDITIONS: Final[Mapping[str, Condition]] = {each.name: each for each in _CONDITIONS}

USUAL: Final[Row] = {name: condition.usual for name, condition in CONDITIONS.items()}


def row(**unusual: str) -> dict[str, str]:
    """A task that is usual in all but what is given."""
    return {**USUAL, **unusual}


def unusual(conditions: Row) -> dict[str, str]:
    """The conditions of a task in which it is not usual."""
    return {name: value for name, value in conditions.items() if value != USUAL[name]}


def in_words(conditions: Mapping[str, str]) -> str:
    """A task with some conditions as people say it: `a task that raises an error, with retries=2`.

    Args:
        conditions: the unusual ones, by name.
    """
    told = [CONDITIONS[n].words.format(v) for n, v in chosen(conditions).items()]
    # Once and twice are said otherwise than three times.
    sentence = ", ".join(told).replace("s 1 times", "s once").replace("s 2 times", "s twice")
    return f"a task {sentence}" if told else "an ordinary task"


#: The condition that a way of ending asks for, and that is not told beside it.
_BROUGHT_ALONG: Final = {TOO_LATE: "limit", **dict.fromkeys(BREAKING, "instance")}


def chosen(conditions: Mapping[str, str]) -> dict[str, str]:
    """The unusual conditions, without what one of them brings along, in the order of telling."""
    implied = _BROUGHT_ALONG.get(conditions.get("end", RETURNS))
    return {
        name: conditions[name]
        for name in CONDITIONS
        if conditions.get(name, USUAL[name]) != USUAL[name] and name != implied
    }


# ---- what cannot occur together ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Constraint:
    """Some conditions, by name, and whether their values can occur together."""

    of: tuple[str, ...]
    holds: Callable[[Row], bool]


def is_possible(conditions: Row) -> bool:
    """Whether one task can be all of this."""
    return all(constraint.holds(conditions) for constraint in CONSTRAINTS)


def _is_cut_short(given: Row) -> bool:
    return given["end"] in (*STOPPED, *BREAKING)


def _a_result_is_returned(given: Row) -> bool:
    return given["end"] == RETURNS or given["result"] == USUAL["result"]


def _has_retries_enough(given: Row) -> bool:
    return int(given["fails"]) <= int(given["retries"])


def _whose_every_attempt_fails_returns_nothing(given: Row) -> bool:
    return _has_retries_enough(given) or given["result"] == USUAL["result"]


def _whose_every_attempt_fails_has_no_other_end(given: Row) -> bool:
    return _has_retries_enough(given) or given["end"] == RETURNS


def _a_short_limit_is_for_who_is_late(given: Row) -> bool:
    return (given["limit"] == SHORT) == (given["end"] == TOO_LATE)


def _who_is_cut_short_is_so_at_once(given: Row) -> bool:
    # Which attempt it is to happen in is one more condition, which no rule speaks of.
    return not _is_cut_short(given) or given["fails"] == "0"


def _who_is_cut_short_prints_little(given: Row) -> bool:
    little = ("nothing", "a line", "a line without its end")
    return not _is_cut_short(given) or given["prints"] in little


def _who_is_cut_short_has_light_arguments(given: Row) -> bool:
    return not _is_cut_short(given) or given["arguments"] != "of 1 MiB"


def _a_worker_that_dies_is_nobody_elses(given: Row) -> bool:
    return given["end"] not in BREAKING or given["instance"] == "its own"


CONSTRAINTS: Final = (
    Constraint(("end", "result"), _a_result_is_returned),
    Constraint(("fails", "retries", "result"), _whose_every_attempt_fails_returns_nothing),
    Constraint(("fails", "retries", "end"), _whose_every_attempt_fails_has_no_other_end),
    Constraint(("end", "limit"), _a_short_limit_is_for_who_is_late),
    Constraint(("end", "fails"), _who_is_cut_short_is_so_at_once),
    Constraint(("end", "prints"), _who_is_cut_short_prints_little),
    Constraint(("end", "arguments"), _who_is_cut_short_has_light_arguments),
    Constraint(("end", "instance"), _a_worker_that_dies_is_nobody_elses),
)


#: What a task with such a single value has besides: whatever is printed is logged, too.
_BESIDE_SINGLE: Final[Mapping[str, Mapping[str, str]]] = {
    "end": {"logs": "both", "prints": "a line"},
    "prints": {"logs": "both"},
    "logs": {"prints": "a line"},
    "errors": {"fails": "2", "retries": "2"},
}


def single_rows() -> Iterator[dict[str, str]]:
    """The tasks with a value that does not meet those of the other conditions."""
    for condition in CONDITIONS.values():
        for value in condition.single:
            beside = _BESIDE_SINGLE.get(condition.name, {})
            yield row(**{condition.name: value}, **beside)
            if value == OWN_TIME_OUT:
                # Where the clock of a limit runs, it is the more easily taken for the limit's.
                yield row(end=value, limit="3600")
    for logs in CONDITIONS["logs"].crossed[1:]:
        # So that what is lost of a log is seen with nothing else around it.
        yield row(logs=logs, prints="a line")
    yield row(logs="unwritable", end="raises an error")
