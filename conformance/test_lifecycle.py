"""LIF: `setup`, `run` and `teardown`, in which order and with what. Judged on event histories."""

from __future__ import annotations

import functools
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..base.outcome import TaskCancelledError, TaskRuntimeError
from ..contract.wording import says, short
from .check import check
from .instruments.brackets import miscounted, misplaced_attempt
from .instruments.history import (
    METHODS,
    History,
    Method,
    Replacement,
    afterwards,
    given_metadata,
    then_raise,
    twice,
)
from .instruments.probes import echo
from .instruments.seen import Seen
from .subject.exceptions import CouldNotRun
from .subject.subject import Subject

_KEYS = ("dispatch_id", "node_id", "results_dir")

#: Seconds that setup and teardown take longer, so that whoever does not wait for them is seen.
#: Whoever does wait is only slower: no right executor can fail by it.
_LINGER = 0.05

_SETUP_ERROR = "the setup failed on purpose"
_RUN_ERROR = "the run failed on purpose"
_TEARDOWN_ERROR = "the teardown failed on purpose"

_lingering = afterwards(functools.partial(time.sleep, _LINGER))


def _fail_as_told(message: str) -> None:
    raise ValueError(message)


def _returning(value: Any) -> Replacement:
    """A `run` that needs no backend, and returns `value`."""
    return lambda _original, _executor, *_args, **_kwargs: value


def _raising(error: BaseException) -> Replacement:
    """A method that does nothing but raise `error`."""

    def replacement(_original: Any, _executor: Any, *_args: Any, **_kwargs: Any) -> None:
        raise error

    return replacement


def _methods(subject: Subject, executor: Any) -> frozenset[Method]:
    """Which of the three methods the executor has; the check ends if they cannot be recorded."""
    own = getattr(executor, "__dict__", {})
    found: set[Method] = set()
    for method in METHODS:
        if not callable(getattr(executor, method, None)):
            continue
        if method in own or not hasattr(type(executor), method):
            subject.could_not_run(
                f"{method!r} is no method of the class {type(executor).__name__}, so that its "
                "calls cannot be recorded"
            )
        found.add(method)
    return frozenset(found)


def _dispatch(
    subject: Subject,
    executor: Any,
    replacements: Mapping[str, Replacement],
    function: Callable[..., Any] = echo,
    args: Sequence[Any] = ("value",),
    *,
    reaches_run: bool = True,
    named: Mapping[str, Any] | None = None,
) -> tuple[Seen, History]:
    """Run one task; what was seen, and the history as it stood the moment `execute` ended."""
    has = _methods(subject, executor)

    async def story() -> tuple[Seen, History]:
        with subject.recording(
            executor, **{name: value for name, value in replacements.items() if name in has}
        ) as history:
            seen = await subject.execute(executor, function, args, **(named or {}))
            # A copy: a teardown that nobody awaits still writes to the history itself.
            return seen, History(list(history.events))

    seen, history = subject.drive(story)
    if reaches_run and not history.count("run"):
        subject.could_not_run(
            f"execute ended without calling `run` of its class, so nothing is known of its "
            f"lifecycle: {seen}"
        )
    return seen, history


def _with_a_retry(subject: Subject) -> Any:
    try:
        return subject.build(retries=1)
    except CouldNotRun:
        return subject.build()


def _histories(subject: Subject) -> list[tuple[str, int, History]]:
    """What a task does, the `retries` that were set, and its history.

    One task succeeds; one fails, and is tried again where the executor can be told to.
    """
    linger = {"setup": _lingering, "teardown": _lingering}
    _, of_success = _dispatch(subject, subject.build(), linger)
    for retries, executor in ((1, _with_a_retry(subject)), (0, subject.build())):
        _, of_failure = _dispatch(
            subject, executor, linger, _fail_as_told, (_RUN_ERROR,), reaches_run=not retries
        )
        # An executor that makes no retries may refuse the setting as late as this.
        if of_failure.count("run"):
            break
    return [
        ("a task that succeeds", 0, of_success),
        ("a task that fails", retries, of_failure),
    ]


_REPRODUCE_ORDER = """
    import asyncio, functools, time
    from pytest_asyncexec.conformance.instruments.history import afterwards, recorded
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(fails):
        if fails:
            raise ValueError("on purpose")

    linger = afterwards(functools.partial(time.sleep, 0.05))
    RETRIESwith recorded(type(executor), setup=linger, teardown=linger) as history:
        print(asyncio.run(host_for(executor).execute(executor, task, [FAILS])))
    print(history)
"""


def _reproduce_order(task: str, retries: int) -> str:
    setting = f"executor.retries = {retries}\n    " if retries else ""
    fails = str(task == "a task that fails")
    return _REPRODUCE_ORDER.replace("RETRIES", setting).replace("FAILS", fails)


@check("LIF-01")
def test_LIF_01_must_run_every_attempt_between_setup_and_teardown(subject: Subject) -> None:
    has = _methods(subject, subject.build())

    for task, retries, history in _histories(subject):
        wrong = misplaced_attempt(history, has)
        if wrong is not None:
            subject.fail(
                seen=f"with {task}: {wrong}",
                required="setup, awaited to its end, then one or more attempts at run, then "
                "teardown; again from setup if more attempts follow",
                cause="what setup acquires is only there once it has returned: `await` it before "
                "run, and begin teardown in a `finally` around all that uses it",
                history=history,
                reproduce=_reproduce_order(task, retries),
            )


@check("LIF-02")
def test_LIF_02_must_await_setup_and_teardown_exactly_once(subject: Subject) -> None:
    has = _methods(subject, subject.build())

    for task, retries, history in _histories(subject):
        wrong = miscounted(history, has)
        if wrong is not None:
            subject.fail(
                seen=f"with {task}: {wrong}",
                required="in each bracket `setup run+ teardown`, setup and teardown are each "
                "awaited once, to their end",
                cause="called both by `execute` and by `run`, or again for another attempt without "
                "the other one, or started with create_task and never awaited",
                history=history,
                reproduce=_reproduce_order(task, retries),
            )


class _Unforeseen(Exception):
    """Of a type that no executor can have thought of."""


@check("LIF-03")
def test_LIF_03_must_tear_down_when_run_raised(subject: Subject) -> None:
    if "teardown" not in _methods(subject, subject.build()):
        subject.not_applicable("the executor has no teardown")

    # Two of them end in a status rather than an error, often on a way of their own.
    for kind in (ValueError, TimeoutError, _Unforeseen, TaskRuntimeError, TaskCancelledError):
        error = kind(_RUN_ERROR)
        seen, history = _dispatch(subject, subject.build(), {"run": _raising(error)})

        if not history.count("teardown"):
            subject.fail(
                seen=f"run raised {type(error).__name__}, and teardown was not called; {seen}",
                required="teardown is awaited, whatever run raised",
                cause="teardown is called after run instead of in a `finally`, or in an `except` "
                "that names some errors only",
                history=history,
                reproduce="""
                    import asyncio
                    from pytest_asyncexec import TaskCancelledError, TaskRuntimeError
                    from pytest_asyncexec.conformance.instruments.history import recorded
                    from pytest_asyncexec.conformance.subject.host import host_for

                    def fail(original, executor, *args, **kwargs):
                        raise {error}("on purpose")

                    with recorded(type(executor), run=fail) as history:
                        print(asyncio.run(host_for(executor).execute(executor, len, ["abc"])))
                    print(history)
                """.format(
                    error="Exception" if isinstance(error, _Unforeseen) else type(error).__name__
                ),
            )


@check("LIF-04")
def test_LIF_04_must_tear_down_and_show_the_error_when_setup_raises(subject: Subject) -> None:
    executor = subject.build()
    has = _methods(subject, executor)
    if "setup" not in has:
        subject.not_applicable("the executor has no setup")

    # What the executor's own setup acquired is there to be freed when it "fails".
    failing = {
        "setup": then_raise(RuntimeError(_SETUP_ERROR)),
        "run": _returning("value"),
    }
    seen, history = _dispatch(subject, executor, failing, reaches_run=False)

    if not history.count("setup"):
        subject.could_not_run(f"execute does not call `setup` of its class: {seen}")
    if history.count("run"):
        wrong = "run was called although setup had raised"
    elif "teardown" in has and not history.count("teardown"):
        wrong = "setup raised, and teardown was not called"
    elif seen.completed:
        wrong = "setup raised, and the task was reported as COMPLETED"
    elif _SETUP_ERROR not in seen.everything_said:
        wrong = f"setup raised RuntimeError({_SETUP_ERROR!r}), of which the caller sees nothing"
    else:
        return
    subject.fail(
        seen=f"{wrong}; {seen}",
        required="run is not called, teardown is, and the error of setup is raised (or told with "
        "the status FAILED)",
        cause="`setup` stands before the `try` whose `finally` tears down, or its error is caught "
        "and dropped",
        history=history,
        reproduce="""
            import asyncio
            from pytest_asyncexec.conformance.instruments.history import recorded, then_raise
            from pytest_asyncexec.conformance.subject.host import host_for

            fail = then_raise(RuntimeError("the setup failed on purpose"))
            with recorded(type(executor), setup=fail) as history:
                print(asyncio.run(host_for(executor).execute(executor, len, ["abc"])))
            print(history)
        """,
    )


_REPRODUCE_TEARDOWN = """
    import asyncio
    from pytest_asyncexec.conformance.instruments.history import recorded, then_raise
    from pytest_asyncexec.conformance.subject.host import host_for

    def run(original, executor, *args, **kwargs):
        {run}

    fail = then_raise(RuntimeError("the teardown failed on purpose"))
    with recorded(type(executor), run=run, teardown=fail) as history:
        seen = asyncio.run(host_for(executor).execute(executor, len, ["abc"]))
    print(seen, getattr(seen.error, "__notes__", ""), history, sep="\\n")
"""
_REPRODUCE_AFTER_FAILURE = _REPRODUCE_TEARDOWN.format(
    run='raise ValueError("the run failed on purpose")'
)
_REPRODUCE_AFTER_SUCCESS = _REPRODUCE_TEARDOWN.format(run='return "precious"')


def _failing_teardown(subject: Subject, run: Replacement) -> tuple[Seen, History]:
    executor = subject.build()
    if "teardown" not in _methods(subject, executor):
        subject.not_applicable("the executor has no teardown")
    failing = {"run": run, "teardown": then_raise(RuntimeError(_TEARDOWN_ERROR))}
    seen, history = _dispatch(subject, executor, failing)
    if not history.count("teardown"):
        subject.could_not_run(f"blocked: teardown was not called, see LIF-01 and LIF-03; {seen}")
    return seen, history


@check("LIF-05")
def test_LIF_05_must_let_the_outcome_of_run_win_over_an_error_of_teardown(
    subject: Subject,
) -> None:
    # A task that fails: its user has to learn why.
    seen, history = _failing_teardown(subject, _raising(ValueError(_RUN_ERROR)))

    error = seen.error
    hidden = error is not None and says(error, _TEARDOWN_ERROR) and not says(error, _RUN_ERROR)
    if hidden or seen.completed or _RUN_ERROR not in seen.everything_said:
        subject.fail(
            seen=f"run raised ValueError({_RUN_ERROR!r}), then teardown raised; {seen}",
            required="the error of run is raised (or told with the status FAILED), and that of "
            "teardown at most attached to it",
            cause="an error that leaves a `finally` takes the place of the one before it",
            history=history,
            reproduce=_REPRODUCE_AFTER_FAILURE,
        )

    # A task that succeeds: hours of work must not vanish.
    seen, history = _failing_teardown(subject, _returning("precious"))

    if not seen.completed or seen.result != "precious":
        subject.fail(
            seen=f"run returned 'precious', then teardown raised; {seen}",
            required="status COMPLETED with the result 'precious'",
            cause="the error of teardown is not caught, or is taken for one of the task",
            history=history,
            reproduce=_REPRODUCE_AFTER_SUCCESS,
        )


@check("LIF-06")
def test_LIF_06_must_give_all_three_the_documented_metadata(subject: Subject) -> None:
    executor = subject.build()
    told = {
        "dispatch_id": subject.new_dispatch(),
        "node_id": 7,
        "results_dir": str(subject.new_folder()),
    }

    _, history = _dispatch(subject, executor, {"run": _returning("value")}, named=told)

    for method in METHODS:
        for given in history.metadata(method):
            wrong = _wrong_metadata(given, told)
            if wrong is not None:
                subject.fail(
                    seen=f"{method} was called with task_metadata in which {wrong}",
                    required=f"setup, run and teardown all get {', '.join(_KEYS)}, as they were "
                    "given to execute: str, int and str; more keys are welcome",
                    cause="`execute` makes task_metadata anew for each method, or passes on only "
                    "what its author needed",
                    history=history,
                    reproduce="""
                        import asyncio
                        from pytest_asyncexec.conformance.instruments.history import (
                            METHODS,
                            recorded,
                        )
                        from pytest_asyncexec.conformance.subject.host import host_for

                        with recorded(type(executor)) as history:
                            host = host_for(executor)
                            print(asyncio.run(host.execute(executor, len, ["abc"], node_id=7)))
                        for method in METHODS:
                            print(method, history.metadata(method))
                    """,
                )


def _wrong_metadata(given: Any, told: dict[str, Any]) -> str | None:
    if not isinstance(given, dict):
        return f"there are no keys: it is {short(given)}"
    for key, value in told.items():
        if key not in given:
            return f"{key!r} is missing: it is {short(given)}"
        arrived = given[key]
        if type(arrived) is bool or not isinstance(arrived, type(value)):
            return f"{key!r} is {short(arrived)}, not {short(value)}"
        same = arrived == value or (
            # A path may be written in several ways.
            key == "results_dir" and os.path.realpath(arrived) == os.path.realpath(value)
        )
        if not same:
            return f"{key!r} is {short(arrived)}, not {short(value)}"
    return None


@check("LIF-07")
def test_LIF_07_should_keep_changes_of_task_metadata_apart(subject: Subject) -> None:
    executor = subject.build()
    marks = {"setup": f"mark-{secrets.token_hex(4)}", "run": f"mark-{secrets.token_hex(4)}"}
    node_id = 7

    def change(method: Method, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = given_metadata(method, args, kwargs)
        if isinstance(given, dict):
            given[marks[method]] = True
            given["node_id"] = f"changed by {method}"

    def setup(original: Any, _executor: Any, *args: Any, **kwargs: Any) -> Any:
        return afterwards(lambda: change("setup", args, kwargs))(
            original, _executor, *args, **kwargs
        )

    def run(_original: Any, _executor: Any, *args: Any, **kwargs: Any) -> str:
        change("run", args, kwargs)
        return "value"

    def teardown(original: Any, _executor: Any, *args: Any, **kwargs: Any) -> Any:
        # The executor's own teardown must find what it has to free, even where changes are seen.
        given = given_metadata("teardown", args, kwargs)
        if isinstance(given, dict):
            for mark in marks.values():
                given.pop(mark, None)
            given["node_id"] = node_id
        return original(*args, **kwargs)

    changing = {"setup": setup, "run": run, "teardown": teardown}
    _, history = _dispatch(subject, executor, changing, named={"node_id": node_id})

    for method in ("run", "teardown"):
        for given in history.metadata(method):
            for changer, mark in marks.items():
                if changer != method and isinstance(given, dict) and mark in given:
                    subject.fail(
                        seen=f"a key that {changer} added to its task_metadata was there when "
                        f"{method} was called",
                        required="each method gets a task_metadata of its own",
                        cause="`execute` hands one dictionary to setup, run and teardown: give "
                        "each a copy, `dict(task_metadata)`",
                        history=history,
                        reproduce="""
                            import asyncio
                            from pytest_asyncexec.conformance.instruments.history import (
                                METHODS,
                                recorded,
                            )
                            from pytest_asyncexec.conformance.subject.host import host_for

                            def setup(original, executor, task_metadata):
                                task_metadata["added by"] = "setup"

                            def run(original, executor, function, args, kwargs, task_metadata):
                                task_metadata["added by"] = "run"

                            with recorded(type(executor), setup=setup, run=run) as history:
                                host = host_for(executor)
                                asyncio.run(host.execute(executor, len, ["abc"]))
                            for method in METHODS:
                                print(method, history.metadata(method))
                        """,
                    )


@check("LIF-08")
def test_LIF_08_must_run_another_task_on_the_same_instance(subject: Subject) -> None:
    executor = subject.build()

    for before in ("success", "failure"):
        with subject.recording(executor) as history:
            if before == "success":
                first = subject.run(executor, echo, "first")
            else:
                first = subject.run(executor, _fail_as_told, _RUN_ERROR)
            second = subject.run(executor, echo, f"after {before}")

        if not second.completed or second.result != f"after {before}":
            subject.fail(
                seen=f"a task on an instance, after the {before} of another: {second}\n"
                f"(the one before: {first})",
                required=f"status COMPLETED with the result 'after {before}'",
                cause="something that belongs to one task is kept on `self`, or something that "
                "every task needs is closed with the first",
                history=history,
                reproduce="""
                    import asyncio
                    from pytest_asyncexec.conformance.subject.host import host_for

                    def task(fails):
                        if fails:
                            raise ValueError("on purpose")

                    async def main():
                        for fails in (False, False, True, False):
                            print(await host_for(executor).execute(executor, task, [fails]))

                    asyncio.run(main())
                """,
            )


def _name(subject: Subject) -> str:
    spec = subject.target.spec
    return spec.rpartition(":" if ":" in spec else ".")[2]


@check("LIF-09")
def test_LIF_09_must_execute_on_a_fresh_executor(subject: Subject) -> None:
    # More than one, so that nothing which the first of them made is there for it alone.
    for number in range(1, 3):
        executor = subject.build()
        with subject.recording(executor) as history:
            seen = subject.run(executor, echo, f"task of executor {number}")

        if not seen.completed or seen.result != f"task of executor {number}":
            subject.fail(
                seen=f"`execute` was the first call on a fresh executor: {seen}",
                required=f"status COMPLETED with the result 'task of executor {number}'",
                cause="what a task needs is made neither by the constructor nor by setup, or it "
                "is kept on the class and gone with another instance's task",
                history=history,
                reproduce="""
                    import asyncio
                    from pytest_asyncexec.conformance.subject.host import host_for

                    async def main():
                        for fresh in (executor, BUILD(), BUILD()):
                            print(await host_for(fresh).execute(fresh, len, ["abc"]))

                    asyncio.run(main())
                """.replace("BUILD", _name(subject)),
            )


@check("LIF-10")
def test_LIF_10_should_show_an_error_of_teardown(subject: Subject) -> None:
    for after, run, reproduce in (
        ("success", _returning("value"), _REPRODUCE_AFTER_SUCCESS),
        ("failure", _raising(ValueError(_RUN_ERROR)), _REPRODUCE_AFTER_FAILURE),
    ):
        seen, history = _failing_teardown(subject, run)

        if _TEARDOWN_ERROR not in seen.everything_said:
            subject.fail(
                seen=f"teardown raised RuntimeError({_TEARDOWN_ERROR!r}) after the {after} of "
                f"run, and the caller sees nothing of it; {seen}",
                required="the error of teardown is raised, attached as a note to the error of "
                "run, or found in the returned stderr",
                cause="it is caught and dropped, or only logged: a machine left running goes "
                "unseen",
                history=history,
                reproduce=reproduce,
            )


#: In words, what is replaced besides `run`, and the same in a script.
_BEGINNINGS: tuple[tuple[str, dict[str, Replacement], str], ...] = (
    (
        "after a setup that raised at its end",
        {"setup": then_raise(RuntimeError(_SETUP_ERROR))},
        'setup=then_raise(RuntimeError("the setup failed on purpose"))',
    ),
    (
        "after a setup that raised at its beginning",
        {"setup": _raising(RuntimeError(_SETUP_ERROR))},
        "setup=fail",
    ),
    ("without a setup", {"setup": _returning(None)}, "setup=nothing"),
    ("after a run that never started its work", {}, ""),
    ("twice", {"teardown": twice}, "teardown=twice"),
)


@check("LIF-11")
def test_LIF_11_should_tear_down_after_any_beginning(subject: Subject) -> None:
    # Within `execute` each time, for teardown may use what only a running task has.
    if "teardown" not in _methods(subject, subject.build()):
        subject.not_applicable("the executor has no teardown")
    torn_down = 0

    for words, replacements, replaced in _BEGINNINGS:
        _, history = _dispatch(
            subject,
            subject.build(),
            {"run": _returning("value"), **replacements},
            reaches_run=False,
        )

        torn_down += history.count("teardown")
        if history.count("teardown", "raises"):
            subject.fail(
                seen=f"teardown was called {words}, and raised",
                required="teardown frees what is there, and copes with what is not",
                cause="it takes for granted what only setup or run makes, or frees it without "
                "forgetting it",
                history=history,
                reproduce="""
                    import asyncio
                    from pytest_asyncexec.conformance.instruments.history import (
                        recorded,
                        then_raise,
                        twice,
                    )
                    from pytest_asyncexec.conformance.subject.host import host_for

                    def nothing(original, executor, *args, **kwargs):
                        pass

                    def fail(original, executor, *args, **kwargs):
                        raise RuntimeError("the setup failed on purpose")

                    with recorded(type(executor), run=nothing, REPLACED) as history:
                        print(asyncio.run(host_for(executor).execute(executor, len, ["abc"])))
                    print(history)
                """.replace(", REPLACED", replaced and f", {replaced}"),
            )
    if not torn_down:
        subject.could_not_run("blocked: teardown was never called, see LIF-01")
