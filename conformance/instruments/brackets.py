"""The history of one task, judged: it has to match `(setup run+ teardown)+`.

Pure functions; each returns the first thing that is wrong, in words, or None. What the executor
does not have is not missed: `has` are the methods that exist.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from .history import Event, History, Method


def misplaced_attempt(history: History, has: Collection[Method]) -> str | None:
    """An attempt that did not happen after `setup` and before `teardown` of its bracket."""
    ready = "setup" not in has
    torn_down = False
    running: set[int] = set()
    for event in history.events:
        if event.method == "setup":
            ready = event.step == "returns"
            torn_down = False
        elif event.method == "run" and event.step == "begins":
            if not ready:
                return (
                    "run began after teardown, without a setup of its own"
                    if torn_down
                    else "run began before setup had returned"
                )
            running.add(event.call)
        elif event.method == "run":
            running.discard(event.call)
        elif event.step == "begins":
            if running:
                return "teardown began while run was still going on"
            ready = "setup" not in has
            torn_down = True
    return None


def not_torn_down(history: History, has: Collection[Method]) -> str | None:
    """A last attempt after which `teardown` was not even begun."""
    # Backwards, so that it is the last run which is found first.
    begun = history.beginnings()[::-1]
    if "teardown" in has and "run" in begun and "teardown" not in begun[: begun.index("run")]:
        return "no teardown came after the last run"
    return None


def cut_short(history: History, has: Collection[Method]) -> str | None:
    """A `teardown` that was begun and did not come to its end, be it an error of its own."""
    if "teardown" not in has:
        return None
    torn = [event for event in history.events if event.method == "teardown"]
    if any(event.step == "is cancelled" for event in torn):
        return "teardown was cancelled before its end"
    ended = {event.call for event in torn if event.step != "begins"}
    if any(event.call not in ended for event in torn):
        return "teardown was begun and not awaited: it was still going on when execute ended"
    return None


@dataclass(slots=True)
class Bracket:
    """What lies between the beginning of one setup and the next."""

    events: dict[Method, list[Event]] = field(
        default_factory=lambda: {"setup": [], "run": [], "teardown": []}
    )

    def times(self, method: Method) -> int:
        """How often `method` was begun."""
        return len(self.events[method])


def brackets(history: History) -> list[Bracket]:
    """The beginnings of a history, cut where a setup or a run follows on something later."""
    found: list[Bracket] = []
    before: Method | None = None
    for event in history.events:
        if event.step != "begins":
            continue
        opens = event.method == "setup" and before != "setup"
        follows_an_end = event.method == "run" and before == "teardown"
        if not found or opens or follows_an_end:
            found.append(Bracket())
        found[-1].events[event.method].append(event)
        before = event.method
    return found


def repeated(history: History, has: Collection[Method]) -> str | None:
    """A bracket in which `setup` or `teardown` was called more than once."""
    return _counted(history, has, lambda times: times > 1)


def left_out(history: History, has: Collection[Method]) -> str | None:
    """A bracket in which `setup` or `teardown` was not called, or `setup` not awaited."""
    wrong = _counted(history, has, lambda times: times == 0)
    ended = {event.call for event in history.events if event.step != "begins"}
    begun = [event.call for event in history.events if event.method == "setup"]
    if wrong is None and "setup" in has and not ended.issuperset(begun):
        return "setup was begun and not awaited: it was still going on when execute ended"
    return wrong


def _counted(history: History, has: Collection[Method], wrong: Callable[[int], bool]) -> str | None:
    found = brackets(history)
    for number, bracket in enumerate(found, 1):
        where = f"in bracket {number} of {len(found)}" if len(found) > 1 else "in the bracket"
        methods: tuple[Method, ...] = ("setup", "teardown")
        for method in methods:
            if method in has and wrong(bracket.times(method)):
                return f"{where}, {method} was called {bracket.times(method)} times"
    return None
