"""Gives this process a standard input that has no end, as a terminal's has none."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def endless_input() -> Iterator[None]:
    """Within this block descriptor 0 leads to a pipe that nobody writes to, and that ends with it.

    pytest has it lead to nothing, which would be inherited in place of the terminal of a host.
    """
    with contextlib.ExitStack() as undo:
        with contextlib.suppress(OSError):  # a process may have none
            kept = os.dup(0)
            undo.callback(os.close, kept)
            undo.callback(os.dup2, kept, 0, inheritable=True)
            ours, its = os.pipe()
            undo.callback(os.close, its)
            os.dup2(ours, 0, inheritable=True)
            os.close(ours)
        yield
