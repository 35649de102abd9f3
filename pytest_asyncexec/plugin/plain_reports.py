"""Reports of checks for which pytest need not read any source.

To show a traceback pytest parses the files it leads through. On Python 3.11 that is refused, with a
SystemError, where the garbage collector steps in and something that it ends has its own traceback
logged, for that is parsed as well; a task whose error nobody fetched does so. Executors leave such
garbage, and an error in the making of a report ends the run. A finding is a message that was there
before; and no traceback is worth the run.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import traceback
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import Any

import pytest

from ..conformance.subject.exceptions import CouldNotRun, NotApplicable, RuleViolation
from ..contract.wording import printable, said_by
from .collection import is_check

#: So many frames of a traceback are shown, the innermost ones, of each error in it.
_FRAMES = 60

#: So many characters at most.
_LONG = 50_000


class PlainReports:
    """Makes the reports of checks that ended in an error."""

    @pytest.hookimpl(specname="pytest_runtest_makereport")
    def pytest_asyncexec_report_check(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> pytest.TestReport | None:
        """Report in what a check ended, before pytest does."""
        # What is no Exception is of pytest's own kinds: skipped, failed, expected to fail.
        if call.excinfo is None or not isinstance(call.excinfo.value, Exception):
            return None
        return _report(item, call) if call.when == "call" and is_check(item) else None

    # The innermost wrapper, so that whoever else looks at reports gets this one.
    @pytest.hookimpl(wrapper=True, trylast=True, specname="pytest_runtest_makereport")
    def pytest_asyncexec_report_all_the_same(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Where pytest cannot report what became of a check and its fixtures, do without it."""
        try:
            return (yield)
        except Exception:
            if call.excinfo is None or not is_check(item):
                raise
            return _report(item, call)

    # Tests of the user's own, and interrupts, are shown by pytest as ever.

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let nothing come in between while a report is made."""
        with _uncollected():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_keyboard_interrupt(self) -> Generator[None, object, object]:
        """Let nothing come in between, or neither findings nor exit status would be told."""
        with _uncollected():
            return (yield)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Within this block the garbage collector ends nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _report(item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport:
    assert call.excinfo is not None
    error = call.excinfo.value
    told = said_by(error)
    if not isinstance(error, RuleViolation | NotApplicable | CouldNotRun):
        told = f"{type(error).__name__}: {told}\n\n{_lines(error, str(item.path))}"
    # What pytest finds in the place of an error it reports as it is.
    plain: Any = copy.copy(call)
    plain.excinfo = printable(told)
    return pytest.TestReport.from_item_and_call(item, plain)


def _lines(error: BaseException, path: str) -> str:
    """The traceback of an error, from the first line in the file at `path` on."""
    entry = error.__traceback__
    while entry is not None and entry.tb_frame.f_code.co_filename != path:
        entry = entry.tb_next
    entry = entry or error.__traceback__
    try:
        # Reads source, too, and on Python 3.11 parses the lines it shows.
        lines = traceback.format_exception(type(error), error, entry, limit=-_FRAMES)
    except Exception:
        lines = _without_source(entry)
    return "".join(lines)[-_LONG:]


def _without_source(entry: TracebackType | None) -> list[str]:
    lines = []
    while entry is not None:
        code = entry.tb_frame.f_code
        lines.append(f'  File "{code.co_filename}", line {entry.tb_lineno}, in {code.co_name}\n')
        entry = entry.tb_next
    return lines[-_FRAMES:]
