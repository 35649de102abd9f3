"""Wrong by CTX."""

from __future__ import annotations

import asyncio
import contextlib

from pytest_asyncexec.reference_executor import ThreadExecutor

from pytest_asyncexec import DispatchInfo
from pytest_asyncexec.base.context import _active

from . import breaks


@breaks("CTX-01", "the context manager yielded None")
class ClaimsAsCovalentDoes(ThreadExecutor):
    """Ends its generator in a bare `yield`, as the claim that it was copied from."""

    @contextlib.contextmanager
    def get_dispatch_context(self, dispatch_info):
        with super().get_dispatch_context(dispatch_info):
            yield


@breaks("CTX-01", "inside the context of DispatchInfo(dispatch_id='dispatch'), the active")
class KeepsTheDispatchToItself(ThreadExecutor):
    """Remembers the dispatch where nobody else looks for it."""

    @contextlib.contextmanager
    def get_dispatch_context(self, dispatch_info):
        self._dispatch = dispatch_info
        try:
            yield dispatch_info
        finally:
            self._dispatch = None


@breaks("CTX-01", "raised TypeError: can only concatenate")
class TakesTheIdAlone(ThreadExecutor):
    """Expects an id where hosts hand over a DispatchInfo."""

    def get_dispatch_context(self, dispatch_id):
        return super().get_dispatch_context(DispatchInfo("wf-" + dispatch_id))


@breaks("CTX-02", "left by ValueError: on purpose, the active dispatch is DispatchInfo")
class RestoresAfterSuccessOnly(ThreadExecutor):
    """What follows the `yield` never runs when an exception leaves the block."""

    @contextlib.contextmanager
    def get_dispatch_context(self, dispatch_info):
        before = _active.get()
        _active.set(dispatch_info)
        yield dispatch_info
        _active.set(before)


@breaks("CTX-02", "left by CancelledError, the active dispatch is")
class RestoresAfterErrorsOnly(ThreadExecutor):
    """Forgets that a cancellation is no Exception."""

    @contextlib.contextmanager
    def get_dispatch_context(self, dispatch_info):
        before = _active.get()
        _active.set(dispatch_info)
        try:
            yield dispatch_info
        except Exception:
            _active.set(before)
            raise
        else:
            _active.set(before)


@breaks("CTX-03", "left the innermost of outer > inner, the active dispatch is None")
class ForgetsTheOuterDispatch(ThreadExecutor):
    """Knows only one dispatch at a time."""

    @contextlib.contextmanager
    def get_dispatch_context(self, dispatch_info):
        _active.set(dispatch_info)
        try:
            yield dispatch_info
        finally:
            _active.set(None)


@breaks("CTX-03", "left the innermost of outer, the active dispatch is DispatchInfo")
class RemembersOneOnItself(ThreadExecutor):
    """Keeps what was active before on the instance, where there is room for one."""

    @contextlib.contextmanager
    def get_dispatch_context(self, dispatch_info):
        self._before = _active.get()
        _active.set(dispatch_info)
        try:
            yield dispatch_info
        finally:
            _active.set(self._before)


@breaks("CTX-04", "in asyncio task a, after it left the inner of its contexts, the active")
class KeepsOneForAll(ThreadExecutor):
    """Knows which dispatch is the active one: there is one in all of the process."""

    current = None

    @contextlib.contextmanager
    def get_dispatch_context(self, dispatch_info):
        before = KeepsOneForAll.current
        KeepsOneForAll.current = dispatch_info
        _active.set(dispatch_info)
        try:
            yield dispatch_info
        finally:
            KeepsOneForAll.current = before
            _active.set(before)


@breaks("CTX-04", "the active dispatch is DispatchInfo(dispatch_id='outer of b') instead of")
class KeepsAStack(ThreadExecutor):
    """Remembers what was active before on a stack, and whoever leaves takes the top of it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._stack = []

    @contextlib.contextmanager
    def get_dispatch_context(self, dispatch_info):
        self._stack.append(_active.get())
        _active.set(dispatch_info)
        try:
            yield dispatch_info
        finally:
            _active.set(self._stack.pop())


@breaks("CTX-04", "raised RuntimeError: no running event loop")
class KeepsOnePerAsyncioTask(ThreadExecutor):
    """Keeps asyncio tasks apart by name, and never thought of threads."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._stacks = {}

    @contextlib.contextmanager
    def get_dispatch_context(self, dispatch_info):
        stack = self._stacks.setdefault(asyncio.current_task(), [])
        stack.append(_active.get())
        _active.set(dispatch_info)
        try:
            yield dispatch_info
        finally:
            _active.set(stack.pop())
