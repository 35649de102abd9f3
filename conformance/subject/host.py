"""Plays the platform towards an executor: hands it a task and says what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import inspect
import io
import os
import platform
import sys
import weakref
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ...base.context import DispatchInfo, get_active_dispatch
from ...base.outcome import TaskCancelledError
from ...base.template import run_task
from ...base.waiting import in_thread
from ...contract.wording import short
from ..instruments.by_value import ByValue
from ..instruments.probes import call
from ..instruments.seen import Seen


class NativeHost:
    """Calls the executor's own `execute`: the verdict is about that.

    A synchronous `execute` is called on a thread, as hosts do.
    """

    async def execute(
        self,
        executor: Any,
        function: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        dispatch_id: str = "dispatch",
        node_id: int = 0,
        results_dir: str = ".",
    ) -> Seen:
        """Run one task through this host's door to the executor."""
        make_folder(results_dir, dispatch_id)
        given = dict(kwargs or {})
        entry, mine = _cancellations(), asyncio.current_task()
        try:
            async with self.session(executor):
                answer = await self.call(
                    executor, self.carry(function), list(args), given,
                    dispatch_id, results_dir, node_id,
                )  # fmt: skip
        except asyncio.CancelledError as error:
            if _cancellations() > entry:
                raise
            return Seen(error=error)
        except BaseException as error:
            if isinstance(error, GeneratorExit) and not _is_current(mine):
                raise  # nobody has raised it: this coroutine is thrown away
            # KeyboardInterrupt, too: the user's own reaches the main thread only.
            return Seen(error=error)
        return _seen(answer)

    def carry(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The form in which a callable is handed over."""
        return function

    @asynccontextmanager
    async def session(self, executor: Any) -> AsyncIterator[None]:
        """What must hold around one call."""
        yield

    async def call(self, executor: Any, *task: Any) -> Any:
        """One call of the executor's own template method."""
        function, args, kwargs, dispatch_id, results_dir, node_id = task
        return await _call(
            executor.execute,
            function=function,
            args=args,
            kwargs=kwargs,
            dispatch_id=dispatch_id,
            results_dir=results_dir,
            node_id=node_id,
        )


#: The event loop to which the queues of an executor belong.
_served_on: weakref.WeakKeyDictionary[Any, asyncio.AbstractEventLoop] = weakref.WeakKeyDictionary()


class CovalentHost(NativeHost):
    """Covalent's dispatcher: wraps callables as it does and answers the executor's two queues."""

    def carry(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A partial whose first argument has a `python_version`, as Covalent's has."""
        carried = function if isinstance(function, ByValue) else ByValue(function)
        return functools.partial(ByValue(call), carried)

    @asynccontextmanager
    async def session(self, executor: Any) -> AsyncIterator[None]:
        """Answer what the executor asks of the dispatcher while the task runs."""
        # Covalent does so for every task; here an instance may have several at once.
        loop = asyncio.get_running_loop()
        if not hasattr(executor, "_send_queue") or _served_on.get(executor._send_queue) is not loop:
            executor._init_runtime(loop=loop, cancel_pool=None)
            _served_on[executor._send_queue] = loop
        watcher = asyncio.ensure_future(_answer(executor._send_queue, executor._recv_queue))
        try:
            yield
        finally:
            watcher.cancel()
            await asyncio.wait({watcher})

    async def call(self, executor: Any, *task: Any) -> Any:
        """One call of the door that Covalent's dispatcher uses."""
        return await executor._execute(*task)


async def _answer(questions: Any, answers: Any) -> None:
    replies = {
        "cancel_requested": False,
        "version_info": {"python": platform.python_version(), "covalent": "0"},
        "job_status": "RUNNING",
    }
    while True:
        action, body = await questions.get()
        if action.name == "GET":
            answers.put_nowait((True, replies.get(body)))
        elif action.name == "PUT":
            answers.put_nowait((True, True if body[0] == "job_status" else None))


class TemplateHost(NativeHost):
    """This package's own template, `run_task`, around the executor's setup, run and teardown."""

    #: Whether it wants the tasks stopped that it hands over; without, nobody can ask it.
    stop_requested: Callable[[], bool] | None = None

    def __init__(self, native: NativeHost) -> None:
        self._native = native
        self.carry = native.carry  # type: ignore[method-assign]
        self.session = native.session  # type: ignore[method-assign]

    async def call(self, executor: Any, *task: Any) -> Any:
        """One call of `run_task`."""
        if isinstance(self._native, CovalentHost):
            # Covalent's template makes these two; its executors print to them.
            executor._task_stdout, executor._task_stderr = io.StringIO(), io.StringIO()
        return await run_task(executor, *task, cancel_requested=self.stop_requested)


def host_for(executor: Any) -> NativeHost:
    """The host that an executor was written for; one without `execute` needs a template."""
    base = sys.modules.get("covalent.executor.base")
    if base is not None and isinstance(executor, base._AbstractBaseExecutor):
        return CovalentHost()
    if not callable(getattr(executor, "execute", None)):
        return TemplateHost(NativeHost())
    return NativeHost()


def task_error(executor: Any, name: str) -> type[Exception]:
    """TaskRuntimeError or TaskCancelledError, as a `run` of this executor's kind raises them."""
    world = "covalent._shared_files.exceptions"
    if not isinstance(host_for(executor), CovalentHost):
        world = TaskCancelledError.__module__
    kind: type[Exception] = getattr(importlib.import_module(world), name)
    return kind


@dataclass(frozen=True, slots=True)
class DispatchWorld:
    """How a platform names a dispatch, and how it is asked for the active one."""

    info: Callable[[str], Any]
    active: Callable[[], Any]
    #: The same in a script: the imports, and the expression that asks.
    imports: str
    asks: str


def dispatch_world(executor: Any) -> DispatchWorld:
    """The world that an executor's `get_dispatch_context` belongs to: that of its base class.

    An executor with a base class of its own is taken for one of this package's; whether it is
    shows when a dispatch is made active.
    """
    if isinstance(host_for(executor), CovalentHost):
        classes = importlib.import_module("covalent._shared_files.util_classes")
        managers = importlib.import_module("covalent._shared_files.context_managers")
        return DispatchWorld(
            info=classes.DispatchInfo,
            active=managers.active_dispatch_info_manager.get_active_dispatch_info,
            imports="from covalent._shared_files.context_managers import "
            "active_dispatch_info_manager\n"
            "from covalent._shared_files.util_classes import DispatchInfo",
            asks="active_dispatch_info_manager.get_active_dispatch_info()",
        )
    return DispatchWorld(
        info=DispatchInfo,
        active=get_active_dispatch,
        imports="from pytest_asyncexec import DispatchInfo, get_active_dispatch",
        asks="get_active_dispatch()",
    )


async def call_method(method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Await a coroutine method, or call a synchronous one on a thread, as hosts do."""
    return await _call(method, *args, **kwargs)


async def _call(method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if inspect.iscoroutinefunction(method):
        return await method(*args, **kwargs)
    answer = await in_thread(method, *args, **kwargs)
    return await answer if inspect.isawaitable(answer) else answer


def _is_current(task: asyncio.Task[Any] | None) -> bool:
    try:
        return task is not None and asyncio.current_task() is task
    except RuntimeError:  # no event loop runs
        return False


def _cancellations() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


def _seen(answer: Any) -> Seen:
    if not isinstance(answer, tuple) or len(answer) != 4:
        return Seen(
            malformed=f"execute returned {short(answer)}, "
            "not a tuple (result, stdout, stderr, status)"
        )
    result, stdout, stderr, status = answer
    return Seen(
        result=result,
        stdout=stdout if isinstance(stdout, str) else "",
        stderr=stderr if isinstance(stderr, str) else "",
        no_text=next(
            (
                f"{name} is {short(text)}, of type {type(text).__name__}"
                for name, text in (("stdout", stdout), ("stderr", stderr))
                if not isinstance(text, str)
            ),
            "",
        ),
        # Covalent's statuses are objects whose str() is the name; the members of a string
        # enumeration are strings, and their str() may be another.
        status=str.__str__(status) if isinstance(status, str) else str(status),
    )


def make_folder(results_dir: str, dispatch_id: str) -> None:
    """Make the folder of a dispatch before it is dispatched, as hosts do.

    Not for an id that leads out of `results_dir`, by which an executor is tried.
    """
    folder = os.path.normpath(os.path.join(results_dir, dispatch_id))
    if os.path.dirname(folder) == os.path.normpath(results_dir):
        with contextlib.suppress(OSError, ValueError):
            os.makedirs(folder, exist_ok=True)
