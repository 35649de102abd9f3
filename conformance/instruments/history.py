"""What was awaited under an executor, with which metadata and in which order."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import inspect
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal
from unittest import mock

from ...contract.finding import Moment, numbered
from ...contract.wording import short_error

Method = Literal["setup", "run", "teardown"]
Step = Literal["begins", "returns", "raises", "is cancelled"]

METHODS: tuple[Method, ...] = ("setup", "run", "teardown")

#: The task that is under way, as whoever runs several of them at once has named it.
under_way: contextvars.ContextVar[str] = contextvars.ContextVar("under_way", default="")


@dataclass(frozen=True, slots=True)
class Event:
    """One step of one call of `setup`, `run` or `teardown`."""

    call: int
    method: Method
    step: Step
    metadata: Any
    error: str = ""
    thread: int = 0
    #: The task that was under way, as `under_way` has it; "" where nobody named one, or where the
    #: executor called the method in a context of its own.
    task: str = ""

    @property
    def dispatch_id(self) -> Any:
        """The dispatch the call belongs to, or None where its metadata does not say."""
        return self.metadata.get("dispatch_id") if isinstance(self.metadata, dict) else None

    def told(self) -> Moment:
        """The event in words, for people."""
        return Moment(self.call, self.method, self.step, self._of_whom(), self.error)

    def __str__(self) -> str:
        return str(self.told())

    def _of_whom(self) -> str:
        if not isinstance(self.metadata, dict):
            return f"task_metadata is {self.metadata!r}"
        return f"{self.metadata.get('dispatch_id')}, node {self.metadata.get('node_id')}"


@dataclass(slots=True)
class History:
    """The events of one check, in the order in which they happened."""

    events: list[Event] = field(default_factory=list)

    def of(self, dispatch_id: str) -> History:
        """The part of the history that belongs to one dispatch."""
        return History([event for event in self.events if event.dispatch_id == dispatch_id])

    def of_task(self, task: str, dispatch_id: str, node_id: int | None = None) -> History:
        """The part of the history that belongs to one task, whatever metadata it was given.

        It is known by its metadata. Where some method was never called with it, but was in the
        task's own context, the metadata was wrong, and the context counts. It alone does not: an
        executor may do the work of all tasks in the context of one.

        Args:
            task: as it was named in `under_way`.
            dispatch_id: of the task.
            node_id: of the task, where others have the same dispatch.
        """
        named = [e for e in self.events if e.dispatch_id == dispatch_id]
        if node_id is not None:
            named = [e for e in named if e.metadata.get("node_id") == node_id]
        in_context = [e for e in self.events if e.task == task]
        both = [e for e in named if e.task == task]
        if _methods(in_context) - _methods(named):
            return History(in_context)
        # What another one did under this task's ids is that one's mistake.
        return History(both if _methods(both) == _methods(named) else named)

    def count(self, method: Method, step: Step = "begins") -> int:
        """How often `method` made this step."""
        return sum(event.method == method and event.step == step for event in self.events)

    def beginnings(self) -> list[Method]:
        """The methods in the order in which they were begun."""
        return [event.method for event in self.events if event.step == "begins"]

    def metadata(self, method: Method) -> list[Any]:
        """What each call of `method` was given as `task_metadata`, as it was at its beginning."""
        return [e.metadata for e in self.events if e.method == method and e.step == "begins"]

    def told(self) -> tuple[Moment, ...]:
        """The events in words, for people."""
        return tuple(event.told() for event in self.events)

    def __str__(self) -> str:
        return numbered(self.told())


def _methods(events: list[Event]) -> set[Method]:
    return {event.method for event in events}


Replacement = Callable[..., Any]


def afterwards(action: Callable[[], object]) -> Replacement:
    """A replacement that calls the method itself, to its end or error, and then `action`.

    It serves coroutine methods and synchronous ones. `action` may raise and may block.
    """

    def replacement(original: Callable[..., Any], _executor: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            value = original(*args, **kwargs)
        except Exception:
            action()
            raise
        if not inspect.isawaitable(value):
            action()
            return value

        async def awaited() -> Any:
            try:
                result = await value
            except Exception:
                await asyncio.to_thread(action)
                raise
            await asyncio.to_thread(action)
            return result

        return awaited()

    return replacement


def lingering(seconds: float) -> Replacement:
    """A replacement that calls the method itself and takes a little longer than it.

    So whoever does not wait for it is seen. Whoever does is only slower.
    """

    def replacement(original: Callable[..., Any], _executor: Any, *args: Any, **kwargs: Any) -> Any:
        value = original(*args, **kwargs)
        if not inspect.isawaitable(value):
            time.sleep(seconds)
            return value

        async def awaited() -> Any:
            try:
                return await value
            finally:
                await asyncio.sleep(seconds)

        return awaited()

    return replacement


def then_raise(error: Exception) -> Replacement:
    """A replacement that calls the method itself, and then raises `error`."""

    def action() -> None:
        raise error

    return afterwards(action)


class _Nothing:
    """What a method returns that does nothing, be it awaited or not."""

    def __await__(self) -> Iterator[None]:
        return iter(())


def does_nothing(_original: Any, _executor: Any, *_args: Any, **_kwargs: Any) -> Any:
    """In place of a method: return None to whoever awaits it, and nothing to others."""
    return _Nothing()


def twice(original: Callable[..., Any], _executor: Any, *args: Any, **kwargs: Any) -> Any:
    """A replacement that calls the method itself, and again as soon as it has ended."""
    value = original(*args, **kwargs)
    if not inspect.isawaitable(value):
        return original(*args, **kwargs)

    async def awaited() -> Any:
        await value
        return await original(*args, **kwargs)

    return awaited()


@contextlib.contextmanager
def recorded(cls: type, **replacements: Replacement) -> Iterator[History]:
    """Record what happens to the instances of `cls`, and change what its methods do.

    Each keyword (`setup`, `run`, `teardown`) is a function that is called as
    `replacement(original, executor, *args, **kwargs)` in the method's place; `original` is the
    method itself, bound. It may be a coroutine function where the executor's method is one.

    The methods are patched on the class for the length of the block: a subclass would fire
    registries and break `type(self) is X`, an attribute of the instance would land in `to_dict`.
    """
    history = History()
    numbers = itertools.count(1)
    with contextlib.ExitStack() as stack:
        for method in METHODS:
            if getattr(cls, method, None) is None:
                continue
            wrapper = _wrapper(cls, method, history, numbers, replacements.get(method))
            stack.enter_context(mock.patch.object(cls, method, wrapper))
        yield history


def _wrapper(
    cls: type,
    method: Method,
    history: History,
    numbers: Iterator[int],
    replacement: Replacement | None,
) -> Callable[..., Any]:
    # A decorator may have made it something else than a function: it is bound as it wants to be.
    static = inspect.getattr_static(cls, method)
    bind = getattr(type(static), "__get__", None)

    def call(executor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        original = static if bind is None else bind(static, executor, type(executor))
        if replacement is None:
            return original(*args, **kwargs)
        return replacement(original, executor, *args, **kwargs)

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[..., None]:
        number = next(numbers)
        metadata = _metadata(method, args, kwargs)
        task = under_way.get()

        def add(step: Step, error: str = "") -> None:
            event = Event(number, method, step, metadata, error, threading.get_ident(), task)
            history.events.append(event)

        add("begins")
        return add

    async def ended(value: Any, add: Callable[..., None]) -> Any:
        try:
            if inspect.isawaitable(value):
                value = await value
        except asyncio.CancelledError:
            add("is cancelled")
            raise
        except BaseException as error:
            add("raises", short_error(error))
            raise
        add("returns")
        return value

    def begun(executor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        add = begin(args, kwargs)
        try:
            return call(executor, args, kwargs), add
        except asyncio.CancelledError:
            add("is cancelled")
            raise
        except BaseException as error:
            add("raises", short_error(error))
            raise

    if not inspect.iscoroutinefunction(getattr(cls, method)):

        def synchronous(self: Any, *args: Any, **kwargs: Any) -> Any:
            value, add = begun(self, args, kwargs)
            if inspect.isawaitable(value):
                # A plain function around a coroutine function: it ends when that does.
                return ended(value, add)
            add("returns")
            return value

        return synchronous

    async def asynchronous(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await ended(*begun(self, args, kwargs))

    return asynchronous


def given_metadata(method: Method, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The very `task_metadata` among the arguments of a call of `method`."""
    position = 3 if method == "run" else 0
    return kwargs.get("task_metadata", args[position] if len(args) > position else None)


def _metadata(method: Method, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = given_metadata(method, args, kwargs)
    try:
        return copy.deepcopy(given)
    except Exception:
        # An executor may add keys whose values cannot be copied.
        return dict(given) if isinstance(given, dict) else given
