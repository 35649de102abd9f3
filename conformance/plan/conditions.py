"""What makes a task unusual, as data: each condition with its values, the usual one first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
)
#: How it is ended by its limit or its host.
TOO_LATE: Final = "goes on past its limit"
CANCELLED: Final = "is cancelled by its host"
CANCELLED_TWICE: Final = "is cancelled by its host twice"
STOPPED: Final = (TOO_LATE, CANCELLED, CANCELLED_TWICE)
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

#: What an instance has done before.
SECOND: Final = "second"
AFTER_FAILURE: Final = "second (after one that failed)"

SHARED_DISPATCH: Final = "shared with other nodes"

_CONDITIONS: Final = (
    Condition(
        "end",
        (RETURNS, *RAISES, *STOPPED, *BREAKING),
        RAISES_SINGLE,
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
        ("not ASCII",),
        "with keyword arguments, {}",
    ),
    Condition("fails", ("0", "1", "2"), ("11",), "that fails {} times first"),
    Condition("retries", ("0", "1", "2"), ("12",), "with retries={}"),
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
            "white space around it",
            "a line to stderr alone",
        ),
        "that prints {}",
    ),
    Condition(
        "logs",
        ("none", "both", "stdout alone, under an absolute path", "one file for both", "unwritable"),
        words="with logs, {}",
    ),
    Condition("node", ("0", "-1", "7"), words="with node id {}"),
    Condition(
        "dispatch",
        ("its own", SHARED_DISPATCH, "named with dots and capitals"),
        ("named with digits alone",),
        "of a dispatch, {}",
    ),
    Condition("instance", ("shared by tasks at once", "its own"), words="on an instance, {}"),
    Condition("turn", ("first", SECOND), (AFTER_FAILURE,), "as the {} task of its instance"),
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
    return f"a task {', '.join(told)}" if told else "an ordinary task"


def chosen(conditions: Mapping[str, str]) -> dict[str, str]:
    """The unusual conditions without what one of them brings along."""
    implied = {"instance"} if conditions.get("end") in BREAKING else set()
    return {n: v for n, v in conditions.items() if v != USUAL[n] and n not in implied}


# ---- what cannot occur together ------------------------------------------------------------


def is_possible(conditions: Row) -> bool:
    """Whether one task can be all of this; `None` stands for a value that is not chosen yet."""
    return all(holds(conditions) for holds in CONSTRAINTS)


def _end(given: Row) -> str:
    return given["end"]


def _only_what_returns_has_a_result(given: Row) -> bool:
    return _end(given) == RETURNS or given["result"] == USUAL["result"]


def _a_short_limit_is_for_who_is_late(given: Row) -> bool:
    return (given["limit"] == SHORT) == (_end(given) == TOO_LATE)


def _who_is_stopped_or_dies_does_so_at_once(given: Row) -> bool:
    # Which attempt it is to happen in is one more condition, which no rule speaks of.
    return _end(given) not in (*STOPPED, *BREAKING) or given["fails"] == "0"


def _who_is_stopped_or_dies_prints_little(given: Row) -> bool:
    return _end(given) not in (*STOPPED, *BREAKING) or given["prints"] in (
        "nothing",
        "a line",
        "a line without its end",
    )


def _who_is_stopped_or_dies_has_light_arguments(given: Row) -> bool:
    return _end(given) not in (*STOPPED, *BREAKING) or given["arguments"] != "of 1 MiB"


def _a_worker_that_dies_is_nobody_elses(given: Row) -> bool:
    return _end(given) not in BREAKING or given["instance"] == "its own"


#: Each takes the conditions of one task, by name, and says whether they can occur together.
CONSTRAINTS: Final = (
    _only_what_returns_has_a_result,
    _a_short_limit_is_for_who_is_late,
    _who_is_stopped_or_dies_does_so_at_once,
    _who_is_stopped_or_dies_prints_little,
    _who_is_stopped_or_dies_has_light_arguments,
    _a_worker_that_dies_is_nobody_elses,
)

#: The conditions that each of `CONSTRAINTS` looks at.
LOOKED_AT: Final[Sequence[tuple[str, ...]]] = (
    ("end", "result"),
    ("end", "limit"),
    ("end", "fails"),
    ("end", "prints"),
    ("end", "arguments"),
    ("end", "instance"),
)


#: What a task with such a single value has besides: whatever is printed is logged, too.
_BESIDE_SINGLE: Final[Mapping[str, Mapping[str, str]]] = {
    "end": {"logs": "both", "prints": "a line"},
    "prints": {"logs": "both"},
}


def single_rows() -> Iterator[dict[str, str]]:
    """The tasks with a value that does not meet those of the other conditions."""
    for condition in CONDITIONS.values():
        for value in condition.single:
            if condition.name == "fails":
                continue  # with as many retries, below
            if condition.name == "retries":
                yield row(fails="11", retries=value)
                continue
            beside = _BESIDE_SINGLE.get(condition.name, {})
            yield row(**{condition.name: value}, **beside)
