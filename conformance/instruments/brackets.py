"""The history of one dispatch, judged: it has to match `(setup run+ teardown)+`.

Pure functions; each returns the first thing that is wrong, in words, or None. What the executor
does not have is not missed: `has` are the methods that exist.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from .history import Event, History, Method


def misplaced_attempt(history: History, has: Collection[Method]) -> str | None:
    """An attempt that did not happen after `setup` and before `teardown` of its bracket."""
    ready = "setup" not in has
    torn_down = False
    running: set[int] = set()
    unfollowed = False
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
            unfollowed = True
        elif event.method == "run":
            running.discard(event.call)
        elif event.step == "begins":
            if running:
                return "teardown began while run was still going on"
            ready = "setup" not in has
            torn_down = True
            unfollowed = False
    if unfollowed and "teardown" in has:
        return "no teardown came after the last run"
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


def miscounted(history: History, has: Collection[Method]) -> str | None:
    """A bracket in which `setup` or `teardown` was not awaited exactly once."""
    ended = {event.call for event in history.events if event.step != "begins"}
    found = brackets(history)
    for number, bracket in enumerate(found, 1):
        where = f"in bracket {number} of {len(found)}" if len(found) > 1 else "in the bracket"
        for method in ("setup", "teardown"):
            if method not in has:
                continue
            if bracket.times(method) != 1:
                return f"{where}, {method} was called {bracket.times(method)} times"
            if bracket.events[method][0].call not in ended:
                return (
                    f"{where}, {method} was begun and not awaited: it was still going on when "
                    "execute ended"
                )
    return None
