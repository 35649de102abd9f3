"""RES: what goes into a task and what comes out of it: values, errors, and what it prints."""

from __future__ import annotations

import contextlib
import sys
import traceback
from typing import Any

from .check import check
from .instruments.overhearing import overheard
from .instruments.seen import Seen
from .scenarios.asking import ask_plan
from .scenarios.at_once import wrong_again, wrong_alone
from .scenarios.carrying import (
    carried,
    carries_one,
    is_given,
    script_that_carries,
    taken_names,
)
from .scenarios.observations import plan_of
from .subject.host import task_error
from .subject.subject import Subject


@check("RES-01")
def test_RES_01_must_carry_any_picklable_values(subject: Subject) -> None:
    cause = (
        "a serialiser that knows fewer types than pickle (JSON, repr, YAML), or a test of the "
        "value where `is None` was meant"
    )
    ask_plan(subject, "ordinary", cause=cause)

    for many, wrong_of_many in wrong_again(subject, carried(subject).values):
        # Which of its values is it? It may be none alone.
        each = [carries_one(value) for value in (*many.args, *many.kwargs.values())]
        found = wrong_alone(subject, each) if len(each) > 1 else iter(())
        errand, wrong = next(found, (many, wrong_of_many))
        subject.fail(
            seen=wrong,
            required="equal values of the same types, all the way down",
            cause=cause,
            reproduce=script_that_carries(errand),
        )


@check("RES-02")
def test_RES_02_must_run_functions_that_no_worker_can_import(subject: Subject) -> None:
    for _, wrong in wrong_again(subject, carried(subject).functions):
        subject.fail(
            seen=wrong,
            required="status COMPLETED with the result 42",
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


@check("RES-03")
def test_RES_03_must_carry_eight_mebibytes_each_way(subject: Subject) -> None:
    # More than these: 17 MiB, and 1 MiB in many tasks.
    ask_plan(
        subject,
        "ordinary",
        cause="a buffer, a line, an argument or an environment variable that has a limit; or one "
        "`recv` or `read` where a loop was needed",
    )


def _told(seen: Seen) -> str:
    """What a caller is told of a failure: the error with notes, causes and traceback, stderr."""
    error = "" if seen.error is None else "".join(traceback.format_exception(seen.error))
    return f"{error}\n{seen.stderr}"


@check("RES-04")
def test_RES_04_must_report_a_task_that_raises(subject: Subject) -> None:
    ask_plan(
        subject,
        "ordinary",
        cause="an `except` that turns the error into a result, or into an error that says less",
    )
    # A `run` that is replaced runs no task.
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


@check("RES-05")
def test_RES_05_should_show_the_line_that_failed(subject: Subject) -> None:
    ask_plan(
        subject,
        "ordinary",
        cause="only str(error) is sent back: add `traceback.format_exc()` as a note, or to "
        "stderr; or code is carried without the name of its file, as cloudpickle does from 3.1.3 "
        "on",
    )


def _say(word: str) -> None:

    for name in ("stdout", "stderr"):
        print(f"{word} to {name}", file=getattr(sys, name), flush=True)


@check("RES-06")
def test_RES_06_must_return_what_a_task_prints(subject: Subject) -> None:
    if not subject.preflight().captures_streams:
        _fail_by_what_is_not_captured(subject)
    if plan_of(subject).shows("foreign output", "ordinary"):
        _judge_the_next_task(subject)
    ask_plan(
        subject,
        "ordinary",
        cause="a pipe that is read too late or not to its end, text that is decoded in pieces, "
        "stripped or cut, or streams that are kept on `self`",
    )


_RETURNED = "stdout and stderr hold all that this task has printed, each its own, and nothing else"

_SCRIPT_THAT_PRINTS = """
    import asyncio
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(word):
        import sys
        print(word, "to stdout", flush=True)
        print(word, "to stderr", file=sys.stderr, flush=True)

    async def main():
        for word in ("first", "next"):
            seen = await host_for(executor).execute(executor, task, [word])
            print("returned:", repr(seen.stdout), repr(seen.stderr), seen.error or "")

    asyncio.run(main())
"""


def _run_unheard(subject: Subject, executor: Any, word: str) -> Seen:
    """What comes of a task that prints; where nobody captures that, the host prints it."""
    in_this_process = subject.preflight().place == "this process"
    with overheard(subject.new_folder() / "printed", descriptors=in_this_process):
        return subject.run(executor, _say, word)


def _fail_by_what_is_not_captured(subject: Subject) -> None:
    seen = _run_unheard(subject, subject.build(), "words")
    lost = [name for name in ("stdout", "stderr") if f"words to {name}" not in getattr(seen, name)]
    if not seen.completed or not lost:
        subject.could_not_run(f"it is not certain whether anything is captured: {seen}")
    other = {"stdout": "stderr", "stderr": "stdout"}[lost[0]]
    mixed = f"words to {lost[0]}" in getattr(seen, other)
    subject.fail(
        seen=f"{other} holds what it printed to {lost[0]}: {seen}"
        if mixed
        else f"of what a task printed, {' and '.join(lost)} did not arrive: {seen}",
        required=_RETURNED,
        cause="`2>&1`, or one stream that is given for both"
        if mixed
        else "nothing is captured: in `run`, write what the task printed to `self.task_stdout` "
        "and `self.task_stderr`, the text streams of the current task; or say that it cannot be "
        'had, by the class attribute `cannot = frozenset({"streams"})`',
        reproduce=_SCRIPT_THAT_PRINTS,
    )


def _judge_the_next_task(subject: Subject) -> None:
    """Fail if a task gets the output of one that was over before it began."""
    executor = subject.build()
    _run_unheard(subject, executor, "first")
    seen = _run_unheard(subject, executor, "next")
    if "first to std" in seen.stdout + seen.stderr:
        subject.fail(
            seen="of two tasks on one instance, one after the other, the next one's output holds "
            f"what the first had printed: {seen}",
            required=_RETURNED,
            cause="streams that are kept on `self`",
            reproduce=_SCRIPT_THAT_PRINTS,
        )


@check("RES-07")
def test_RES_07_must_not_change_the_arguments_of_the_host(subject: Subject) -> None:
    ask_plan(
        subject,
        "ordinary",
        cause="the task runs in this process, on the very objects: give it copies, "
        "`copy.deepcopy((args, kwargs))`",
    )


@check("RES-11")
def test_RES_11_must_pass_keyword_arguments_of_any_name(subject: Subject) -> None:
    cause = (
        "a function on the way has a parameter of that name: pass args and kwargs on as one list "
        "and one dict, or make its parameters positional-only"
    )
    if plan_of(subject).broken("RES-11", ["ordinary"]):
        # Which of them is it?
        for errand, wrong in wrong_alone(subject, [is_given(name) for name in taken_names()]):
            subject.fail(
                seen=wrong,
                required="every keyword argument reaches the task, whatever its name",
                cause=cause,
                reproduce=script_that_carries(errand),
            )
    ask_plan(subject, "ordinary", cause=cause)


@check("RES-13")
def test_RES_13_should_capture_output_at_descriptor_level(subject: Subject) -> None:
    if not subject.preflight().captures_streams:
        subject.fail(
            seen="nothing that a task prints is captured, see RES-06",
            required="what is written to the file descriptors 1 and 2 of a task is returned",
        )
    ask_plan(
        subject,
        "ordinary",
        cause="sys.stdout is replaced by another object, and the descriptor stays what it was, "
        "or is the executor's own channel: give the worker files or pipes for descriptors 1 and "
        "2, or os.dup2 them, and send results another way",
    )
    ask_plan(
        subject,
        besides=("stopped", "breaking"),
        cause="output is sent back with the result, which a killed worker has none of: let it "
        "write to files or pipes, and read them when it is gone",
    )
