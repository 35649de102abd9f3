"""What travels by value keeps the name of its file, whatever cloudpickle makes of that."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from pytest_asyncexec.conformance.instruments import probes
from pytest_asyncexec.conformance.instruments.by_value import ByValue
from pytest_asyncexec.reference_executor import DaskExecutor, LocalExecutor

from dask_cluster import Cluster
from local_workers import execute, leaving_nothing
from pytest_asyncexec.base.pickling import dumps


def _installer() -> Callable[[Callable[[types.CodeType], str]], Callable[[], None]]:
    # Within another function, so that workers get it by value.
    def install(naming: Callable[[types.CodeType], str]) -> Callable[[], None]:
        import types

        import cloudpickle

        # Written where its releases have it, so that whoever uses cloudpickle has it like that.
        table = cloudpickle.Pickler.dispatch_table.maps[0]
        original = table[types.CodeType]

        def reduced(code: types.CodeType) -> Any:
            make, args = original(code)
            return make, (*args[:10], naming(code), *args[11:])

        table[types.CodeType] = reduced
        return lambda: table.update({types.CodeType: original})

    return install


#: Let cloudpickle name the files of code in this way; what is returned undoes it.
install = _installer()

NAMINGS = {
    "as installed": None,
    "as 3.1.2": lambda code: "".join(code.co_filename),
    "as 3.1.3": lambda code: "<dynamic-code>",
}


@pytest.fixture(params=NAMINGS)
def naming(request: pytest.FixtureRequest) -> Iterator[Any]:
    """How cloudpickle names files, old and new; None for what is installed."""
    naming = NAMINGS[request.param]
    undo = install(naming) if naming is not None else lambda: None
    yield naming
    undo()


# -- what is carried


def _samples() -> dict[str, Any]:
    doubled = 2

    def plain(value: int) -> int:
        return value * 2

    def closure(value: int) -> int:
        return value * doubled

    def nested(value: int) -> int:
        def inner() -> list[int]:
            return [(lambda given=number: given * 2)() for number in (value,)]

        return inner()[0]

    def generator(value: int) -> Iterator[int]:
        yield value * 2

    async def coroutine(value: int) -> int:
        return value * 2

    class Scale:
        def times(self, value: int) -> int:
            return value * 2

        @staticmethod
        def statically(value: int) -> int:
            return value * 2

    class Odd(Exception):
        def __str__(self) -> str:
            return "odd"

    return {
        "a function": plain,
        "a lambda": lambda value: value * 2,
        "a closure": closure,
        "nested functions and a comprehension": nested,
        "a generator function": generator,
        "a coroutine function": coroutine,
        "a class": Scale,
        "a bound method": Scale().times,
        "an exception": Odd(),
        "code": plain.__code__,
        "functions in a list": [plain, {"inner": closure}],
    }


def codes_in(value: Any) -> Iterator[types.CodeType]:
    """Every code object of functions and classes in a value, and those inside them."""
    if isinstance(value, types.CodeType):
        yield value
        for constant in value.co_consts:
            yield from codes_in(constant)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from codes_in(item)
    elif isinstance(value, dict):
        yield from codes_in(list(value.values()))
    elif isinstance(value, types.FunctionType | types.MethodType):
        yield from codes_in(value.__code__)
    elif isinstance(value, staticmethod):
        yield from codes_in(value.__func__)
    elif isinstance(value, type):
        yield from codes_in([v for v in vars(value).values() if not isinstance(v, type)])
    elif isinstance(value, BaseException):
        yield from codes_in(type(value))


@pytest.mark.parametrize("kind", _samples())
def test_code_that_is_carried_by_value_is_what_it_was(naming: Any, kind: str) -> None:
    value = _samples()[kind]

    carried = list(codes_in(pickle.loads(dumps(value))))

    assert carried == list(codes_in(value)) != []
    assert {code.co_filename for code in carried} == {__file__}
    assert [list(code.co_positions()) for code in carried] == [
        list(code.co_positions()) for code in codes_in(value)
    ]


def test_a_module_that_is_registered_to_be_carried_by_value_keeps_its_name(naming: Any) -> None:
    cloudpickle.register_pickle_by_value(probes)
    try:
        data = dumps(probes.echo)
    finally:
        cloudpickle.unregister_pickle_by_value(probes)

    carried = pickle.loads(data)

    assert carried is not probes.echo
    assert carried.__code__.co_filename == probes.__file__


def test_what_is_sent_by_name_is_sent_as_before() -> None:
    assert dumps(probes.echo) == cloudpickle.dumps(probes.echo)


def test_the_same_function_makes_the_same_bytes(naming: Any) -> None:
    first, second = (_samples()["nested functions and a comprehension"] for _ in range(2))

    assert dumps(first) == dumps(second)
    assert dumps(first) == dumps(first)


def test_who_loads_it_needs_cloudpickle_and_nothing_of_this_package(naming: Any) -> None:
    code = (
        "import pickle, sys; function = pickle.load(sys.stdin.buffer);"
        "print(function(21), function.__code__.co_filename);"
        "assert not [name for name in sys.modules if name.startswith('pytest')]"
    )

    worker = subprocess.run(
        [sys.executable, "-c", code],
        input=dumps(_samples()["a closure"]),
        capture_output=True,
    )

    assert worker.stdout.decode().split() == ["42", __file__], worker.stderr.decode()


def test_code_that_cloudpickle_reduces_in_another_way_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    function = _samples()["a function"]
    table = cloudpickle.Pickler.dispatch_table.maps[0]
    original = table[types.CodeType]
    monkeypatch.setitem(table, types.CodeType, lambda code: (make_code, original(code)[1]))

    assert pickle.loads(dumps(function))(21) == 42


def make_code(*args: Any) -> types.CodeType:
    return types.CodeType(*args)


@pytest.mark.parametrize("pickler", [pickle, cloudpickle])
def test_a_probe_of_the_suite_has_its_file_whatever_carries_it(naming: Any, pickler: Any) -> None:
    carried = pickle.loads(pickler.dumps(ByValue(probes.echo)))

    assert carried.__code__.co_filename == probes.__file__


# -- what a task sees of it, and who is told of its failure


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    pytest.importorskip("distributed")
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.stop()


@pytest.fixture(params=["fresh", "warm", "dask"])
def executor(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[LocalExecutor | DaskExecutor]:
    if request.param == "dask":
        cluster = request.getfixturevalue("cluster")
        yield DaskExecutor(scheduler_address=cluster.address)
        return
    with leaving_nothing(tmp_path / "cache", warm=request.param == "warm") as make:
        yield make()


async def test_the_traceback_of_a_worker_shows_file_line_and_source(
    executor: Any, naming: Any
) -> None:
    def task(divisor: int) -> list[float]:
        return [1_234_567 / number for number in [divisor]]

    with pytest.raises(ZeroDivisionError) as caught:
        await execute(executor, task, 0)

    (note,) = caught.value.__notes__
    line = task.__code__.co_firstlineno + 1
    assert f'File "{__file__}", line {line}, in task\n' in note
    assert "return [1_234_567 / number for number in [divisor]]" in note


async def test_a_task_finds_its_own_source(executor: Any, naming: Any) -> None:
    def task() -> str:
        import inspect

        return inspect.getsource(inspect.currentframe())  # type: ignore[arg-type]

    seen = await execute(executor, task)

    assert seen.result == inspect.getsource(task)


async def test_a_warning_in_a_task_can_be_told_by_its_place(executor: Any, naming: Any) -> None:
    def task(module: str, line: int) -> list[Any]:
        import warnings

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.filterwarnings("ignore", module=f"{module}$", lineno=line)
            warnings.warn("silenced", stacklevel=1)
            warnings.warn("heard", stacklevel=1)
        return [(str(w.message), w.filename, w.lineno) for w in caught]

    line = task.__code__.co_firstlineno + 6
    seen = await execute(executor, task, __name__, line)

    assert seen.result == [("heard", __file__, line + 1)]


async def test_a_warning_that_is_printed_shows_its_line(executor: Any, naming: Any) -> None:
    def task() -> None:
        import warnings

        warnings.warn("heard", stacklevel=1)  # to be seen in the output

    seen = await execute(executor, task)

    line = task.__code__.co_firstlineno + 3
    assert seen.stderr.startswith(f"{__file__}:{line}: UserWarning: heard\n")
    assert "# to be seen in the output" in seen.stderr


async def test_what_a_task_makes_comes_back_with_its_file(executor: Any, naming: Any) -> None:
    def task(install: Any, naming: Any) -> Any:
        # Nobody undoes it: what is made is pickled after this, and the worker is one of this test.
        if naming is not None:
            install(naming)

        class Made:
            def times(self, value: int) -> int:
                return value * 2

        return Made, lambda value: value * 2

    seen = await execute(executor, task, install, naming)

    made, function = seen.result
    assert {code.co_filename for code in codes_in([made, function])} == {__file__}
    assert made().times(21) == function(21) == 42


async def test_an_exception_of_a_class_of_its_own_comes_back_with_its_file(
    executor: Any, naming: Any
) -> None:
    def task() -> None:
        class Odd(Exception):
            def __str__(self) -> str:
                return "odd"

        raise Odd

    with pytest.raises(Exception, match="odd") as caught:
        await execute(executor, task)

    (code,) = codes_in(caught.value)
    assert code.co_filename == __file__
