"""RES: what goes into a task and what comes out of it: values, errors, and what it prints."""

from __future__ import annotations

import array
import asyncio
import collections
import contextlib
import copy
import datetime
import decimal
import fractions
import hashlib
import http
import ipaddress
import itertools
import os
import pathlib
import random
import re
import secrets
import sys
import traceback
import types
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from ..contract.wording import short, short_text
from .check import check
from .instruments.beacon import Attempt
from .instruments.probes import report_home
from .instruments.sameness import same
from .instruments.seen import Seen, finish
from .instruments.strategies import for_all, picklable_values
from .scenarios.recovery import PATIENCE, must_work, outcome_of
from .subject.host import task_error
from .subject.subject import Subject

#: Values that a serialiser's author may not have thought of; JSON, repr and `if result` lose many.
#: The plainest come first: of several that are refused, the first one is named.
_SPECIAL_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 0.0, -0.0, "", b"", (), [], {}, set(), frozenset(),
    float("nan"), float("inf"), float("-inf"), complex(0.0, -0.0),
    "\ud800 a lone surrogate", "\x00 a NUL", "\r\n line ends \u2028 \x85", "grün, 漢字, 🎉",
    bytes(range(256)), bytearray(b"mutable"), array.array("d", [1.0, -0.0]),
    (1, (2, (3, [4, (5,)]))), {1: "int", "1": "str", (1, "1"): "tuple", None: "none"},
    [{"nested": [{"deep": ({1, 2}, frozenset({3}))}]}],
    collections.OrderedDict(b=1, a=2), collections.deque([1, 2], maxlen=2),
    collections.Counter("abca"), collections.defaultdict(list, {"k": [1]}),
    decimal.Decimal("1.00"), fractions.Fraction(1, 3), range(0, 10, 3), slice(1, None, 2),
    datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
    datetime.date.min, datetime.timedelta(microseconds=-1), uuid.UUID(int=7),
    pathlib.PurePosixPath("a/b"), ipaddress.IPv4Address("127.0.0.1"), re.compile("a+", re.I),
    http.HTTPStatus.NOT_FOUND, uuid.SafeUUID.safe, types.SimpleNamespace(a=[1]),
    ValueError("an exception", 1), [KeyError("in a list")], Ellipsis, NotImplemented, int, len,
    -(2**63) - 1, 2**64, 10**4000,
)  # fmt: skip


def _give_back(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


def _fail_as_told(kind: str, message: str) -> None:
    import builtins

    raise getattr(builtins, kind)(message)


_Arguments = tuple[list[Any], dict[str, Any]]


def _carry(subject: Subject, args: list[Any], kwargs: dict[str, Any]) -> Seen:
    executor = subject.build()
    return subject.run(executor, _give_back, *args, kwargs=kwargs)


def _differences(sent: _Arguments, result: Any) -> Iterator[str]:
    """What arrived otherwise than it was sent, in words."""
    if not (isinstance(result, tuple) and len(result) == 2):
        yield f"the task returned a tuple of two, and what arrived is {_typed(result)}"
        return
    args, kwargs = result
    if not (isinstance(args, tuple) and isinstance(kwargs, dict)):
        yield (
            "the task returned a tuple (args) and a dict (kwargs), and what arrived is "
            f"a {type(args).__name__} and a {type(kwargs).__name__}"
        )
        return
    if len(args) != len(sent[0]):
        yield f"the task was sent {len(sent[0])} arguments, and gave back {len(args)}"
        return
    if kwargs.keys() != sent[1].keys():
        yield (
            f"the task was sent the keyword arguments {sorted(sent[1])}, and gave back "
            f"{sorted(kwargs, key=str)}"
        )
        return
    for number, (before, after) in enumerate(zip(sent[0], args, strict=True)):
        if not same(before, after):
            yield f"args[{number}] was {_typed(before)}, and came back as {_typed(after)}"
    for name, before in sent[1].items():
        if not same(before, kwargs[name]):
            yield f"kwargs[{name!r}] was {_typed(before)}, and came back as {_typed(kwargs[name])}"


def _typed(value: Any) -> str:
    if type(value) is int and value.bit_length() > 256:
        # Python refuses to write the longest ones.
        return f"an int of {value.bit_length():,} bits"
    return f"{short(value)} ({type(value).__name__})"


def _refused(subject: Subject, values: list[Any], seen: Seen) -> tuple[list[Any], Seen]:
    """The fewest of `values` found with which a task does not complete, and what is seen then."""
    while len(values) > 1:
        middle = len(values) // 2
        for half in (values[:middle], values[middle:]):
            again = _carry(subject, half, {})
            if not again.completed:
                values, seen = half, again
                break
        else:
            break
    return values, seen


@check("RES-01")
def test_RES_01_must_carry_any_picklable_values(subject: Subject) -> None:
    # One task carries many values, each way: as arguments, keyword arguments and in its result.
    wrong: list[str] = []

    def judge(values: list[Any]) -> None:
        # Nothing is raised in here: an executor whose answers vary must not look like a flaky test.
        if wrong:
            return
        args = values[::2]
        kwargs = {f"value_{number}": value for number, value in enumerate(values[1::2])}
        # An executor in this process may give back the very objects, changed.
        sent = copy.deepcopy((args, kwargs))
        seen = _carry(subject, args, kwargs)
        if seen.completed:
            wrong.extend(_differences(sent, seen.result))
        else:
            few, seen = _refused(subject, list(values), seen)
            what = _typed(few[0]) if len(few) == 1 else f"{len(few)} arguments of many types"
            wrong.append(f"a task with {what} for its argument, which it gives back: {seen}")

    judge(list(_SPECIAL_VALUES))
    examples = subject.pick(quick=2, default=5, thorough=25)
    values = st.lists(picklable_values, min_size=20, max_size=40)
    for_all(values, judge, examples=examples, shrink=False)

    if wrong:
        subject.fail(
            seen=wrong[0],
            required="equal values of the same types, all the way down",
            cause="a serialiser that knows fewer types than pickle (JSON, repr, YAML), or a test "
            "of the value where `is None` was meant",
            reproduce="""
                import asyncio
                from pytest_asyncexec.conformance.subject.host import host_for

                def give_back(*args, **kwargs):
                    return args, kwargs

                async def main():
                    for value in (None, 0, (), (1, (2,)), {1: 2}, {3}, b"b", ValueError(4)):
                        print(repr(value), await host_for(executor).execute(
                            executor, give_back, [value], {"value": value}
                        ))

                asyncio.run(main())
            """,
        )


#: A script as users write them: its functions belong to `__main__`, which no worker can import.
_SCRIPT = """
import math

class Scale:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, value):
        return value * self.factor

def halve(value):
    return math.floor(value / 2)

def task(value):
    return Scale(4)(halve(value))
"""


def _homeless_functions() -> dict[str, Callable[[int], int]]:
    """Functions that no worker can import, each of which makes 42 of 21, by what they are."""
    script: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(_SCRIPT, "<script>", "exec"), script)
    doubled = 2

    def closure(value: int) -> int:
        return value * doubled

    def recursion(value: int) -> int:
        class Pair:
            def __init__(self, left: int, right: int) -> None:
                self.sum = left + right

        return Pair(2, recursion(value - 1)).sum if value else 0

    def of_main(value: int) -> int:
        return int(script_task(value)) + 2

    script_task = script["task"]
    return {
        "a lambda": lambda value: value * 2,
        "a closure": closure,
        "a closure that calls itself and makes a class of its own": recursion,
        "a function of __main__, which uses another, a class and an import": script_task,
        "a closure over a function of __main__": of_main,
    }


@check("RES-02")
def test_RES_02_must_run_functions_that_no_worker_can_import(subject: Subject) -> None:
    executor = subject.build()

    for kind, function in _homeless_functions().items():
        # As it is, not by value: carrying it is what is judged.
        seen = subject.run(executor, function, 21, by_value=False)

        expected = function(21)
        if not seen.completed or seen.result != expected:
            subject.fail(
                seen=f"{kind}: {seen}",
                required=f"status COMPLETED with the result {expected}",
                cause="plain pickle carries a function by its name, which the worker cannot "
                "import: cloudpickle carries it by value",
                reproduce="""
                    import asyncio, math
                    from pytest_asyncexec.conformance.subject.host import host_for

                    def of_main(value):
                        return math.floor(value * 2)

                    def make_closure(factor):
                        return lambda value: value * factor

                    # A worker has another __main__, in which the name is not found.
                    functions = [lambda value: value * 2, make_closure(2), of_main]
                    del of_main

                    async def main():
                        for function in functions:
                            print(await host_for(executor).execute(executor, function, [21]))

                    asyncio.run(main())
                """,
            )


_PAYLOAD = 8 * 1024 * 1024


def _turn_around(payload: bytes) -> tuple[int, str, bytes]:
    import hashlib

    return len(payload), hashlib.sha256(payload).hexdigest(), payload[::-1]


@check("RES-03")
def test_RES_03_must_carry_eight_mebibytes_each_way(subject: Subject) -> None:
    # Bytes that cannot be compressed; always the same.
    payload = random.Random(8).randbytes(_PAYLOAD)

    seen = subject.run(subject.build(), _turn_around, payload)

    if not seen.completed:
        wrong = f"a task with an argument and a result of {_PAYLOAD:,} bytes each: {seen}"
    elif not (isinstance(seen.result, tuple) and len(seen.result) == 3):
        wrong = f"the task returned a tuple of three, and what arrived is {_typed(seen.result)}"
    else:
        length, digest, back = seen.result
        if (length, digest) != (_PAYLOAD, hashlib.sha256(payload).hexdigest()):
            wrong = (
                f"on its way to the task the argument became {length:,} bytes{_or_other(length)}"
            )
        elif back != payload[::-1]:
            size = len(back) if isinstance(back, bytes) else -1
            wrong = (
                f"on its way back the result became {size:,} bytes{_or_other(size)}"
                if size >= 0
                else f"on its way back the result became {_typed(back)}"
            )
        else:
            return
    subject.fail(
        seen=wrong,
        required=f"{_PAYLOAD:,} bytes arrive unchanged, there and back",
        cause="a buffer, a line, an argument or an environment variable that has a limit; or one "
        "`recv` or `read` where a loop was needed",
        reproduce="""
            import asyncio, os
            from pytest_asyncexec.conformance.subject.host import host_for

            def turn_around(payload):
                return len(payload), payload

            payload = os.urandom(8 * 1024 * 1024)
            seen = asyncio.run(host_for(executor).execute(executor, turn_around, [payload]))
            print(seen if not seen.completed else [seen.result[0], seen.result[1] == payload])
        """,
    )


def _or_other(length: int) -> str:
    return ", of other content" if length == _PAYLOAD else f" instead of {_PAYLOAD:,}"


def _told(seen: Seen) -> str:
    """What a caller is told of a failure: the error with notes, causes and traceback, stderr."""
    error = "" if seen.error is None else "".join(traceback.format_exception(seen.error))
    return f"{error}\n{seen.stderr}"


@check("RES-04")
def test_RES_04_must_report_a_task_that_raises(subject: Subject) -> None:
    for kind in ("ValueError", "KeyError", "AssertionError"):
        # Not in the source of the task: a traceback alone does not show it.
        message = f"reason {secrets.token_hex(4)}"
        seen = subject.run(subject.build(), _fail_as_told, kind, message)

        if seen.error is None and seen.status != "FAILED":
            wrong = f"a task that raised {kind}: {seen}"
        elif message not in _told(seen):
            wrong = (
                f"a task that raised {kind}({message!r}): {seen}; its message is neither in the "
                "error, nor in its notes, nor in stderr"
            )
        else:
            continue
        subject.fail(
            seen=wrong.replace(message, "the reason"),
            required="the error is raised, or the status is FAILED; its message is found in the "
            "error, its notes or stderr",
            cause="an `except` that turns the error into a result, or into an error that says less",
            reproduce="""
                import asyncio
                from pytest_asyncexec.conformance.subject.host import host_for

                def task(reason):
                    raise KIND(reason)

                seen = asyncio.run(host_for(executor).execute(executor, task, ["the reason"]))
                print(seen, repr(seen.error), seen.stderr, sep="\\n")
            """.replace("KIND", kind),
        )
    _judge_said_twice(subject)


def _judge_said_twice(subject: Subject) -> None:
    """Fail if the reason of a failure is lost because `run` has printed it already."""
    executor = subject.build()
    kind = task_error(executor, "TaskRuntimeError")
    message = "the backend refused the task"

    def refusing(_original: Any, self: Any, *_args: Any, **_kwargs: Any) -> None:
        # Where there is no such stream, the error alone has to do.
        with contextlib.suppress(Exception):
            self.task_stderr.write(f"{message}\n")
        raise kind(message)

    with subject.recording(executor, run=refusing) as history:
        seen = subject.run(executor, abs, -1)

    if not history.count("run") or message in _told(seen):
        return
    subject.fail(
        seen=f"run wrote {message!r} to self.task_stderr and raised {kind.__name__}({message!r}): "
        f"{seen}; it is neither in the error, nor in its notes, nor in stderr",
        required="the error is raised, or the status is FAILED; its message is found in the "
        "error, its notes or stderr",
        cause="`execute` drops a message that is in the output already, and the output with it",
        history=history,
        reproduce=f"""
            import asyncio
            from {kind.__module__} import TaskRuntimeError
            from pytest_asyncexec.conformance.instruments.history import recorded
            from pytest_asyncexec.conformance.subject.host import host_for

            def run(original, executor, *args, **kwargs):
                executor.task_stderr.write({message + chr(10)!r})
                raise TaskRuntimeError({message!r})

            with recorded(type(executor), run=run):
                print(asyncio.run(host_for(executor).execute(executor, abs, [-1])))
        """,
    )


def _fails_in_a_line_that_can_be_found(divisor: int) -> float:
    return 1_234_567 / divisor


@check("RES-05")
def test_RES_05_should_show_the_line_that_failed(subject: Subject) -> None:
    function = _fails_in_a_line_that_can_be_found
    line = function.__code__.co_firstlineno + 1
    seen = subject.run(subject.build(), function, 0)

    told = _told(seen)
    if _shows_line(told, function.__code__, line, "1_234_567 / divisor"):
        return
    if _says_number(told, function.__name__, line):
        wrong = (
            "that number and function are found, and neither the text of the line nor the name of "
            "its file"
        )
        cause = (
            "code is carried without the name of its file, as cloudpickle does from 3.1.3 on; or "
            "file names are cut out of tracebacks"
        )
    else:
        wrong = (
            "neither that line nor its number and function is found in the error, its notes or "
            "stderr"
        )
        cause = "only str(error) is sent back: add `traceback.format_exc()` as a note, or to stderr"
    subject.fail(
        seen=f"a task that failed in line {line}, in {function.__name__}: {seen}; {wrong}",
        required="the traceback of the task, with the line that failed: its text, or its number "
        "with the names of the file and the function",
        cause=cause,
        reproduce="""
            import asyncio, traceback
            from pytest_asyncexec.conformance.subject.host import host_for

            def task(divisor):
                return 1_234_567 / divisor

            seen = asyncio.run(host_for(executor).execute(executor, task, [0]))
            if seen.error is not None:
                traceback.print_exception(seen.error)
            print(seen, seen.stderr, sep="\\n")
        """,
    )


def _shows_line(told: str, code: types.CodeType, number: int, source: str) -> bool:
    # A worker may have no source to quote: then the number will do, with what it is a number of.
    file = os.path.basename(code.co_filename)
    return source in told or _says_number(told, code.co_name, number, file)


def _says_number(told: str, name: str, number: int, file: str = "") -> bool:
    return any(
        name in line and file in line and re.search(rf"\b{number}\b", line)
        for line in told.splitlines()
    )


def _print_both(stdout: str, stderr: str) -> str:
    import sys

    # In pieces, in turn: whoever reads one to its end before the other waits for ever.
    for start in range(0, max(len(stdout), len(stderr)), 8192):
        sys.stdout.write(stdout[start : start + 8192])
        sys.stderr.write(stderr[start : start + 8192])
    return "printed"


def _printed_text(token: str, ending: str) -> str:
    lines = (f"  {token} line {number}, grün, 漢字, 🎉\n" for number in range(3500))
    return "".join(lines) + f"{token} ends here{ending}"


@contextlib.contextmanager
def _overheard(file: pathlib.Path) -> Iterator[None]:
    """Send what this process prints into a file, which is a real one: some ask for its number."""
    with (
        open(file, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
        contextlib.redirect_stdout(stream),
        contextlib.redirect_stderr(stream),
    ):
        yield


@check("RES-06")
def test_RES_06_must_return_what_a_task_prints(subject: Subject) -> None:
    executor = subject.build()
    file = subject.new_folder() / "printed by the host"
    # One ends without a line end, the other one in white space.
    endings = {"the first task": "", "the next task on the same instance": "\n  \n\n"}
    tokens: list[str] = []

    for (task, ending), number in zip(endings.items(), itertools.count(1)):
        printed = {
            "stdout": _printed_text(f"task-{number}-to-stdout", ending),
            "stderr": _printed_text(f"task-{number}-to-stderr", ending),
        }
        with _overheard(file):
            seen = subject.run(executor, _print_both, printed["stdout"], printed["stderr"])
        overheard = file.read_text(encoding="utf-8")

        wrong: str | None
        if not seen.completed:
            wrong = f"it prints {len(printed['stdout']):,} characters to stdout and stderr: {seen}"
        else:
            wrong = _wrong_streams(printed, seen, tokens)
            tokens += [f"task-{number}-to-stdout", f"task-{number}-to-stderr"]
            if wrong is None and any(token in overheard for token in tokens):
                wrong = "what it printed was printed by the host, too"
        if wrong is not None:
            subject.fail(
                seen=f"{task}: {wrong}",
                required="stdout and stderr hold all that this task has printed, each its own, "
                "and the host prints nothing of it",
                cause="a pipe that is read too late or not to its end, text that is stripped or "
                "cut, or streams that are kept on `self`",
                reproduce="""
                    import asyncio
                    from pytest_asyncexec.conformance.subject.host import host_for

                    def task(name):
                        import sys
                        print(f"{name} grün " * 20_000 + "  ")
                        print(f"{name} grün " * 20_000 + "  ", file=sys.stderr)

                    async def main():
                        for name in ("first", "next"):
                            seen = await host_for(executor).execute(executor, task, [name])
                            text = f"{name} grün " * 20_000 + "  \\n"
                            print(seen.stdout == text, seen.stderr == text, seen)

                    asyncio.run(main())
                """,
            )


def _wrong_streams(printed: Mapping[str, str], seen: Seen, others: Sequence[str]) -> str | None:
    for name, other in (("stdout", "stderr"), ("stderr", "stdout")):
        arrived, expected = getattr(seen, name), printed[name]
        foreign = printed[other].split()[0]
        # An executor may have words of its own around what the task printed.
        if expected not in arrived:
            return (
                f"of the {len(expected):,} characters that it printed to {name}, "
                f"{_arrived_part(expected, arrived)}"
            )
        if foreign in arrived:
            return f"{name} holds what it printed to {other}"
        if any(token in arrived for token in others):
            return f"{name} holds what another task had printed"
    return None


def _arrived_part(expected: str, arrived: str) -> str:
    if not arrived:
        return "none arrived"
    if expected.strip() in arrived:
        return "all arrived but the white space at one end or the other"
    begins = len(_common_start(expected, arrived))
    ends = len(_common_start(expected[::-1], arrived[::-1]))
    if ends > begins:
        return f"only the last {ends:,} arrived"
    return (
        f"the first {begins:,} arrived, and then came {short_text(arrived[begins:][:60])} "
        f"instead of {short_text(expected[begins:][:60])}"
    )


def _common_start(left: str, right: str) -> str:
    pairs = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False))
    return "".join(one for one, _ in pairs)


def _mutate(*args: Any, **kwargs: Any) -> int:
    """Change everything that can be changed, however deep."""

    def change(value: Any) -> int:
        if isinstance(value, dict):
            changed = sum(change(inner) for inner in list(value.values()))
            value["added by the task"] = True
        elif isinstance(value, list):
            changed = sum(change(inner) for inner in list(value))
            value.append("added by the task")
        elif isinstance(value, set):
            changed = 0
            value.add("added by the task")
        elif isinstance(value, bytearray):
            changed = 0
            value.extend(b"added by the task")
        elif isinstance(value, tuple):
            return sum(change(inner) for inner in value)
        else:
            return 0
        return changed + 1

    return sum(change(value) for value in (*args, *kwargs.values()))


def _mutable_values() -> dict[str, Any]:
    return {
        "a list": [1, 2],
        "a dict": {"key": "value"},
        "a set": {1},
        "a bytearray": bytearray(b"bytes"),
        "a list in a dict": {"key": [1]},
        "a dict in a list in a tuple": ([{"key": [1]}],),
    }


@check("RES-07")
def test_RES_07_must_not_change_the_arguments_of_the_host(subject: Subject) -> None:
    args, kwargs, unchanged = _mutable_values(), _mutable_values(), _mutable_values()

    seen = subject.run(
        subject.build(),
        _mutate,
        *args.values(),
        kwargs={kind.replace(" ", "_"): value for kind, value in kwargs.items()},
    )

    if not seen.completed or not seen.result:
        subject.could_not_run(f"the task that changes its arguments did not do so: {seen}")
    for passed, values in (("an argument", args), ("a keyword argument", kwargs)):
        for kind, value in values.items():
            if value != unchanged[kind]:
                subject.fail(
                    seen=f"a task changed {kind}, {passed}, and the host's own object with it: "
                    f"{short(unchanged[kind])} became {short(value)}",
                    required="the host's objects stay as they are, as they do with a task far away",
                    cause="the task runs in this process, on the very objects: give it copies, "
                    "`copy.deepcopy((args, kwargs))`",
                    reproduce="""
                        import asyncio
                        from pytest_asyncexec.conformance.subject.host import host_for

                        def task(held, keyword):
                            held.append("added by the task")
                            keyword["nested"].append("added by the task")

                        held, keyword = [1, 2], {"nested": [1]}
                        print(asyncio.run(host_for(executor).execute(
                            executor, task, [held], {"keyword": keyword}
                        )))
                        print(held, keyword)
                    """,
                )


#: What the functions between a host and its task call their own parameters.
_TAKEN_NAMES = (
    "function", "args", "kwargs", "self", "timeout", "task_metadata",
    "dispatch_id", "node_id", "results_dir",
)  # fmt: skip


def _give_back_keywords(**kwargs: Any) -> dict[str, Any]:
    return kwargs


@check("RES-11")
def test_RES_11_must_pass_keyword_arguments_of_any_name(subject: Subject) -> None:
    sent = {name: f"value of {name}" for name in _TAKEN_NAMES}

    seen = subject.run(subject.build(), _give_back_keywords, kwargs=sent)

    if seen.completed and seen.result == sent:
        return
    wrong = f"a task with keyword arguments named {', '.join(sent)}: {seen}"
    # Which of them is it?
    for name, value in sent.items():
        seen = subject.run(subject.build(), _give_back_keywords, kwargs={name: value})
        if not seen.completed or seen.result != {name: value}:
            wrong = f"a task with a keyword argument named {name}: {seen}"
            break
    subject.fail(
        seen=wrong,
        required="every keyword argument reaches the task, whatever its name",
        cause="a function on the way has a parameter of that name: pass args and kwargs on as "
        "one list and one dict, or make its parameters positional-only",
        reproduce="""
            import asyncio
            from pytest_asyncexec.conformance.subject.host import host_for

            def task(**kwargs):
                return kwargs

            async def main():
                for name in NAMES:
                    print(name, await host_for(executor).execute(executor, task, [], {name: 1}))

            asyncio.run(main())
        """.replace("NAMES", repr(_TAKEN_NAMES)),
    )


def _write_below_python(tokens: Mapping[str, str]) -> dict[str, str]:
    """Write the tokens, by the way each is named, past sys.stdout; return those that could be."""
    import ctypes
    import os
    import subprocess
    import sys

    def line(token: str) -> bytes:
        return token.encode() + b"\n"

    def by_os_write(token: str, descriptor: int) -> None:
        os.write(descriptor, line(token))

    def by_child(token: str, descriptor: int) -> None:
        code = f"import os; os.write({descriptor}, {line(token)!r})"
        subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)

    def by_c(token: str, descriptor: int) -> None:
        libc = ctypes.CDLL(None)
        libc.puts(token.encode())
        libc.fflush(None)

    written = {}
    for way, (function, descriptor) in {
        "os.write(1, ...)": (by_os_write, 1),
        "os.write(2, ...)": (by_os_write, 2),
        "a child process, to its stdout": (by_child, 1),
        "a child process, to its stderr": (by_child, 2),
        "C code, by puts()": (by_c, 1),
    }.items():
        if way in tokens:
            try:
                function(tokens[way], descriptor)
            except (OSError, TypeError, AttributeError):
                continue
            written[way] = tokens[way]
    return written


@contextlib.contextmanager
def _descriptors_into(file: pathlib.Path) -> Iterator[None]:
    """Send what this process, or a child of it, writes to descriptors 1 and 2 into a file.

    What is not captured would litter the terminal otherwise, or the output of pytest.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.ExitStack() as undo, open(file, "ab") as target:
        for descriptor in (1, 2):
            kept = os.dup(descriptor)
            undo.callback(os.close, kept)
            undo.callback(os.dup2, kept, descriptor)
            os.dup2(target.fileno(), descriptor)
        yield


_WAYS = {
    "os.write(1, ...)": "stdout",
    "os.write(2, ...)": "stderr",
    "a child process, to its stdout": "stdout",
    "a child process, to its stderr": "stderr",
    "C code, by puts()": "stdout",
}


@check("RES-13")
def test_RES_13_should_capture_output_at_descriptor_level(subject: Subject) -> None:
    executor = subject.build()
    must_work(subject, executor)
    tokens = {way: f"written-{secrets.token_hex(4)}" for way in _WAYS}
    with _descriptors_into(subject.new_folder() / "written by the host"):
        seen = subject.run(executor, _write_below_python, tokens)

    if not seen.completed or not isinstance(seen.result, dict):
        subject.could_not_run(f"the task that writes to its descriptors did not do so: {seen}")
    lost = [way for way, token in seen.result.items() if token not in getattr(seen, _WAYS[way])]
    if lost:
        subject.fail(
            seen=f"a task wrote in {len(seen.result)} ways past sys.stdout and sys.stderr; of "
            f"these are not in the stdout and stderr that were returned: {'; '.join(lost)}",
            required="what is written to the file descriptors 1 and 2 of a task is returned, "
            "whoever writes it",
            cause="sys.stdout is replaced by another object, and the descriptor stays what it "
            "was: give the worker files or pipes for descriptors, or os.dup2 them"
            if len(lost) > 1 or "os.write" in lost[0]
            else "the descriptors of the worker are not handed on to what it starts",
            reproduce="""
                import asyncio
                from pytest_asyncexec.conformance.subject.host import host_for

                def task():
                    import os, subprocess, sys
                    os.write(1, b"by os.write\\n")
                    child = "import os; os.write(1, b'by a child'); os.write(2, b'to stderr')"
                    subprocess.run([sys.executable, "-c", child])

                seen = asyncio.run(host_for(executor).execute(executor, task))
                print("returned:", repr(seen.stdout), repr(seen.stderr))
            """,
        )

    if not subject.preflight().reachable:
        return
    if subject.preflight().place != "this process":
        _judge_last_words(subject, "whose worker died by os._exit", *_printed_before_death(subject))
    can_stop = "stop" not in subject.preflight().cannot
    if can_stop and not subject.preflight().blocks_loop_at:
        # It costs as many seconds as its limit.
        for limit in subject.pick(quick=(), default=_LIMITS, thorough=_LIMITS):
            printed, kept = _printed_before_time_out(subject, limit)
            if printed:
                _judge_last_words(subject, "that was stopped by its time_limit", printed, kept)
                break


#: Seconds. A limit that is over before the task has printed is doubled, and decides nothing.
_LIMITS = (0.25, 0.5, 1.0, 2.0, 4.0)

#: Seconds past its limit after which a task is let go on; that it was not stopped, TIM-02 tells.
_OVER = 5.0


def _judge_last_words(subject: Subject, which: str, printed: Mapping[str, str], kept: str) -> None:
    lost = [stream for stream, text in printed.items() if text not in kept]
    if lost:
        subject.fail(
            seen=f"of a task {which}, what it had printed to {' and '.join(lost)}, and flushed, "
            "is neither in its outcome nor in log_stdout and log_stderr",
            required="what a killed task had printed is kept: it is what tells why it ended",
            cause="output is sent back with the result, which a killed worker has none of: let "
            "it write to files or pipes, and read them when it is gone",
            reproduce="""
                import asyncio, tempfile
                from pathlib import Path
                from pytest_asyncexec.conformance.subject.host import host_for

                def task():
                    import os, time
                    print("printed before its death", flush=True)
                    ENDS

                executor.log_stdout = str(Path(tempfile.mkdtemp()) / "out")
                seen = asyncio.run(host_for(executor).execute(executor, task))
                print(seen, repr(seen.stdout), Path(executor.log_stdout).read_text(), sep="\\n")
            """.replace(
                "ENDS",
                "time.sleep(60)\n\n                executor.time_limit = 2"
                if "time_limit" in which
                else "os._exit(3)",
            ),
        )


def _last_words(subject: Subject) -> tuple[dict[str, str], dict[str, str]]:
    """What a task is to print, and the attributes by which it is logged."""
    folder = subject.new_folder()
    return (
        {stream: f"last words {secrets.token_hex(4)}" for stream in ("stdout", "stderr")},
        {f"log_{stream}": str(folder / stream) for stream in ("stdout", "stderr")},
    )


def _kept(seen: Seen | None, logs: Mapping[str, str]) -> str:
    files = [pathlib.Path(path) for path in logs.values()]
    said = [file.read_text("utf-8", "replace") for file in files if file.is_file()]
    return "\n".join([*said, "" if seen is None else seen.everything_said])


def _printed_before_death(subject: Subject) -> tuple[dict[str, str], str]:
    words, logs = _last_words(subject)

    def print_and_die(attempt: Attempt, number: int) -> None:
        for stream, text in words.items():
            attempt.tell(do="print", text=text, to=stream)
        attempt.tell(do="exit", code=3)

    with subject.beacon(print_and_die) as beacon:
        seen = outcome_of(subject, subject.build(**logs), report_home, beacon.address)
    return words, _kept(seen, logs)


def _printed_before_time_out(subject: Subject, limit: float) -> tuple[dict[str, str], str]:
    """What a task had printed when its limit stopped it, and what was kept of it."""
    words, logs = _last_words(subject)
    executor = subject.build(time_limit=limit, **logs)

    async def story() -> tuple[bool, Seen | None]:
        with subject.beacon() as beacon:
            executing = asyncio.ensure_future(
                subject.execute(executor, report_home, (beacon.address,))
            )
            answers = []
            if await beacon.reported(1, executing):
                attempt = beacon.attempts[0]
                for stream, text in words.items():
                    answer = attempt.ask(do="print", text=text, to=stream)
                    answers.append(answer)
            await asyncio.wait({executing}, timeout=limit + _OVER)
            stopped = executing.done()
            for attempt in beacon.attempts:
                attempt.tell(do="return", value=None)
            seen = await finish(executing, PATIENCE)
            # The end of the line has come: what was not answered by now never will be.
            for attempt in beacon.attempts:
                await asyncio.wait({asyncio.wrap_future(attempt.gone)}, timeout=_OVER)
            printed = [answer.done() and answer.result() is not None for answer in answers]
            return stopped and bool(printed) and all(printed), seen

    with subject.following(executor):
        printed, seen = subject.drive(story)
    return (words, _kept(seen, logs)) if printed else ({}, "")
