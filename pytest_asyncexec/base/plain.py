"""The base class of synchronous executor plugins: plain methods, called in threads."""

import asyncio
import inspect
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

from .attempts import OWN_QUESTIONS
from .common import CommonExecutor
from .stopping import Plain
from .streams import write_streams_to_file
from .task import RunningTask, get_running_task
from .template import OWN_WRITERS

__all__ = ["BaseExecutor"]

T = TypeVar("T")

#: What is called in a thread, where nobody could await it.
_PLAIN = ("setup", "run", "teardown", "cancel")


class BaseExecutor(Plain, CommonExecutor):
    """The base of every synchronous executor plugin: implement `run`, and the rest is given.

    A plugin written against Covalent's class of the same name works with its import line changed.

    `setup`, `run`, `teardown` and `cancel` are plain methods and may block: each call has a thread
    of its own, with the context variables of the task. `execute` is a coroutine, as that of
    `AsyncBaseExecutor`, and its outcomes are the same; without an event loop, call
    `asyncio.run(executor.execute(...))`. One instance may be asked to run many tasks at once, so
    keep nothing about a task on `self`. Settings and attributes are those of `AsyncBaseExecutor`.

    Python cannot stop a thread. A class that overrides `cancel` is taken to end its work there:
    when `execute` is cancelled or an attempt is over its `time_limit`, `get_cancel_requested()` is
    true and `cancel` is called, again and again while it returns False, and the outcome is known
    once `run` has returned. A class without a `cancel` of its own declares `cannot = {"stop"}` by
    that: a positive `time_limit` is refused with ValueError, and a cancelled `execute` ends when
    `run` returns. Set `cannot` where neither is so: to an empty set where `run` itself ends soon
    after `get_cancel_requested()` is true.

    A coroutine function in place of one of the four is refused with TypeError where the class is
    defined.
    """

    cannot = frozenset({"stop"})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _PLAIN:
            method = inspect.unwrap(getattr(cls, name))
            if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
                raise TypeError(
                    f"{cls.__qualname__}.{name} is a coroutine function, and a BaseExecutor's "
                    f"`{name}` is called in a thread, where nobody awaits it: derive from "
                    f"AsyncBaseExecutor, or write `def {name}`"
                )
        says = next(base for base in cls.__mro__ if "cannot" in vars(base))
        if says is BaseExecutor and cls.cancel is not BaseExecutor.cancel:
            cls.cannot = frozenset()

    def setup(self, task_metadata: dict[str, Any]) -> None:
        """Acquire what this task needs, in a thread; called once, before the first attempt.

        `task_metadata` has `dispatch_id: str`, `node_id: int` and `results_dir: str`, and is a
        copy. If this raises, `run` is not called, `teardown` is, and the caller sees the error.
        """

    @abstractmethod
    def run(
        self,
        function: Callable[..., Any],
        args: list[Any],
        kwargs: dict[str, Any],
        task_metadata: dict[str, Any],
    ) -> Any:
        """Run `function(*args, **kwargs)` on your backend once, in a thread; return its result.

        Each call is one attempt, with copies of the original arguments. Do not retry and do not
        watch the clock, unless the class says so in `enforces`. Return, or raise what you like,
        once the work was stopped by `cancel`.

        Write what the task printed to `self.task_stdout` and `self.task_stderr`. Raise
        `TaskRuntimeError` for the status FAILED and `TaskCancelledError` for CANCELLED; any other
        error reaches the caller as it is.
        """

    def teardown(self, task_metadata: dict[str, Any]) -> None:
        """Release what `setup` acquired, in a thread; called once, whatever happened before.

        Cope with any beginning: `setup` may have failed half-way or never begun. An error raised
        here never replaces the outcome of `run`: it is logged, and attached to that outcome.
        """

    def cancel(self, task_metadata: dict[str, Any], job_handle: Any) -> bool:
        """Stop a running task; return True only if it will really not run on.

        Called in a thread, while `run` is in another. `job_handle` is what `run` gave to
        `set_job_handle`, after a round trip through JSON, and None before. By default nothing can
        be stopped.
        """
        return False

    def write_streams_to_file(
        self,
        stream_strings: Iterable[str],
        filepaths: Iterable[str],
        dispatch_id: str,
        results_dir: str,
    ) -> None:
        """Append each stream to the file of the same position; blocks until that is done.

        The paths, the errors and the encoding: see `pytest_asyncexec.write_streams_to_file`.
        """
        _run(write_streams_to_file(stream_strings, filepaths, dispatch_id, results_dir))

    def get_cancel_requested(self) -> bool:
        """Return whether the current task should stop: so wants the host, or its time is over.

        To be called in the thread of `setup`, `run` or `teardown`. Raise `TaskCancelledError`
        where it does.
        """
        task = get_running_task()
        if task is None:
            return False
        if task.stopped or task.attempt_is_over or task.cancel_requested is None:
            return task.stopped or task.attempt_is_over
        return _on_the_loop_of(task, task.is_cancel_requested())

    def set_job_handle(self, handle: Any) -> None:
        """Tell the host how to find the current task's job, for a later `cancel`.

        `handle` must consist of JSON values; TypeError otherwise. To be called in the thread of
        `run`, as soon as the backend knows the job.
        """
        task = get_running_task() or RunningTask("", -1, "")
        telling = task.keep_job_handle(handle)
        if task.on_job_handle is None:
            _at_once(telling)
        else:
            _on_the_loop_of(task, telling)


def _on_the_loop_of(task: RunningTask, question: Coroutine[Any, Any, T]) -> T:
    """Await something on the event loop of a task, and wait for it here, in a thread."""
    if asyncio._get_running_loop() is task.loop or task.loop is None:
        question.close()
        raise RuntimeError(
            "called on the thread of the event loop, which would wait for itself: a BaseExecutor "
            "asks its host in the thread of its setup, run or teardown"
        )
    try:
        asked = asyncio.run_coroutine_threadsafe(question, task.loop)
    except RuntimeError:  # the event loop is closed
        question.close()
        raise
    return asked.result()


def _at_once(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that waits for nothing."""
    with suppress(StopIteration):
        work.send(None)


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, in a loop of its own, and in a thread where another one runs."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:
            errors.append(error)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        run()
    else:
        thread = Thread(target=run, name="asyncexec write_streams_to_file", daemon=True)
        thread.start()
        thread.join()
    if errors:
        raise errors.pop()


OWN_WRITERS.add(BaseExecutor.write_streams_to_file)
OWN_QUESTIONS.add(BaseExecutor.get_cancel_requested)
