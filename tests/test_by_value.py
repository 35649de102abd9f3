"""What the suite sends to workers is there as it was, and needs nothing on the other side."""

from __future__ import annotations

import inspect
import math
import pickle
import subprocess
import sys
import textwrap
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from pytest_asyncexec.conformance.instruments import probes
from pytest_asyncexec.conformance.instruments.by_value import ByValue
from pytest_asyncexec.conformance.plan import task, values

PICKLERS = pytest.mark.parametrize("pickler", [pickle, cloudpickle])


def functions_of(tmp_path: Path, **sources: str) -> Callable[..., Any]:
    """Make modules of these texts, each of which may use those before; return the last `main`."""
    made: dict[str, Any] = {}
    for name, source in sources.items():
        module = types.ModuleType(f"{tmp_path.name}_{name}")
        vars(module).update(made)
        code = compile(textwrap.dedent(source), str(tmp_path / f"{name}.py"), "exec")
        exec(code, vars(module))
        made |= {key: value for key, value in vars(module).items() if not key.startswith("__")}
    main: Callable[..., Any] = made["main"]
    return main


def carried(function: Callable[..., Any], pickler: Any = pickle) -> Any:
    return pickle.loads(pickler.dumps(ByValue(function)))


@PICKLERS
def test_a_function_arrives_with_what_it_calls(tmp_path: Path, pickler: Any) -> None:
    main = functions_of(
        tmp_path,
        first="""
            LIMIT = (1, ("two", None))
            def count(number, limit=3):
                return LIMIT if number > limit else count(number + 1)
        """,
        second="""
            LIMIT = "another of this name"
            def main(number, by, /, *more):
                return [count(number + by), LIMIT, more, main.__name__]
        """,
    )

    arrived = carried(main, pickler)

    assert type(arrived) is types.FunctionType
    assert arrived is not main
    assert arrived(0, 1, 5) == [(1, ("two", None)), "another of this name", (5,), "main"]


@PICKLERS
def test_code_keeps_its_file_its_lines_and_its_module(pickler: Any) -> None:
    arrived = carried(probes.report_home, pickler)

    assert arrived.__module__ == probes.__name__
    assert inspect.getsource(arrived) == inspect.getsource(probes.report_home)


@pytest.mark.parametrize("function", [task.act, probes.look_around, probes.report_home])
def test_what_most_tasks_are_needs_no_cloudpickle(function: Any) -> None:
    code = (
        "import pickle, sys; function = pickle.load(sys.stdin.buffer); print(function.__name__);"
        "print([name for name in sys.modules if name.partition('.')[0] in "
        "('cloudpickle', 'pytest_asyncexec', 'typing')])"
    )

    worker = subprocess.run(
        [sys.executable, "-S", "-c", code],
        input=pickle.dumps(ByValue(function)),
        capture_output=True,
        check=True,
    )

    assert worker.stdout.decode().split() == [function.__name__, "[]"]


def test_a_class_of_a_carried_function_has_the_module_where_it_is_written() -> None:
    other_side = carried(values.make)

    kind = type(other_side("an object without a truth value"))

    assert (kind.__module__, kind.__name__) == (values.__name__, "WithoutTruth")


def with_a_default(number: int = 1, *, word: str = "word") -> str:
    return word * number


def with_a_module() -> float:
    return math.floor(2.5)


def with_what_is_no_constant(value: Any = types) -> Any:
    return value.__name__


def closure(number: int) -> Callable[[], int]:
    return lambda: number


@PICKLERS
@pytest.mark.parametrize(
    ("function", "returns"),
    [
        (with_a_default, "word"),
        (with_a_module, 2),
        (with_what_is_no_constant, "types"),
        (closure(7), 7),
        (abs, None),
        (str, ""),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_whatever_needs_more_is_left_to_cloudpickle(
    function: Any, returns: Any, pickler: Any
) -> None:
    arrived = carried(function, pickler)

    assert returns is None or arrived() == returns
