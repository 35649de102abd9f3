"""Hears what this process prints, which nobody is to see."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def overheard(file: Path, *, descriptors: bool = False) -> Iterator[None]:
    """Within this block what this process prints goes to a file.

    Args:
        file: a real one, since some ask a stream for its number.
        descriptors: whether also what is written to the descriptors 1 and 2, by whomever.
    """
    with contextlib.ExitStack() as undo:
        if descriptors:
            undo.enter_context(_descriptors_into(file))
        stream = undo.enter_context(
            open(file, "a", encoding="utf-8", errors="backslashreplace", newline="")
        )
        undo.enter_context(contextlib.redirect_stdout(stream))
        undo.enter_context(contextlib.redirect_stderr(stream))
        yield


@contextlib.contextmanager
def _descriptors_into(file: Path) -> Iterator[None]:
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.ExitStack() as undo, open(file, "ab") as target:
        for descriptor in (1, 2):
            kept = os.dup(descriptor)
            undo.callback(os.close, kept)
            undo.callback(os.dup2, kept, descriptor)
            os.dup2(target.fileno(), descriptor)
        yield
