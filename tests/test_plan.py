"""The plan: its array, its tasks, the model, how deviations are judged, made small and told."""

from __future__ import annotations

import ast
import decimal
import itertools
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest_asyncexec.broken.matrix import workers
from pytest_asyncexec.conformance.instruments.sameness import same
from pytest_asyncexec.conformance.instruments.seen import Seen
from pytest_asyncexec.conformance.plan import values
from pytest_asyncexec.conformance.plan.__main__ import main
from pytest_asyncexec.conformance.plan.array import STRENGTH, rows
from pytest_asyncexec.conformance.plan.attribution import breakable_rules, broken_rule
from pytest_asyncexec.conformance.plan.conditions import (
    CANCELLED,
    CANCELLED_TWICE,
    CONDITIONS,
    CONSTRAINTS,
    DIES,
    EXITS,
    OWN_TIME_OUT,
    RAISES,
    SHARED_DISPATCH,
    SHORT,
    TOO_LATE,
    USUAL,
    Row,
    in_words,
    is_possible,
    row,
    unusual,
)
from pytest_asyncexec.conformance.plan.observation import (
    ASPECTS,
    Aspect,
    Deviation,
    Observation,
    deviations,
)
from pytest_asyncexec.conformance.plan.prediction import ending, predict
from pytest_asyncexec.conformance.plan.script import script
from pytest_asyncexec.conformance.plan.small import causes, shrunk
from pytest_asyncexec.conformance.plan.task import GIVEN, end_as
from pytest_asyncexec.conformance.runner import judge_target
from pytest_asyncexec.conformance.scenarios import observations
from pytest_asyncexec.conformance.scenarios.asking import likewise, told
from pytest_asyncexec.conformance.scenarios.batch import Sight
from pytest_asyncexec.conformance.scenarios.observations import Broken, Plan
from pytest_asyncexec.conformance.subject.building import Building
from pytest_asyncexec.conformance.subject.subject import Subject
from pytest_asyncexec.reference_executor import LocalExecutor

from plan_rows import OTHER, OWN, history, right
from pytest_asyncexec.contract.catalogue import RULES
from pytest_asyncexec.targets.loading import load_target
from pytest_asyncexec.targets.target import Target

SINGLE = [(name, value) for name, condition in CONDITIONS.items() for value in condition.single]
EVERY = [(name, value) for name, condition in CONDITIONS.items() for value in condition.values]


# ---- the array ---------------------------------------------------------------------------------


def _meetings(strength: int) -> Iterator[frozenset[tuple[str, str]]]:
    """Every combination of so many crossed values that some task can have."""
    constrained = {name for constraint in CONSTRAINTS for name in constraint.of}
    known: dict[frozenset[tuple[str, str]], bool] = {}
    for names in itertools.combinations(CONDITIONS, strength):
        for chosen in itertools.product(*(CONDITIONS[name].crossed for name in names)):
            pairs = frozenset(zip(names, chosen, strict=True))
            # The others go with everything.
            hard = frozenset(pair for pair in pairs if pair[0] in constrained)
            if hard not in known:
                known[hard] = _can_be_completed(dict(hard), sorted(constrained - {*dict(hard)}))
            if known[hard]:
                yield pairs


def _can_be_completed(chosen: dict[str, str], free: list[str]) -> bool:
    if not all(c.holds(chosen) for c in CONSTRAINTS if {*c.of} <= {*chosen}):
        return False
    if not free:
        return True
    name, *others = free
    return any(
        _can_be_completed({**chosen, name: value}, others) for value in CONDITIONS[name].crossed
    )


@pytest.mark.parametrize("strength", [1, 2, 3])
def test_every_values_meet_that_can(strength: int) -> None:
    needed = set(_meetings(strength))
    met = {
        frozenset(chosen)
        for each in rows(strength)
        for chosen in itertools.combinations(each.items(), strength)
    }

    assert not needed - met


def test_a_constraint_asks_for_the_conditions_that_it_names() -> None:
    for constraint in CONSTRAINTS:
        for value in CONDITIONS["end"].values:
            given = row(end=value)
            assert constraint.holds(given) is constraint.holds(
                {name: given[name] for name in constraint.of}
            )


@pytest.mark.parametrize("strength", [1, 2, 3])
def test_every_task_is_possible_and_no_two_are_the_same(strength: int) -> None:
    tasks = rows(strength)

    assert not [each for each in tasks if not is_possible(each)]
    assert all(list(each) == list(CONDITIONS) for each in tasks)
    same = Counter(tuple(each.values()) for each in tasks)
    assert not [each for each, times in same.items() if times > 1]


@pytest.mark.parametrize("strength", [1, 2, 3])
def test_every_value_occurs(strength: int) -> None:
    occur = {pair for each in rows(strength) for pair in each.items()}

    assert not set(EVERY) - occur


def test_a_single_value_stands_in_a_task_that_is_usual_otherwise() -> None:
    for name, value in SINGLE:
        tasks = [each for each in rows(2) if each[name] == value]
        assert tasks, value
        # A task that fails so often first needs as many retries; what is printed is logged.
        beside = {"fails", "retries", "limit", "prints", "logs"}
        assert all(set(unusual(each)) <= {name, *beside} for each in tasks)


def test_the_array_is_the_same_every_time() -> None:
    ask = "from pytest_asyncexec.conformance.plan.array import table; print(table(2))"
    texts = {
        subprocess.run(
            [sys.executable, "-c", ask],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(texts) == 1


@pytest.mark.parametrize("profile", STRENGTH)
def test_the_command_prints_a_line_for_each_task(
    profile: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([profile]) == 0

    *lines, total = capsys.readouterr().out.splitlines()
    strength = STRENGTH[profile]  # type: ignore[index]
    assert len(lines) == len(rows(strength))
    assert [int(line.split()[0]) for line in lines] == list(range(1, len(lines) + 1))
    assert "result: an int of 5,000 digits" in "\n".join(lines)
    assert total == f"{len(lines)} tasks, in which every {strength} values meet that can."


def test_the_command_takes_the_default_profile_without_a_word(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == main(["default"]) == 0

    out = capsys.readouterr().out
    half = len(out) // 2
    assert out[:half] == out[half:]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["quik"], "plan: there is no profile 'quik'.\n  Known are quick, default, thorough.\n"),
        (["quick", "more"], "plan: there is no profile 'quick more'.\n"),
    ],
)
def test_the_command_does_not_know_other_profiles(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(says)


# ---- the conditions ----------------------------------------------------------------------------


def test_the_usual_task_is_possible_and_has_nothing_unusual() -> None:
    assert is_possible(USUAL)
    assert unusual(USUAL) == {}
    assert in_words({}) == in_words(USUAL) == "an ordinary task"


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"retries": "2", "end": RAISES[0]}, "a task that raises an error, with retries=2"),
        ({"fails": "1", "retries": "1"}, "a task that fails once first, with retries=1"),
        ({"fails": "2"}, "a task that fails twice first"),
        ({"end": TOO_LATE, "limit": SHORT}, "a task that goes on past its limit"),
        ({"result": "0", "limit": "30 days"}, "a task whose result is 0, with time_limit=30 days"),
        ({"end": DIES, "instance": "its own"}, "a task that ends its process"),
        ({"names": "not sorted"}, "a task with keyword arguments that are not sorted"),
        ({"logs": "one file for both"}, "a task with log files: one file for both"),
        ({"dispatch": SHARED_DISPATCH}, "a task in a dispatch shared with other nodes"),
        ({"instance": "its own", "turn": "first"}, "a task on an instance of its own"),
        ({"node": "-1", "turn": "second"}, "a task with node id -1, as the second task of its ins"),
    ],
)
def test_conditions_are_told_in_words(conditions: dict[str, str], words: str) -> None:
    """However they are given, they are told in the same order."""
    assert in_words(conditions).startswith(words)


def test_every_unusual_value_is_told() -> None:
    for name, value in EVERY:
        if value not in (USUAL[name], SHORT, "1", "2"):
            assert value in in_words({name: value})


def test_values_of_one_condition_have_names_of_their_own() -> None:
    for condition in CONDITIONS.values():
        assert len(set(condition.values)) == len(condition.values)


@pytest.mark.parametrize(("name", "value"), EVERY)
def test_every_value_has_its_entry_wherever_it_is_made(name: str, value: str) -> None:
    """A new value cannot be forgotten in one place."""
    if name == "result":
        assert values.difference(values.make(value, OWN), values.make(value, OWN)) == ""
    if name == "arguments":
        given = values.arguments(value, OWN)
        assert values.difference(given, values.arguments(value, OWN)) == ""
        assert all(given is not again for again in values.arguments(value, OWN))
    if name == "names":
        assert values.difference(values.named(value, OWN), values.named(value, OWN)) == ""
    if name == "prints":
        assert (values.printed(value, OWN) == "") is (
            value == "nothing" or value.endswith("to stderr alone")
        )
    if name == "end":
        assert isinstance(values.message(value, OWN), str)


def test_values_differ_from_each_other() -> None:
    """Who takes the one for the other is seen."""
    made = [values.make(value, OWN) for value in CONDITIONS["result"].values]
    for one, other in itertools.combinations(made, 2):
        assert not same(one, other), (values.in_words(one), values.in_words(other))


@pytest.mark.parametrize(
    ("sent", "arrived"),
    [
        (0, False),
        (0, 0.0),
        (0.0, -0.0),
        ((1,), [1]),
        ("text", b"text"),
        ({1, 2}, frozenset({1, 2})),
        ({"b": 1, "a": 2}, {"a": 2, "b": 1}),
        ({1: "int", "1": "text"}, {"1": "text"}),
        ("\n text ", "text"),
        (None, ""),
        ([1, [2, (3,)]], [1, [2, [3]]]),
        (ValueError("text"), TypeError("text")),
    ],
)
def test_what_is_alike_and_not_the_same_differs(sent: Any, arrived: Any) -> None:
    assert values.difference(sent, arrived)
    assert values.difference(arrived, sent)
    assert values.difference(sent, sent) == ""


def test_one_list_that_became_two_differs() -> None:
    assert "two lists" in values.difference(values.make("one list twice"), [[1], [1]])


# ---- the model ---------------------------------------------------------------------------------

_FIRST = f"{OWN} fails in attempt"


@pytest.mark.parametrize(
    ("conditions", "end", "attempts", "message"),
    [
        ({}, "completed", 1, ""),
        ({"retries": "2"}, "completed", 1, ""),
        ({"fails": "1"}, "failed", 1, f"{_FIRST} 1"),
        ({"fails": "1", "retries": "1"}, "completed", 2, ""),
        ({"fails": "2", "retries": "1"}, "failed", 2, f"{_FIRST} 2"),
        ({"fails": "2", "retries": "2"}, "completed", 3, ""),
        ({"end": RAISES[0]}, "failed", 1, f"{OWN} went wrong"),
        ({"end": RAISES[0], "retries": "2"}, "failed", 3, f"{OWN} went wrong"),
        ({"end": RAISES[0], "fails": "1", "retries": "1"}, "failed", 2, f"{OWN} went wrong"),
        ({"end": "raises an error without a message"}, "failed", 1, ""),
        ({"end": "raises a TimeoutError", "retries": "1"}, "failed", 2, f"{OWN} went wrong"),
        ({"end": TOO_LATE, "limit": SHORT}, "timed out", 1, ""),
        ({"end": TOO_LATE, "limit": SHORT, "retries": "2"}, "timed out", 3, ""),
        ({"end": CANCELLED, "retries": "2"}, "cancelled by its host", 1, ""),
        ({"end": CANCELLED_TWICE, "retries": "2"}, "cancelled by its host", 1, ""),
        ({"end": EXITS, "instance": "its own", "retries": "1"}, "failed", 2, ""),
        ({"end": DIES, "instance": "its own"}, "failed", 1, ""),
        # What changes nothing of how it ends.
        ({"limit": "3600", "logs": "unwritable", "node": "-1"}, "completed", 1, ""),
        ({"result": "0", "turn": "second"}, "completed", 1, ""),
    ],
)
def test_the_model_predicts(
    conditions: dict[str, str], end: str, attempts: int, message: str
) -> None:
    assert is_possible(row(**conditions))
    predicted = predict(row(**conditions), OWN)

    assert (predicted.end, predicted.attempts, predicted.message) == (end, attempts, message)
    # Of those that are stopped early, fewer attempts may be seen.
    assert predicted.exactly is (end not in ("timed out", "cancelled by its host"))


@pytest.mark.parametrize("prints", [p for p in CONDITIONS["prints"].values if "descr" not in p])
def test_the_model_predicts_the_output_of_each_attempt(prints: str) -> None:
    once = predict(row(prints=prints), OWN)
    thrice = predict(row(prints=prints, end=RAISES[0], retries="2"), OWN)

    assert once.stdout == values.printed(prints, OWN)
    assert (thrice.stdout, thrice.stderr) == (once.stdout * 3, once.stderr * 3)


@pytest.mark.parametrize("strength", [2, 3])
@pytest.mark.parametrize("raises", [True, False])
def test_the_tasks_do_what_the_model_predicts(strength: int, raises: bool) -> None:
    """Each is run here by its own code, and shows no deviation."""
    for each in rows(strength):
        seen = right(each, raises=raises)
        found = list(deviations(seen, predict(each, OWN), {OTHER}))
        assert not found, (unusual(each), found[0].aspect, found[0].seen)


# ---- observations are judged -------------------------------------------------------------------

_RAISES = {"end": RAISES[0]}
_LATE = {"end": TOO_LATE, "limit": SHORT}
_SAYS = {"prints": "a line"}
_OUT, _ERR = (getattr(predict(row(**_SAYS), OWN), stream) for stream in ("stdout", "stderr"))


def _raised() -> BaseException:
    try:
        end_as(RAISES[0], f"{OWN} went wrong")
    except ValueError as error:
        return error
    raise AssertionError("it raises")


def _completed(result: Any = OWN, **more: str) -> Seen:
    return Seen(result=result, status="COMPLETED", **more)


def _caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def _metadata(**ids: Any) -> Any:
    return history("srt", **ids)


WRONG: list[tuple[Aspect, dict[str, str], dict[str, Any], str]] = [
    (
        "no end",
        {},
        {"seen": None, "stood": "it waits at a.py:3"},
        "never ended: it waits at a.py:3",
    ),
    ("foreign", {}, {"seen": _completed(OTHER)}, OTHER),
    ("foreign output", {}, {"seen": _completed(stdout=f"{OTHER} says")}, OTHER),
    ("foreign", _RAISES, {"seen": Seen(error=ValueError(OTHER))}, OTHER),
    (
        "foreign output",
        {"logs": "both"},
        {"logs": {"stdout": f"{OTHER} says"}},
        "its log of stdout",
    ),
    ("completed", _RAISES, {"seen": _completed(None)}, "returned status COMPLETED"),
    ("completed", _RAISES, {"seen": Seen(status="CANCELLED")}, "returned status CANCELLED"),
    ("completed", _RAISES, {"seen": Seen(malformed="execute returned 3")}, "execute returned 3"),
    ("completed", _LATE, {"seen": _completed()}, "returned status COMPLETED"),
    ("completed", _LATE, {"seen": Seen(error=OSError("late"))}, "raised OSError: late"),
    ("completed", {"end": EXITS, "instance": "its own"}, {"seen": _completed(3)}, "COMPLETED"),
    ("failed", {}, {"seen": Seen(error=ValueError("no"))}, "raised ValueError: no"),
    ("failed", {}, {"seen": Seen(status="FAILED", stderr="no")}, "status FAILED"),
    ("failed", {}, {"seen": Seen(malformed="execute returned 3")}, "execute returned 3"),
    ("cancellation", {}, {"seen": None, "cancelled": True}, "nobody had cancelled it"),
    ("cancellation", {"end": CANCELLED}, {"seen": _completed()}, "status COMPLETED"),
    ("cancellation", {"end": CANCELLED_TWICE}, {"seen": Seen(status="CANCELLED")}, "CANCELLED"),
    ("alive", {"end": CANCELLED}, {"let_go": True}, "nothing had stopped it"),
    ("alive", _LATE, {"let_go": True}, "nothing had stopped it"),
    ("result", {"result": "0"}, {"seen": _completed(None)}, "as None (NoneType)"),
    ("result", {"result": "0"}, {"seen": _completed(False)}, "as False (bool)"),
    ("result", {"result": "one list twice"}, {"seen": _completed([[1], [1]])}, "two lists"),
    ("given", {}, {"seen": Seen(error=AssertionError(f"{GIVEN} was 1"))}, f"{GIVEN} was 1"),
    ("more attempts", {}, {"attempts": 2}, "attempted 2 times"),
    ("more attempts", {"end": CANCELLED, "retries": "1"}, {"attempts": 2}, "attempted 2 times"),
    ("attempts twice", {"fails": "2", "retries": "2"}, {"attempts": 9}, "`run` was called 3 times"),
    (
        "attempts",
        {"fails": "1", "retries": "1"},
        {"attempts": 1, "seen": Seen(error=ValueError(f"{OWN} fails in attempt 1"))},
        "attempted 1 time;",
    ),
    ("message", _RAISES, {"seen": Seen(error=ValueError("failed"))}, "went wrong"),
    ("message", _RAISES, {"seen": Seen(status="FAILED", stderr="failed")}, "went wrong"),
    (
        "message",
        {"end": "raises an error of many lines"},
        {"seen": Seen(error=ValueError(f"{OWN} first line"))},
        "second line",
    ),
    ("line", _RAISES, {"seen": Seen(error=ValueError(f"{OWN} went wrong"))}, "neither that line"),
    (
        "last words",
        {"end": DIES, "instance": "its own", **_SAYS},
        {"seen": Seen(status="FAILED", stderr=_ERR)},
        "what it had printed to stdout, and flushed",
    ),
    (
        "last words",
        {**_LATE, **_SAYS, "logs": "both"},
        {"seen": Seen(error=TimeoutError()), "logs": {"stdout": _OUT, "stderr": ""}},
        "what it had printed to stderr, and flushed",
    ),
    ("stdout", _SAYS, {"seen": _completed(stderr=_ERR)}, "stdout holds none"),
    ("stdout", _SAYS, {"seen": _completed(stdout=_OUT[:-1], stderr=_ERR)}, "white space"),
    ("stdout", _SAYS, {"seen": _completed(stdout=_OUT + _OUT, stderr=_ERR)}, "stdout is"),
    ("stderr", _SAYS, {"seen": _completed(stdout=_OUT)}, "stderr holds none"),
    ("stderr", _SAYS, {"seen": _completed(stdout=_OUT, stderr=_OUT + _ERR)}, "printed to stdout"),
    ("printed by the host", _SAYS, {"overheard": "stdout"}, "printed by the host, too"),
    ("log", {"logs": "both", **_SAYS}, {"logs": {"stdout": ""}}, "the log of stdout"),
    ("log", {"logs": "both", **_SAYS}, {"kept_logs": {"stdout": ""}}, "when the other tasks had"),
    ("arguments", {}, {"arguments": "args[0] became 2"}, "args[0] became 2"),
    (
        "own time-out",
        {"end": OWN_TIME_OUT},
        {"seen": Seen(error=_caused(ValueError("failed"), TimeoutError(f"{OWN} went wrong")))},
        "does not say what the task said",
    ),
    ("overlap", {**_LATE, "retries": "1"}, {"overlap": (12,)}, "process 12"),
    ("alive", _LATE, {"alive": (12,)}, "process 12"),
    ("alive", {"end": CANCELLED}, {"alive": (12,)}, "process 12"),
    ("order of calls", {}, {"history": history("rst")}, "run began before setup"),
    ("no teardown", _RAISES, {"history": history("sr")}, "no teardown came after the last run"),
    ("cut short", {}, {"history": history("srT")}, "teardown was"),
    ("number of calls", {}, {"history": history("srtt")}, "teardown was called 2 times"),
    ("metadata", {}, {"history": _metadata(node_id=3)}, "'node_id'"),
    ("metadata", {"node": "-1"}, {"history": _metadata(node_id=0)}, "'node_id'"),
    ("metadata", {}, {"history": _metadata(node_id="0")}, "'node_id'"),
]


@pytest.mark.parametrize(("aspect", "conditions", "changed", "says"), WRONG)
def test_a_deviation_is_seen(
    aspect: Aspect, conditions: dict[str, str], changed: dict[str, Any], says: str
) -> None:
    seen = right(row(**conditions), **changed)
    found = list(deviations(seen, predict(seen.row, OWN), {OTHER}))

    # Whoever loses the message loses the line as well.
    assert [each.aspect for each in found if each.aspect != "line" or aspect == "line"] == [aspect]
    assert says in found[0].seen
    assert found[0].required
    assert found[0].observation is seen


def test_every_aspect_can_deviate() -> None:
    assert {aspect for aspect, *_ in WRONG} == set(ASPECTS)


@pytest.mark.parametrize(
    ("conditions", "changed"),
    [
        # What is stopped early may not have reported.
        ({**_LATE, "retries": "2"}, {"attempts": 0}),
        ({"end": CANCELLED}, {"attempts": 0}),
        # A time-out may be told as a failure.
        (_LATE, {"seen": Seen(status="FAILED")}),
        # With an error that is raised, no output is returned.
        ({**_RAISES, **_SAYS}, {"seen": Seen(error=_raised())}),
        # What was killed had printed before that, and it is found somewhere.
        (
            {**_LATE, **_SAYS, "logs": "both"},
            {"seen": Seen(error=TimeoutError()), "logs": {"stdout": _OUT, "stderr": _ERR}},
        ),
        ({**_LATE, **_SAYS}, {"seen": Seen(error=TimeoutError())}),
        # Nobody could count, or look.
        ({"retries": "2"}, {"attempts": None}),
        ({}, {"history": history("")}),
        # Without capturing, nothing is said of output.
        (_SAYS, {"seen": _completed(), "captures": False}),
        # Executors may add to stderr what they like, and to a log.
        (
            _SAYS,
            {"seen": _completed(stdout=_OUT, stderr=f"begins\n{_ERR}ends\n")},
        ),
        # A log of a dispatch that others share holds what others print.
        (
            {"logs": "both", "dispatch": SHARED_DISPATCH},
            {"logs": {"stdout": f"{OTHER} says", "stderr": ""}},
        ),
    ],
)
def test_what_is_right_as_well(conditions: dict[str, str], changed: dict[str, Any]) -> None:
    seen = right(row(**conditions), **changed)

    assert not [each.seen for each in deviations(seen, predict(seen.row, OWN), {OTHER})]


def test_who_fails_what_went_well_attempts_it_again() -> None:
    """That it fails is told, and not that it is retried."""
    failed = right(row(retries="2"), seen=Seen(error=ValueError("no")), attempts=3)

    assert [each.aspect for each in deviations(failed, predict(failed.row, OWN))] == ["failed"]


# ---- made small --------------------------------------------------------------------------------

Fault = Callable[[Row], bool]


def _has(**conditions: str) -> Fault:
    return lambda each: all(each[name] == value for name, value in conditions.items())


def _causes(fault: Fault, strength: int = 2) -> list[Mapping[str, str]]:
    """The causes of an executor's fault: tasks under these conditions fail, and should not."""
    tasks = [
        Observation(each, OWN, "dispatch-1", "results", Seen())
        for each in rows(strength)
        if ending(each)[0] == "completed"
    ]
    found = [Deviation("failed", "it failed", "", each) for each in tasks if fault(each.row)]
    return [cause.conditions for cause in causes(found, tasks)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name, value in EVERY
        if value != USUAL[name] and is_possible(row(**{name: value}))
        # One that fails first, without a retry, fails.
        if name != "end" and name != "fails"
    ],
)
def test_a_single_value_is_found(name: str, value: str) -> None:
    assert _causes(_has(**{name: value})) == [{name: value}]


def test_a_fault_of_every_task_has_no_condition() -> None:
    assert _causes(lambda each: True) == [{}]


def test_no_fault_has_no_cause() -> None:
    assert _causes(lambda each: False) == []


PAIRS = [
    {"limit": "3600", "result": "an empty list"},
    {"limit": "30 days", "result": "a text of 1 MiB"},
    {"retries": "1", "result": "False"},
    {"retries": "2", "logs": "unwritable"},
    {"node": "-1", "turn": "second"},
    {"node": "1", "dispatch": SHARED_DISPATCH},
    {"names": "not sorted", "arguments": "falsy"},
    {"prints": "a line of 200 KB", "instance": "its own"},
    {"prints": "line ends of every kind", "logs": "both"},
    {"result": "None", "names": "named as the host's own"},
]


@pytest.mark.parametrize("pair", PAIRS)
def test_a_pair_is_among_what_may_explain_it(pair: dict[str, str]) -> None:
    found = _causes(_has(**pair), strength=3)

    assert found == [pair]


def test_a_triple_is_found() -> None:
    triple = {"limit": "3600", "result": "None", "logs": "both"}

    assert [len(each) for each in _causes(_has(**triple), strength=3)] == [3]


def test_several_values_of_one_condition_are_several_causes() -> None:
    falsy = ("None", "0", "False")

    found = _causes(lambda each: each["result"] in falsy)

    assert sorted(each["result"] for each in found) == sorted(falsy)
    assert all(len(each) == 1 for each in found)


def test_where_the_same_conditions_are_right_elsewhere_all_of_them_are_told() -> None:
    """Nothing that can be seen explains it: one of two equal tasks is wrong."""
    conditions = row(retries="1", node="1")
    wrong = right(conditions, seen=Seen(error=LookupError("failed")))
    found = list(deviations(wrong, predict(conditions, OWN)))

    (cause,) = causes(found, [wrong, right(conditions)])

    assert cause.conditions == {"retries": "1", "node": "1"}
    assert cause.tasks == 1


def test_what_can_be_left_out_is() -> None:
    batches = []

    def deviating(rows: Sequence[Row]) -> list[bool]:
        batches.append(len(rows))
        return [_has(retries="1", result="0")(each) for each in rows]

    whole = {"result": "0", "retries": "1", "node": "1", "logs": "both", "turn": "second"}

    assert shrunk(whole, deviating) == {"result": "0", "retries": "1"}
    # Each is left out once, all at the same time; then it is tried what seems to be enough.
    assert batches == [5, 1]


def test_of_two_ways_to_deviate_one_is_left() -> None:
    whole = {"result": "0", "retries": "1", "node": "1"}

    def deviating(rows: Sequence[Row]) -> list[bool]:
        return [each["result"] == "0" or each["retries"] == "1" for each in rows]

    assert shrunk(whole, deviating) == {"retries": "1"}


def test_nothing_impossible_is_tried_when_conditions_are_left_out() -> None:
    tried: list[Row] = []

    def deviating(rows: Sequence[Row]) -> list[bool]:
        tried.extend(rows)
        return [True for _ in rows]

    assert shrunk({"end": TOO_LATE, "limit": SHORT, "node": "1"}, deviating)
    assert tried
    assert all(map(is_possible, tried))


def test_decimals_are_told_apart_and_what_looks_like_one_is_not_taken_for_it() -> None:
    class Version:
        def as_tuple(self) -> tuple[int, int]:
            raise AssertionError("nobody has asked for it")

    one = Version()

    assert same(decimal.Decimal("1.0"), decimal.Decimal("1.0"))
    assert not same(decimal.Decimal("1.0"), decimal.Decimal("1.00"))
    assert same(decimal.Decimal("sNaN"), decimal.Decimal("sNaN"))
    assert same(decimal.Decimal, decimal.Decimal)
    assert same(one, one)


# ---- the plan of an executor that is wrong under some conditions -------------------------------


class _Executors:
    """Stands for an executor: what `observe` says of its tasks."""

    def __init__(self, fault: Fault, *, among_others: bool = False) -> None:
        self.fault = fault
        self.among_others = among_others
        self.batches: list[int] = []

    def observe(
        self, subject: Any, asked: Any, at_once: int = 64, one_stood: bool = False
    ) -> Sight:
        asked = list(asked)
        self.batches.append(len(asked))
        sight = Sight()
        for each in asked:
            seen = right(each)
            alone = self.among_others and at_once == 1
            if self.fault(each) and not alone and seen.seen is not None:
                seen = replace(seen, seen=Seen(error=LookupError("the executor failed")))
            sight.observations.append(seen)
        return sight


@pytest.fixture
def subject() -> Iterator[Subject]:
    target = load_target("pytest_asyncexec.reference_executor:ThreadExecutor")
    subject = Subject(target, "quick", 2)
    yield subject
    subject.close()


Judge = Callable[[_Executors], list[Broken]]


@pytest.fixture
def judged(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> Judge:
    """What the ordinary tasks of the plan say of executors that show what they are said to."""

    def judge(executors: _Executors) -> list[Broken]:
        monkeypatch.setattr(observations, "observe", executors.observe)
        monkeypatch.setattr(observations, "possible", lambda subject, asked: asked)
        return Plan(subject).part("ordinary").broken

    return judge


@pytest.mark.parametrize("pair", PAIRS)
def test_a_pair_is_told_with_no_condition_too_many(pair: dict[str, str], judged: Judge) -> None:
    executors = _Executors(_has(**pair))
    broken = judged(executors)

    (only,) = broken
    assert only.cause.conditions == pair
    assert only.cause.alone
    assert not only.among_others
    assert told(only).startswith(f"{in_words(pair)}: execute raised LookupError")
    # Once as the conditions seem to be, and if need be once more to see which can be left out.
    assert len(executors.batches) <= 7
    # Whatever was tried at the same time on the way, it is told of a task that ran alone.
    assert executors.batches[-1] == 1


def test_a_pair_says_that_less_is_right(judged: Judge) -> None:
    (broken,) = judged(_Executors(_has(retries="2", result="0")))

    assert broken.rule_id == "RES-01"
    assert told(broken) == (
        "a task whose result is 0, with retries=2: execute raised LookupError: the executor "
        "failed; with less than all of these it is right"
    )


def test_a_single_condition_says_nothing_of_less(judged: Judge) -> None:
    (broken,) = judged(_Executors(_has(names="not sorted")))

    assert told(broken).endswith("execute raised LookupError: the executor failed")


def test_what_an_ordinary_task_shows_as_well_is_told_without_conditions(judged: Judge) -> None:
    def fault(conditions: Row) -> bool:
        # Among the others it does not show for every task, so that it seems to be for this one.
        ordinary = {**USUAL, "instance": conditions["instance"]} == dict(conditions)
        return conditions["result"] == "None" or ordinary

    (broken,) = judged(_Executors(fault))

    assert told(broken) == "an ordinary task: execute raised LookupError: the executor failed"


def test_what_shows_among_others_alone_is_for_them(judged: Judge) -> None:
    broken = judged(_Executors(_has(retries="1"), among_others=True))

    assert {each.rule_id for each in broken} == {"CNC-01"}
    assert all(each.among_others for each in broken)
    assert "by itself it is right" in told(broken[0])


def test_other_causes_stand_in_one_line_each(judged: Judge) -> None:
    falsy = ("None", "0", "False", "an empty text", "an empty list")
    broken = judged(_Executors(lambda each: each["result"] in falsy))

    assert {each.rule_id for each in broken} == {"RES-01"}
    first = broken[0]
    lines = likewise(first, broken[1:]).strip().splitlines()
    assert len(lines) == len(broken) - 1
    assert all(line.startswith("likewise a task whose result is ") for line in lines)
    # The same conditions are told once, in whatever they differ.
    assert likewise(first, [first, first]) == ""
    others = [
        replace(first, cause=replace(first.cause, conditions={"result": value}))
        for value in CONDITIONS["result"].single[:9]
    ]
    assert likewise(first, others).endswith("\nand 3 more of the kind")


# ---- the rule that is broken -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("aspect", "conditions", "rule"),
    [
        ("no end", {}, "LIF-09"),
        ("no end", {"turn": "second"}, "LIF-08"),
        ("no end", {"arguments": "falsy"}, "RES-01"),
        ("no end", {"end": RAISES[-1]}, "RES-12"),
        ("no end", _LATE, "TIM-02"),
        ("no end", {"end": CANCELLED}, "CAN-01"),
        ("no end", {"end": EXITS}, "RES-08"),
        ("no end", {"end": DIES}, "RES-09"),
        ("foreign", {}, "CNC-01"),
        ("foreign output", {}, "CNC-01"),
        ("foreign", {"instance": "its own"}, "CNC-02"),
        ("completed", _RAISES, "RES-04"),
        ("completed", {"end": RAISES[-1]}, "RES-12"),
        ("completed", {"end": "raises a group of errors"}, "RES-12"),
        ("completed", {"end": EXITS}, "RES-08"),
        ("completed", {"end": DIES}, "RES-09"),
        ("completed", _LATE, "TIM-02"),
        ("failed", {}, "LIF-09"),
        ("failed", {"turn": "second"}, "LIF-08"),
        ("failed", {"limit": "3600"}, "TIM-04"),
        ("failed", {"names": "named as the host's own"}, "RES-11"),
        ("failed", {"prints": "a line"}, "RES-06"),
        ("failed", {"logs": "unwritable"}, "STR-12"),
        ("failed", {"result": "None"}, "RES-01"),
        ("failed", {"result": "a text of 1 MiB"}, "RES-03"),
        ("failed", {"arguments": "of 1 MiB"}, "RES-03"),
        ("failed", {"fails": "1", "retries": "1"}, "RET-02"),
        ("failed", {"node": "-1"}, "LIF-06"),
        ("cancellation", {"end": CANCELLED}, "CAN-01"),
        ("cancellation", {"end": CANCELLED_TWICE}, "CAN-01"),
        ("cancellation", {}, "LIF-09"),
        ("result", {"result": "0"}, "RES-01"),
        ("result", {"result": "a text of 1 MiB"}, "RES-03"),
        ("attempts", {}, "RET-01"),
        ("more attempts", {}, "RET-01"),
        ("more attempts", {"retries": "1"}, "RET-02"),
        ("attempts twice", {"retries": "1"}, "RET-09"),
        ("overlap", {**_LATE, "retries": "1"}, "RET-06"),
        ("own time-out", {"end": OWN_TIME_OUT}, "TIM-08"),
        ("given", {}, "RES-01"),
        ("given", {"names": "named as the host's own"}, "RES-11"),
        ("given", {"fails": "1", "retries": "1"}, "RET-04"),
        ("attempts", {"fails": "1", "retries": "1"}, "RET-02"),
        ("attempts", {"end": RAISES[0], "retries": "1"}, "RET-03"),
        ("attempts", {**_LATE, "retries": "1"}, "RET-06"),
        ("attempts", {"end": CANCELLED, "retries": "1"}, "RET-05"),
        ("message", _RAISES, "RES-04"),
        ("message", {"end": RAISES[-1]}, "RES-12"),
        ("message", {**_RAISES, "retries": "1"}, "RET-03"),
        ("line", _RAISES, "RES-05"),
        ("last words", {"end": DIES}, "RES-13"),
        ("printed by the host", {}, "RES-06"),
        ("given", {"names": "not sorted"}, "RES-01"),
        ("given", {"names": "named as in libraries"}, "RES-11"),
        ("failed", {"names": "not sorted"}, "RES-01"),
        ("failed", {"prints": "by C code"}, "RES-13"),
        ("no end", {"prints": "by a child process"}, "RES-13"),
        ("stdout", {"prints": "a line"}, "RES-06"),
        ("stdout", {"prints": "to the descriptor"}, "RES-13"),
        ("stderr", {"prints": "a line", "retries": "2"}, "RET-07"),
        ("log", {"logs": "both"}, "STR-11"),
        ("log", {"logs": "both", **_LATE}, "STR-11"),
        ("arguments", {}, "RES-07"),
        ("arguments", {"fails": "1", "retries": "1"}, "RET-04"),
        ("alive", _LATE, "TIM-03"),
        ("alive", {"end": CANCELLED}, "CAN-02"),
        ("order of calls", {}, "LIF-01"),
        ("no teardown", {}, "LIF-01"),
        ("no teardown", _RAISES, "LIF-03"),
        ("no teardown", _LATE, "TIM-05"),
        ("no teardown", {"end": CANCELLED}, "CAN-01"),
        ("cut short", {}, "LIF-02"),
        ("cut short", {"end": CANCELLED_TWICE}, "CAN-06"),
        ("number of calls", {}, "LIF-02"),
        ("metadata", {"node": "-1"}, "LIF-06"),
    ],
)
def test_the_rule_that_is_broken(aspect: Aspect, conditions: dict[str, str], rule: str) -> None:
    assert broken_rule(aspect, conditions, among_others=False) == rule


@pytest.mark.parametrize(
    ("conditions", "rule"),
    [({}, "CNC-01"), ({"instance": "its own"}, "CNC-02"), ({"end": DIES}, "RES-09")],
)
def test_the_rule_of_what_shows_among_others_alone(conditions: dict[str, str], rule: str) -> None:
    assert broken_rule("failed", conditions, among_others=True) == rule


#: Rules of the next version of the contract, which others tell of until then.
_NOT_YET = {"RET-10"}


@pytest.mark.parametrize("among_others", [True, False])
def test_every_deviation_breaks_a_rule_that_exists(among_others: bool) -> None:
    pairs = itertools.combinations([p for p in EVERY if p[1] != USUAL[p[0]]], 2)
    chosen = [{}, *map(dict, pairs)]

    assert {
        broken_rule(aspect, conditions, among_others=among_others)
        for aspect in ASPECTS
        for conditions in chosen
    } <= {*RULES, *_NOT_YET}


def test_what_deviates_among_others_leaves_open_every_rule_that_it_may_break() -> None:
    conditions = row(prints="a line", retries="1", limit="3600", logs="both")

    assert breakable_rules("stdout", conditions) == {"RES-06", "RET-07", "TIM-04"}
    assert breakable_rules("line", conditions) == {"RES-05"}
    assert breakable_rules("log", conditions) == {"STR-11"}


# ---- the script that shows it ------------------------------------------------------------------


@pytest.mark.parametrize(("name", "value"), EVERY)
def test_the_script_of_every_value_is_python(name: str, value: str) -> None:
    conditions = {name: value}
    if value == TOO_LATE:
        conditions["limit"] = SHORT
    text = script(conditions)

    ast.parse(text)
    if name in ("end", "result", "arguments", "names", "prints") and value != USUAL[name]:
        assert text != script({}), "nothing of the condition is in the script"


SHOWN: list[tuple[dict[str, str], list[str]]] = [
    ({}, ["status COMPLETED, result 'the result'", "attempt ("]),
    ({"end": RAISES[0], "retries": "2"}, ["raised ValueError: why", "attempt (" * 3]),
    ({"fails": "1", "retries": "1", "result": "0"}, ["result 0", "attempt (" * 2]),
    ({"end": TOO_LATE, "limit": SHORT}, ["TaskTimeoutError", "attempt ("]),
    ({"end": CANCELLED_TWICE}, ["CancelledError", "attempt ("]),
    ({"end": RAISES[3]}, ["why", "TakesTwo"]),
    ({"end": DIES, "instance": "its own"}, ["status FAILED", "exit code 3"]),
    ({"logs": "unwritable", "prints": "to the descriptor"}, ["to the descriptor", "COMPLETED"]),
    ({"names": "named as the host's own", "arguments": "one list twice"}, ["COMPLETED"]),
    ({"turn": "second", "dispatch": "named with dots and capitals"}, ["attempt (" * 2]),
    ({"result": "an instance of a class of __main__", "node": "-1"}, ["Scale object"]),
]


@pytest.mark.parametrize(("conditions", "shows"), SHOWN)
def test_the_script_runs_as_it_is_printed(
    conditions: dict[str, str], shows: list[str], tmp_path: Path
) -> None:
    target = load_target("pytest_asyncexec.reference_executor:LocalExecutor")
    text = f"{Building(target, lambda: None).script}\n{script(conditions)}"

    ran = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )

    assert ran.returncode == 0, ran.stderr
    # What each attempt was given stands between one and the next.
    attempts = "attempt (" * ran.stdout.count("attempt (")
    told = ran.stdout + attempts
    assert not [words for words in shows if words not in told], ran.stdout
    assert not list(tmp_path.iterdir()), "it leaves nothing where it is run"


class _RefusesOddLimits(LocalExecutor):
    """Refuses a limit below zero in a way in which none may be refused."""

    async def run(self, function, args, kwargs, task_metadata):
        if self.time_limit < 0 and self.time_limit != -1:
            raise RuntimeError("no such limit")
        return await super().run(function, args, kwargs, task_metadata)


def test_tasks_that_never_begin_for_what_is_told_keep_no_other_rule_from_being_judged() -> None:
    target = Target("test_plan:_RefusesOddLimits", "RefusesOddLimits", _RefusesOddLimits, True)

    with workers(warm=True):
        found = judge_target(target, {"TIM-01", "SER-02", "RET-05"}, "quick")

    assert found["TIM-01"].outcome == "failed"
    for rule_id in ("SER-02", "RET-05"):
        assert found[rule_id].outcome == "passed", found[rule_id].message
