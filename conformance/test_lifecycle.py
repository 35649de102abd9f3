"""LIF: `setup`, `run` and `teardown`, in which order and with what. Judged on event histories."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..base.outcome import TaskCancelledError, TaskRuntimeError
from ..contract.wording import says
from .check import check
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
from .scenarios.asking import ask_plan
from .scenarios.observations import plan_of
from .subject.subject import Subject

_SETUP_ERROR = "the setup failed on purpose"
_RUN_ERROR = "the run failed on purpose"
_TEARDOWN_ERROR = "the teardown failed on purpose"


def _returning(value: Any) -> Replacement:
    """A `run` that needs no backend, and returns `value`."""
    return lambda _original, _executor, *_args, **_kwargs: value


def _raising(error: BaseException) -> Replacement:
    """A method that does nothing but raise `error`."""

    def replacement(_original: Any, _executor: Any, *_args: Any, **_kwargs: Any) -> None:
        raise error

    return replacement


def _hides(seen: Seen, message: str) -> bool:
    """Whether the caller does not see this error, or that of teardown in its place."""
    error = seen.error
    replaced = error is not None and says(error, _TEARDOWN_ERROR) and not says(error, message)
    return replaced or message not in seen.everything_said


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


def _ask_histories(subject: Subject, cause: str) -> None:
    """End the check if what was awaited for tasks of the plan breaks its rule, or was not seen."""
    _methods(subject, subject.build())
    ask_plan(subject, "ordinary", besides=("stopped",), cause=cause)
    seen = plan_of(subject).part("ordinary").sight.observations
    if not any(each.history.count("run") for each in seen):
        subject.could_not_run(
            "execute ended without calling `run` of its class, so nothing is known of its lifecycle"
        )


@check("LIF-01")
def test_LIF_01_must_run_every_attempt_between_setup_and_teardown(subject: Subject) -> None:
    _ask_histories(
        subject,
        cause="what setup acquires is only there once it has returned: `await` it before run, for "
        "each task, and begin teardown in a `finally` around all that uses it",
    )


@check("LIF-02")
def test_LIF_02_must_await_setup_and_teardown_exactly_once(subject: Subject) -> None:
    _ask_histories(
        subject,
        cause="called both by `execute` and by `run`, or again for another attempt without the "
        "other one, or started with create_task and never awaited",
    )


class _Unforeseen(Exception):
    """Of a type that no executor can have thought of."""


_NO_FINALLY = (
    "teardown is called after run instead of in a `finally`, or in an `except` that names some "
    "errors only"
)


@check("LIF-03")
def test_LIF_03_must_tear_down_when_run_raised(subject: Subject) -> None:
    _methods(subject, subject.build())
    _ask_histories(subject, cause=_NO_FINALLY)

    # Two of them end in a status rather than an error, often on a way of their own.
    for kind in (ValueError, TimeoutError, _Unforeseen, TaskRuntimeError, TaskCancelledError):
        error = kind(_RUN_ERROR)
        seen, history = _dispatch(subject, subject.build(), {"run": _raising(error)})

        if not history.count("teardown"):
            subject.fail(
                seen=f"run raised {type(error).__name__}, and teardown was not called; {seen}",
                required="teardown is awaited, whatever run raised",
                cause=_NO_FINALLY,
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

    # What the executor's own setup acquired is there to be freed when it "fails".
    failing = {
        "setup": then_raise(RuntimeError(_SETUP_ERROR)),
        "run": _returning("value"),
    }
    for replacements, too in (
        (failing, ""),
        (
            {**failing, "teardown": then_raise(RuntimeError(_TEARDOWN_ERROR))},
            "; teardown had raised as well",
        ),
    ):
        seen, history = _dispatch(subject, subject.build(), replacements, reaches_run=False)

        if not history.count("setup"):
            subject.could_not_run(f"execute does not call `setup` of its class: {seen}")
        if history.count("run"):
            wrong = "run was called although setup had raised"
        elif "teardown" in has and not history.count("teardown"):
            wrong = "setup raised, and teardown was not called"
        elif seen.completed:
            wrong = f"setup raised, and the task was reported as COMPLETED{too}"
        elif _hides(seen, _SETUP_ERROR):
            wrong = f"setup raised RuntimeError({_SETUP_ERROR!r}), of which the caller sees nothing"
            wrong += too
        else:
            continue
        subject.fail(
            seen=f"{wrong}; {seen}",
            required="run is not called, teardown is, and the error of setup is raised (or told "
            "with the status FAILED)",
            cause="`setup` stands before the `try` whose `finally` tears down, or its error is "
            "caught and dropped, or that of teardown takes its place",
            history=history,
            reproduce="""
                import asyncio
                from pytest_asyncexec.conformance.instruments.history import recorded, then_raise
                from pytest_asyncexec.conformance.subject.host import host_for

                fail = then_raise(RuntimeError("the setup failed on purpose"))
                with recorded(type(executor), setup=failTEARDOWN) as history:
                    print(asyncio.run(host_for(executor).execute(executor, len, ["abc"])))
                print(history)
            """.replace("TEARDOWN", ", teardown=fail" if too else ""),
            because="LIF-05" if too else "",
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
_REPRODUCE_AFTER_STATUS = _REPRODUCE_TEARDOWN.format(
    run="from pytest_asyncexec import TaskRuntimeError\n"
    '        raise TaskRuntimeError("the run failed on purpose")'
)
_REPRODUCE_AFTER_SUCCESS = _REPRODUCE_TEARDOWN.format(run='return "precious"')


def _failing_teardown(subject: Subject, run: Replacement) -> tuple[Seen, History]:
    executor = subject.build()
    _methods(subject, executor)
    failing = {"run": run, "teardown": then_raise(RuntimeError(_TEARDOWN_ERROR))}
    seen, history = _dispatch(subject, executor, failing)
    if not history.count("teardown"):
        subject.could_not_run(f"blocked: teardown was not called, see LIF-01 and LIF-03; {seen}")
    return seen, history


@check("LIF-05")
def test_LIF_05_must_let_the_outcome_of_run_win_over_an_error_of_teardown(
    subject: Subject,
) -> None:
    # A task that fails: its user has to learn why. One of the errors ends in a status, often on
    # a way of its own.
    for kind, reproduce in (
        (ValueError, _REPRODUCE_AFTER_FAILURE),
        (TaskRuntimeError, _REPRODUCE_AFTER_STATUS),
    ):
        seen, history = _failing_teardown(subject, _raising(kind(_RUN_ERROR)))

        if seen.completed or _hides(seen, _RUN_ERROR):
            subject.fail(
                seen=f"run raised {kind.__name__}({_RUN_ERROR!r}), then teardown raised; {seen}",
                required="the error of run is raised (or told with the status FAILED), and that "
                "of teardown at most attached to it",
                cause="an error that leaves a `finally` takes the place of the one before it",
                history=history,
                reproduce=reproduce,
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
    _ask_histories(
        subject,
        cause="`execute` makes task_metadata anew for each method, or keeps that of another task, "
        "or passes on only what its author needed",
    )


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
    ask_plan(
        subject,
        "ordinary",
        cause="something that belongs to one task is kept on `self`, or something that every task "
        "needs is closed with the first",
    )


@check("LIF-09")
def test_LIF_09_must_execute_on_a_fresh_executor(subject: Subject) -> None:
    ask_plan(
        subject,
        "ordinary",
        cause="what a task needs is made neither by the constructor nor by setup, or it is kept on "
        "the class and gone with another instance's task",
    )


@check("LIF-10")
def test_LIF_10_should_show_an_error_of_teardown(subject: Subject) -> None:
    for after, run, reproduce in (
        ("success", _returning("value"), _REPRODUCE_AFTER_SUCCESS),
        ("failure", _raising(ValueError(_RUN_ERROR)), _REPRODUCE_AFTER_FAILURE),
        ("failure", _raising(TaskRuntimeError(_RUN_ERROR)), _REPRODUCE_AFTER_STATUS),
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
    _methods(subject, subject.build())
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
