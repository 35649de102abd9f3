"""pytest in a pseudo terminal, and what somebody sees who sits in front of it."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import time
from collections.abc import Iterator

import pytest

COLUMNS = 80

#: Far beyond what any of this takes; only so that a test which cannot succeed comes to an end.
_GUARD = 60

_PIECE = re.compile(r"\x1b([78])|\x1b\[[?\d;]*([A-Za-z])|([\r\n])|([^\x1b\r\n])")


class Screen:
    """As much of a terminal as pytest makes use of; what scrolls away stays."""

    def __init__(self) -> None:
        self.rows = [""]
        self.row = self.column = 0
        self._saved = (0, 0)
        self._rest = ""

    @property
    def line(self) -> str:
        """The line that the cursor is on."""
        return self.rows[self.row].rstrip()

    @property
    def text(self) -> str:
        return "\n".join(row.rstrip() for row in self.rows).rstrip()

    def feed(self, written: str) -> None:
        """Do what a terminal does with this."""
        rest = self._rest + written
        while piece := _PIECE.match(rest):
            rest = rest[piece.end() :]
            self._obey(*piece.groups())
        # What is left may be the beginning of a sequence, but of none that is this long.
        assert len(rest) < 10, f"this terminal does not know {rest[:10]!r}"
        self._rest = rest

    def _obey(self, saving: str, command: str, control: str, character: str) -> None:
        if saving == "7":
            self._saved = (self.row, self.column)
        elif saving == "8":
            self.row, self.column = self._saved
        elif command in ("J", "K"):
            self.rows[self.row] = self.rows[self.row][: self.column]
            if command == "J":
                del self.rows[self.row + 1 :]
        elif control == "\r":
            self.column = 0
        elif control == "\n":
            self._next_row()
        elif character:
            self._put(character)
        else:
            # Colours, and how the keyboard is to behave.
            assert command in ("m", "h", "l"), f"this terminal does not know {command!r}"

    def _put(self, character: str) -> None:
        if self.column == COLUMNS:
            self.column = 0
            self._next_row()
        row = self.rows[self.row].ljust(self.column)
        self.rows[self.row] = row[: self.column] + character + row[self.column + 1 :]
        self.column += 1

    def _next_row(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")


class Seat:
    """In front of a run of pytest with the small suite."""

    def __init__(self, pytester: pytest.Pytester, *arguments: str, plugins: str) -> None:
        command = [sys.executable, "-m", "pytest", f"--basetemp={pytester.path / 'runs'}"]
        command += ["-p", "small_suite", "--disable-plugin-autoload"]
        for name in ("pytest_asyncexec.plugin", *plugins.split()):
            command += ["-p", name]
        self._ours, theirs = os.openpty()
        try:
            self.process = pytester.popen(
                [*command, *arguments],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                # Who starts the tests in the background may have them ignore it.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        finally:
            os.close(theirs)
        #: All that was written to the terminal.
        self.raw = ""
        self._end = time.monotonic() + _GUARD
        self.screen = Screen()

    def until(self, pattern: str) -> re.Match[str]:
        """Watch until the line that the cursor is on looks like this."""
        while self.watch():
            found = re.fullmatch(pattern, self.screen.line)
            if found:
                return found
        raise AssertionError(f"never seen: {pattern!r}\n{self.screen.text}")

    def to_the_end(self) -> int:
        """Watch until pytest ends; its exit status."""
        while self.watch():
            pass
        return int(self.process.wait(_GUARD))

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def leave(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def watch(self) -> bool:
        """See what is written next; whether anything is."""
        left = self._end - time.monotonic()
        ready = left > 0 and select.select([self._ours], [], [], left)[0]
        assert ready, f"waited in vain\n{self.screen.text}"
        written = b""
        # Linux reports an error where nobody has the other end any more.
        with contextlib.suppress(OSError):
            written = os.read(self._ours, 4096)
        text = written.decode("latin-1")
        self.raw += text
        self.screen.feed(text)
        return bool(written)


@contextlib.contextmanager
def seat(pytester: pytest.Pytester, *arguments: str, plugins: str = "") -> Iterator[Seat]:
    """Run pytest with the small suite in a terminal."""
    taken = Seat(pytester, *arguments, plugins=plugins)
    try:
        yield taken
    finally:
        taken.leave()
