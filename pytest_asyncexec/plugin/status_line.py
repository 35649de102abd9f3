"""A text behind the cursor of pytest's terminal, which is gone before pytest writes on."""

from __future__ import annotations

import contextlib
import os
import unicodedata
from collections.abc import Sequence
from time import monotonic

import pytest

#: Seconds between two lines in a log that is no terminal.
EVERY = 60.0
#: Columns of such a line.
_WIDE = 100

_SAVE, _RESTORE = "\x1b7", "\x1b8"
#: To the end of the screen: where a terminal was made narrower, a text can go on below its line.
_CLEAR = "\x1b[J"


def status(running: Sequence[tuple[str, float]], left: int, width: int) -> str:
    """What runs, for how many seconds, and how many are left, in at most `width` columns.

    What has run longest is named first. Where there is no room the names go, the time stays.
    """
    longest_first = sorted(running, key=lambda name_and_time: -name_and_time[1])
    named = [f"{name} {_lasting(seconds)}" for name, seconds in longest_first]
    end = f"{left} left"
    texts = [", ".join([*named, end])]
    for number in range(len(named) - 1, 0, -1):
        texts.append(", ".join([*named[:number], f"{len(named) - number} more", end]))
    texts += [f"{_lasting(seconds)}, {end}" for _, seconds in longest_first[:1]]
    return next((f"  {text}" for text in texts if named and _cells(text) + 2 <= width), "")


def _cells(text: str) -> int:
    """How many columns a text takes: letters of the East take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _lasting(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def room(written: int, columns: int) -> int:
    """How many columns are free on a terminal's line behind a text of the width `written`.

    A line that is full to its last column has none: nobody knows on which line the cursor is then.
    Nor is the last column ever used, so that the terminal has no reason to begin another line.
    """
    if written < 0 or columns <= 0 or (written and written % columns == 0):
        return 0
    return columns - written % columns - 1


class LogLine:
    """A line of its own, once in a while, in a log that keeps all that is written."""

    def __init__(self, log: int) -> None:
        """Use `log`, a descriptor, as long as pytest does."""
        self._log = os.dup(log)
        self._last = monotonic()

    def show(self, running: Sequence[tuple[str, float]], left: int) -> None:
        """Write the status, if that was not done of late."""
        if monotonic() - self._last < EVERY:
            return
        self._last = monotonic()
        with contextlib.suppress(OSError):
            os.write(self._log, f"\n{status(running, left, _WIDE)}\n".encode(errors="replace"))

    def erase(self) -> None:
        """Leave what was written: it is a log."""

    def close(self) -> None:
        """Leave the log to pytest for good."""
        if self._log >= 0:
            os.close(self._log)
            self._log = -1


class StatusLine:
    """The free end of the line on which pytest writes."""

    def __init__(self, config: pytest.Config, terminal: int) -> None:
        """Use `terminal`, a descriptor, as long as pytest does."""
        self._writer = config.get_terminal_writer()
        # While a test runs, pytest's own descriptor leads to what it captures.
        self._terminal = os.dup(terminal)
        self._shown = False

    def show(self, running: Sequence[tuple[str, float]], left: int) -> None:
        """Put the status in the place of what was shown, and leave the cursor where it is."""
        columns = self._writer.fullwidth
        with contextlib.suppress(OSError):
            columns = os.get_terminal_size(self._terminal).columns or columns
        text = status(running, left, room(self._writer.width_of_current_line, columns))
        if text:
            self._write(f"{_SAVE}{text}{_CLEAR}{_RESTORE}")
            self._shown = True
        else:
            self.erase()

    def erase(self) -> None:
        """Leave nothing but what pytest has written."""
        if self._shown:
            self._write(_CLEAR)
            self._shown = False

    def close(self) -> None:
        """Leave the terminal to pytest for good."""
        if self._terminal >= 0:
            self.erase()
            os.close(self._terminal)
            self._terminal = -1

    def _write(self, text: str) -> None:
        # Not through a buffered file: a child that an executor forks off would inherit the buffer
        # and its lock. A terminal that has gone away is no reason to stop judging.
        with contextlib.suppress(OSError):
            os.write(self._terminal, text.encode(errors="replace"))
