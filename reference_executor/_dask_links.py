"""The links of this process, one for each scheduler."""

import asyncio
import os
from typing import TYPE_CHECKING, Any

from ..base.outcome import TaskRuntimeError
from . import _dask_thread
from ._dask_embedded import close_embedded, embedded

if TYPE_CHECKING:
    from ._dask_link import Link

__all__ = ["close_link", "has_link", "link_to"]

#: Or else the last thousand messages are kept for who debugs Dask, and the tasks in them.
REMEMBER_NOTHING = {"distributed.admin.low-level-log-length": 0}

_links: "dict[str, Link]" = {}
_connecting: "dict[str, asyncio.Task[Link | str]]" = {}


async def link_to(address: str) -> "Link":
    """Return the link to a scheduler, "" for the embedded one. Any event loop may call this.

    TaskRuntimeError if nobody answers there.
    """
    link = _links.get(address)
    if link is not None and link.is_open:
        return link
    answer = await asyncio.wrap_future(_dask_thread.in_dask(_connected(address)))
    if isinstance(answer, str):
        raise TaskRuntimeError(answer)
    return answer


def has_link(address: str) -> bool:
    """Say whether this process is connected to a scheduler."""
    return address in _links


async def close_link(address: str) -> None:
    """Close the link to a scheduler, unless tasks are on their way there."""
    if _links:
        await asyncio.wrap_future(_dask_thread.in_dask(_closed(address)))


async def _connected(address: str) -> "Link | str":
    """Connect, or wait for who does so already; return the link, or why there is none."""
    task = _connecting.get(address)
    if task is None:
        task = _connecting[address] = asyncio.ensure_future(_connect(address))
        task.add_done_callback(lambda _: _connecting.pop(address))
    return await asyncio.shield(task)


async def _connect(address: str) -> "Link | str":
    known = _links.get(address)
    if known is not None:
        if known.is_open:
            return known
        del _links[address]
        await known.close()
    import dask
    from distributed import Client

    from ._dask_link import Link
    from ._dask_once import Once
    from ._dask_words import refusal

    _dask_thread.on_exit(_close_all)
    client: Any = None
    try:
        with dask.config.set(REMEMBER_NOTHING):
            where = address or await embedded()
            client = Client(where, asynchronous=True, set_as_default=False, name="pytest-asyncexec")
            await client
        if address:  # and not this process, which does not outlive what it runs
            await client.register_plugin(Once())
    except Exception as error:
        if client is not None:
            await client.close()
        return refusal(address, f"{type(error).__qualname__}: {error}")
    # Once its scheduler is gone, it has no time to look for it: the next task has a new client.
    client._timeout = 0
    link = _links[address] = Link(address or "inproc", client)
    return link


async def _closed(address: str) -> None:
    link = _links.get(address)
    if link is not None and not link.jobs:
        del _links[address]
        await link.close()


async def _close_all() -> None:
    for link in list(_links.values()):
        await link.close()
    _links.clear()
    await close_embedded()


def _forget_all() -> None:
    """Leave the links to the process that this one was forked from."""
    _links.clear()
    _connecting.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
