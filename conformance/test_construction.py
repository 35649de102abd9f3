"""CON: how an executor is built, what it holds then, and how its methods can be called."""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn
from unittest import mock

from ..base.executor import AsyncBaseExecutor
from ..base.plain import BaseExecutor
from ..contract.wording import short, short_error
from .check import check
from .instruments.effects import Effect, Effects, Kind, effects
from .scenarios.attributes import (
    DOCUMENTED,
    MISSING,
    REFUSALS,
    constructed,
    constructing,
    containers_for,
    models,
    mutable_parts,
    mutable_state,
    speaks_of_files,
    takes,
    values_like,
    without_folder,
)
from .subject.exceptions import CouldNotRun
from .subject.subject import Subject

# ---- building --------------------------------------------------------------------------------


@check("CON-01")
def test_CON_01_must_build_without_side_effects(subject: Subject) -> None:
    # The suite has built one executor to look at it, and watched what that did ...
    if subject.preflight().build_error:
        _fail_to_build(subject, subject.preflight().build_error)

    # ... and builds another: a host makes as many as it has tasks.
    try:
        with effects() as again:
            subject.build()
    except Exception as error:
        subject.fail(
            seen=f"the second executor of this process could not be built: {short_error(error)}",
            required="an executor from every call",
            cause="something that exists once per process is taken by the first instance",
            reproduce=_build(subject),
        )

    _judge_effects(subject, "", [*subject.first_build.of(*_KINDS), *again.of(*_KINDS)])

    # ... and, of a class, with each documented argument in turn.
    for name, value, must_be_taken in _documented_arguments(subject):
        call = constructing(subject, **{name: value})
        try:
            with effects() as with_argument:
                subject.construct(**{name: value})
        except CouldNotRun:
            return
        except Exception as error:
            if not must_be_taken and isinstance(error, TypeError | ValueError):
                continue
            subject.fail(
                seen=without_folder(
                    subject,
                    f"with {name}={value!r} no executor could be built: {short_error(error)}",
                ),
                required="an executor, for each documented argument; a value that it cannot use is "
                "refused with ValueError or TypeError",
                cause="the constructor uses an argument that belongs to `setup` or to `run`, or "
                "was never called with it",
                reproduce=without_folder(subject, call),
            )
        _judge_effects(subject, f" with {name}={value!r}", with_argument.of(*_KINDS), call)


#: What building an executor may do none of; files are CON-09's.
_KINDS: tuple[Kind, ...] = ("print", "socket", "environment", "working directory")


def _judge_effects(subject: Subject, how: str, effects: list[Effect], call: str = "") -> None:
    done = _once(effects)
    if done:
        subject.fail(
            seen=without_folder(subject, f"while an executor was built{how}, {_listed(done)}"),
            required="an instance, and nothing else: no output, no socket, the same environment "
            "and working directory",
            cause="work that belongs into `setup` is done in the constructor; a host also builds "
            "executors only to read or to write them down",
            reproduce=without_folder(subject, f"{_WATCH_BUILDING}\n{call or _build(subject)}"),
        )


def _documented_arguments(subject: Subject) -> Iterator[tuple[str, Any, bool]]:
    """Each documented argument, a value for it, and whether nobody has a reason to refuse that."""
    folder = subject.new_folder().resolve()
    values: Mapping[str, Sequence[Any]] = {
        "log_stdout": ("", "out.log", str(folder / "out.log")),
        "log_stderr": ("", "err.log", str(folder / "err.log")),
        "cache_dir": ("", str(folder)),
        "time_limit": (-1, 3600, 0.5),
        "retries": (0, 2),
    }
    for name in DOCUMENTED:
        if takes(subject, name):
            for place, value in enumerate(values[name]):
                # What else it names may be its own affair where it takes any name at all.
                yield name, value, place == 0 and name in subject.parameters()


_WATCH_BUILDING = """
import sys

EVENTS = "socket.", "os.putenv", "os.unsetenv", "os.chdir", "os.mkdir", "open"
sys.addaudithook(lambda event, args: event.startswith(EVENTS) and print(event, args))
# What only the first executor of a process does has happened above.
"""


def _build(subject: Subject) -> str:
    name = subject.target.spec.rpartition(":" if ":" in subject.target.spec else ".")[2]
    return f"{name}()"


def _fail_to_build(subject: Subject, why: str) -> NoReturn:
    target = subject.target
    if target.is_class:
        module, name = target.spec.rpartition(":" if ":" in target.spec else ".")[::2]
        cause = (
            "the constructor needs something that nobody gave it. Where that is configuration, "
            "put a factory without arguments into a module, say my_target.py:\n\n"
            f"    from {module} import {name.partition('.')[0]}\n\n"
            f"    def make_executor():\n        return {name}(...)  # what it needs\n\n"
            "and judge that instead: --asyncexec-plugin=my_target:make_executor"
        )
    else:
        cause = (
            "the factory is called without arguments and must return an executor; give it all "
            "that the executor needs, such as addresses and credentials for tests"
        )
    subject.fail(
        seen=f"{target.spec} could not be built: {why}",
        required="an executor, from a call without arguments",
        cause=cause,
        reproduce="print(executor)",
    )


def _once(found: list[Effect]) -> list[Effect]:
    return list({(effect.kind, effect.what): effect for effect in found}.values())


def _listed(found: list[Effect], limit: int = 5) -> str:
    rest = f"\nand {len(found) - limit} more" if len(found) > limit else ""
    return "\n".join(map(str, found[:limit])) + rest


@check("CON-02")
def test_CON_02_must_have_the_documented_attributes(subject: Subject) -> None:
    executor = subject.build()

    found = {name: _attribute(executor, name) for name in DOCUMENTED}

    wrong = {name: why for name, value in found.items() if (why := _wrong_type(name, value))}
    if wrong:
        subject.fail(
            seen="of an executor as it was built, " + "; ".join(wrong.values()),
            required="log_stdout, log_stderr and cache_dir of type str, time_limit an int or a "
            "float and no bool and not NaN, retries an int and no bool",
            cause="arguments handed to the base class by position that are in another order "
            "there; a Path kept where a str was given; or a base constructor never called",
            reproduce="\n".join(
                f'print("{name}", repr(getattr(executor, "{name}", "is missing")))'
                for name in wrong
            ),
        )


def _attribute(executor: Any, name: str) -> Any:
    try:
        return getattr(executor, name, MISSING)
    except Exception as error:
        return error


def _wrong_type(name: str, value: Any) -> str:
    """What is wrong with the type of a documented attribute; empty if nothing is."""
    if value is MISSING:
        return f"{name} is missing"
    if isinstance(value, Exception):
        return f"{name} cannot be read: {short_error(value)}"
    kind = f"{name} is {short(value)}, of type {type(value).__name__}"
    if name == "time_limit":
        right = isinstance(value, int | float) and not isinstance(value, bool)
        return "time_limit is NaN" if right and math.isnan(value) else "" if right else kind
    if name == "retries":
        return "" if isinstance(value, int) and not isinstance(value, bool) else kind
    return "" if isinstance(value, str) else kind


@check("CON-03")
def test_CON_03_must_keep_what_the_constructor_is_given(subject: Subject) -> None:
    constructed(subject)

    # One argument at a time: a falsy value of its kind, and another.
    changed, calls = [], []
    for name, model in models(subject, subject.build()).items():
        for value in values_like(name, model, subject.folder):
            if problem := _not_kept(subject, name, value):
                changed.append(problem)
                calls.append(f"print(repr({constructing(subject, **{name: value})}.{name}))")

    if changed:
        subject.fail(
            seen=without_folder(subject, ";\n".join(changed)),
            required="the attribute holds what the argument of its name was; a value that cannot "
            "be used is refused with ValueError or TypeError",
            cause='`value or default`, which takes 0, False and "" for no value: write `default '
            "if value is None else value`; or an argument that is not handed to the base class",
            reproduce=without_folder(subject, "\n".join(calls)),
        )


def _not_kept(subject: Subject, name: str, value: Any) -> str:
    """What became of the argument `name`; empty if it was kept or refused."""
    try:
        executor = subject.construct(**{name: copy.deepcopy(value)})
    except Exception as error:
        if isinstance(error, REFUSALS) or type(error).__module__ != "builtins":
            return ""
        return f"{name}={value!r} was neither kept nor refused: {short_error(error)}"
    found = _attribute(executor, name)
    if _is_kept(value, found):
        return ""
    return f"{name}={value!r} was given, and the attribute is {short(found)}"


def _is_kept(given: Any, found: Any) -> bool:
    if isinstance(given, str) and given and isinstance(found, os.PathLike):
        return bool(os.fspath(found) == given)
    if isinstance(given, list) and isinstance(found, list | tuple):
        return list(found) == given
    if isinstance(given, bool) != isinstance(found, bool):
        return False
    try:
        return bool(found == given)
    except Exception:
        return False


# ---- the methods -----------------------------------------------------------------------------

#: How hosts call the methods: by position, by name, or either.
_CALLS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "run": (("function", "args", "kwargs", "task_metadata"), "both"),
    "setup": (("task_metadata",), "by name"),
    "teardown": (("task_metadata",), "by name"),
    "write_streams_to_file": (
        ("stream_strings", "filepaths", "dispatch_id", "results_dir"),
        "both",
    ),
    "cancel": (("task_metadata", "job_handle"), "both"),
}


@check("CON-04")
def test_CON_04_must_have_the_documented_methods(subject: Subject) -> None:
    executor = subject.build()
    synchronous = _is_synchronous(executor)

    wrong = [
        problem
        for name in ("run", "setup", "teardown", "write_streams_to_file")
        for problem in _wrong_method(executor, name, synchronous)
    ]

    if wrong:
        kind = "`async def`"
        if isinstance(executor, BaseExecutor):
            kind = "plain functions, as BaseExecutor calls them"
        elif synchronous:
            kind = "plain functions, as `run` and `execute` are"
        subject.fail(
            seen=";\n".join(wrong),
            required=f"all four of them {kind}, with the parameters\n{_signatures()}",
            cause="a method written from memory; an executor is synchronous in all of its "
            "methods (run, setup, teardown, write_streams_to_file, execute) or in none",
            reproduce="""
                import inspect

                for name in "run", "setup", "teardown", "write_streams_to_file":
                    method = getattr(executor, name, None)
                    print(name, inspect.iscoroutinefunction(method), inspect.signature(method))
            """,
        )


@check("CON-05")
def test_CON_05_must_be_cancelled_as_hosts_do(subject: Subject) -> None:
    executor = subject.build()
    if not hasattr(executor, "cancel"):
        subject.not_applicable("the executor has no cancel")

    # What is inherited from this package is the documented default, also of synchronous ones.
    defaults = (AsyncBaseExecutor.cancel, BaseExecutor.cancel)
    inherited = getattr(type(executor), "cancel", None) in defaults
    synchronous = _is_synchronous(executor)
    if inherited:
        synchronous = not _is_coroutine_function(executor.cancel)
    wrong = _wrong_method(executor, "cancel", synchronous)

    if wrong:
        form = "def" if synchronous else "async def"
        subject.fail(
            seen=";\n".join(wrong),
            required=f"{form} cancel(self, task_metadata, job_handle) -> bool",
            cause="a cancel that was never called by a host: it is given the metadata of the "
            "task, and the handle that `run` passed to `set_job_handle`",
            reproduce="""
                import inspect

                print(inspect.iscoroutinefunction(executor.cancel))
                inspect.signature(executor.cancel).bind(task_metadata={}, job_handle="job")
            """,
        )


def _is_synchronous(executor: Any) -> bool:
    """Whether `run` and `execute` are plain functions: then all methods should be.

    The synchronous base class of this package calls plain methods from an `execute` that is none.
    """
    if isinstance(executor, BaseExecutor):
        return True
    return not _is_coroutine_function(getattr(executor, "run", None)) and not (
        _is_coroutine_function(getattr(executor, "execute", None))
    )


def _is_coroutine_function(method: Any) -> bool:
    if isinstance(method, functools.partial):
        return _is_coroutine_function(method.func)
    try:
        innermost = inspect.unwrap(method)
    except ValueError:
        innermost = method
    return any(
        inspect.iscoroutinefunction(function)
        for function in (method, innermost, getattr(method, "__call__", None))  # noqa: B004
    )


def _wrong_method(executor: Any, name: str, synchronous: bool) -> list[str]:
    """What keeps a host from calling the method `name`, sentence by sentence."""
    method = getattr(executor, name, None)
    if not callable(method):
        return [f"`{name}` is missing" if method is None else f"`{name}` is {short(method)}"]
    wrong = []
    if inspect.isasyncgenfunction(method):
        wrong.append(f"`{name}` is an asynchronous generator: there is a `yield` in it")
    elif synchronous and _is_coroutine_function(method):
        wrong.append(f"`{name}` is a coroutine function, while `run` and `execute` are plain ones")
    elif not synchronous and not _is_coroutine_function(method):
        wrong.append(f"`{name}` is a plain function, and `await executor.{name}(...)` fails")
    return wrong + _wrong_signature(method, name)


def _wrong_signature(method: Callable[..., Any], name: str) -> list[str]:
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):
        return []
    parameters, how = _CALLS[name]
    try:
        signature.bind(**dict.fromkeys(parameters))
    except TypeError as error:
        call = ", ".join(f"{parameter}=..." for parameter in parameters)
        return [f"`{name}{signature}` cannot be called as {name}({call}): {error}"]
    if how == "both":
        try:
            signature.bind(*parameters)
        except TypeError as error:
            call = ", ".join(parameters)
            return [f"`{name}{signature}` cannot be called as {name}({call}): {error}"]
    return []


def _signatures() -> str:
    return "\n".join(
        f"{name}(self, {', '.join(parameters)})"
        for name, (parameters, _) in _CALLS.items()
        if name != "cancel"
    )


# ---- what a constructor should refuse ----------------------------------------------------------


@check("CON-06")
def test_CON_06_should_refuse_an_unknown_argument(subject: Subject) -> None:
    constructed(subject)

    ended = "it was taken without a word"
    try:
        subject.construct(retires=3)
    except TypeError:
        return
    except Exception as error:
        ended = f"it ended in {short_error(error)}"

    subject.fail(
        seen=f"the constructor was given the unknown argument retires=3 (sic), and {ended}",
        required="a TypeError that names it",
        cause="`**kwargs` that nobody reads: a setting that is misspelt is lost without a word",
        reproduce=constructing(subject, retires=3),
    )


#: What the two settings never mean. Whether None is refused is the executor's own choice.
_OUTSIDE: Mapping[str, tuple[Any, ...]] = {
    "time_limit": (math.nan, True, "60", [60]),
    "retries": (-1, True, 1.5, "3"),
}


@check("CON-07")
def test_CON_07_should_refuse_values_outside_their_domain(subject: Subject) -> None:
    constructed(subject)
    judged = [name for name in _OUTSIDE if takes(subject, name) and _accepts(subject, name)]
    if not judged:
        subject.could_not_run(
            "the constructor takes neither time_limit=-1 nor retries=0, so that to refuse others "
            "says nothing, see CON-01"
        )

    taken, calls = [], []
    for name in judged:
        for value in _OUTSIDE[name]:
            if ended := _not_refused(subject, name, value):
                taken.append(f"{name}={value!r} {ended}")
                text = constructing(subject, **{name: value}).replace("nan", "float('nan')")
                calls.append(f"print(repr({text}.{name}))")

    if taken:
        subject.fail(
            seen="; ".join(taken),
            required="ValueError or TypeError: time_limit is a number of seconds (not NaN, no "
            "bool), retries an int that is not negative (no bool)",
            cause="the constructor stores what it is given without a look at it, and the mistake "
            "shows hours later, if at all",
            reproduce="\n".join(calls),
        )


def _accepts(subject: Subject, name: str) -> bool:
    """Whether the constructor takes a value of this setting that nobody has reason to refuse."""
    try:
        subject.construct(**{name: {"time_limit": -1, "retries": 0}[name]})
    except Exception:
        return False
    return True


def _not_refused(subject: Subject, name: str, value: Any) -> str:
    try:
        subject.construct(**{name: value})
    except (TypeError, ValueError):
        return ""
    except Exception as error:
        return f"ended in {short_error(error)}"
    return "was taken"


# ---- what a constructor should leave alone -----------------------------------------------------


@check("CON-08")
def test_CON_08_must_share_no_mutable_state(subject: Subject) -> None:
    # Two executors as the target builds them: what both hold came from a default.
    one, other = subject.build(), subject.build()
    if one is other:
        subject.fail(
            seen=f"{subject.target.spec} returned the same instance twice",
            required="a new instance from every call",
            cause="a factory that returns an executor of its module, or a class that caches its "
            "instances",
            reproduce=f"print(executor is {_build(subject)})",
        )
    shared = _shared("executor.", _mutable(subject, one), "other.", _mutable(subject, other))
    if shared:
        subject.fail(
            seen=f"two instances hold the very same object: {shared}",
            required=_NOTHING_SHARED,
            cause="a mutable default, of a parameter, the class or the module, that is not copied",
            reproduce=f"other = {_build(subject)}\nprint({shared.test})",
        )

    # Two executors that are given the same objects: what they hold is their own all the same.
    for name, value in containers_for(subject).items():
        given = copy.deepcopy(value)
        try:
            one, other = subject.construct(**{name: given}), subject.construct(**{name: given})
        except Exception:
            continue
        shared = _shared(
            "", mutable_parts(given, "given"), "executor.", _mutable(subject, one)
        ) or _shared("executor.", _mutable(subject, one), "other.", _mutable(subject, other))
        if shared:
            call = constructing(subject, **{name: MISSING}).replace(repr(MISSING), "given")
            subject.fail(
                seen=f"two executors were constructed with {name}={short(value)}: {shared}",
                required=_NOTHING_SHARED,
                cause="the constructor stores the caller's own object; take a copy, with "
                "copy.deepcopy where it is nested",
                reproduce=f"given = {value!r}\nother = {call}\nexecutor = {call}\n"
                f"print({shared.test})",
            )


_NOTHING_SHARED = (
    "no list, dictionary or set by which a change of one reaches the other, or the caller"
)


@dataclass(frozen=True, slots=True)
class _Shared:
    """One object in two places, each written as an expression."""

    here: str
    there: str
    value: Any

    @property
    def test(self) -> str:
        return f"{self.here} is {self.there}"

    def __str__(self) -> str:
        kind = type(self.value).__name__
        return f"{self.here} and {self.there} are one and the same {kind}, {short(self.value)}"


def _mutable(subject: Subject, executor: Any) -> dict[int, tuple[str, Any]]:
    return mutable_state(executor, [*subject.parameters(), *DOCUMENTED])


def _shared(
    prefix: str,
    one: Mapping[int, tuple[str, Any]],
    other_prefix: str,
    other: Mapping[int, tuple[str, Any]],
) -> _Shared | None:
    for key, (path, value) in one.items():
        if key in other:
            return _Shared(f"{prefix}{path}", f"{other_prefix}{other[key][0]}", value)
    return None


@check("CON-09")
def test_CON_09_should_touch_no_file(subject: Subject) -> None:
    # As it is built every day, at the first time and at any later one ...
    with effects() as again:
        subject.build()

    # ... by a user who has just come, with an empty home folder ...
    home = str(subject.new_folder())
    with (
        mock.patch.dict(os.environ, dict.fromkeys(_HOMES, home)),
        effects() as at_home,
        contextlib.suppress(Exception),
    ):
        subject.build()

    # ... and with folders that are not there yet.
    missing = subject.new_folder() / "missing"
    paths = {
        name: str(missing / name)
        for name, model in models(subject, subject.build()).items()
        if isinstance(model, str) and speaks_of_files(name)
    }
    elsewhere: dict[str, Effects] = {}
    for name, path in paths.items():
        with effects() as elsewhere[name], contextlib.suppress(Exception):
            subject.construct(**{name: path})

    watched = (subject.first_build, again, at_home, *elsewhere.values())
    done = _once([effect for each in watched for effect in each.of("file")])
    if done:
        text = _listed(done).replace(str(missing.parent), "/...").replace(home, "~")
        subject.fail(
            seen=f"while an executor was built, {text}",
            required="no file or folder made, changed or removed before `setup`; reading is fine",
            cause="the constructor prepares a folder or opens a log; hosts also build executors "
            "only to read them, on machines where the folder should not be",
            reproduce="import os, tempfile\n\n"
            'home = os.environ["HOME"] = tempfile.mkdtemp(prefix="asyncexec-")'
            + _WATCH_BUILDING
            + _build(subject)
            + "".join(
                f"\n{_in_missing_folder(subject, name)}"
                for name, seen in elsewhere.items()
                if seen.of("file")
            ),
        )


_HOMES = ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")


def _in_missing_folder(subject: Subject, name: str) -> str:
    call = constructing(subject, **{name: MISSING})
    return call.replace(repr(MISSING), f'home + "/missing/{name}"')
