"""Runs a call on a thread of its own, and gives up on it when it shows no sign of life."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from .loop import Hang, blocking_line, end_thread

#: Seconds between two looks at whether the call is over; it decides nothing.
_LOOK = 0.5


class Abandoned(BaseException):
    """Ends a call that nobody waits for any more."""


class Watch:
    """Signs of life of the calls that are made for one subject."""

    def __init__(self) -> None:
        self._sign = time.monotonic()
        self._elsewhere = 0
        self._given_up: set[threading.Thread] = set()

    def sign(self) -> None:
        """Say that there is progress.

        Raises:
            Abandoned: the calling thread was given up; whatever it does now is of no use.
        """
        if threading.current_thread() in self._given_up:
            raise Abandoned
        self._sign = time.monotonic()

    @contextlib.contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Within this block somebody else watches over the call."""
        self.sign()
        self._elsewhere += 1
        try:
            yield
        finally:
            self._elsewhere -= 1
            self._sign = time.monotonic()

    def call(self, function: Callable[[], None], patience: float) -> BaseException | None:
        """Call `function` on a new thread, wait for its end and return the error it ended in.

        On the caller's own thread a method that never returns would hold the whole run, and a
        KeyboardInterrupt raised by an executor could not be told from one of the user's.

        Raises:
            Hang: no sign of life for `patience` seconds; the message names the line.
        """
        errors: list[BaseException] = []

        def caught() -> None:
            try:
                function()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=caught, name="asyncexec-check", daemon=True)
        self.sign()
        thread.start()
        while thread.is_alive():
            thread.join(_LOOK)
            silence = time.monotonic() - self._sign
            if thread.is_alive() and not self._elsewhere and silence > patience:
                self._given_up.add(thread)
                where = blocking_line(thread) or "no line of Python"
                end_thread(thread)
                raise Hang(f"nothing was heard for {patience:g} s; the call is held at {where}")
        return errors.pop() if errors else None
