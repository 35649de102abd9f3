"""What a task leaves for others, and what it finds there of others.

The functions here are sent to tasks, as those of `probes`.
"""

from __future__ import annotations

from typing import Any, Final

from .changes import found_changes, make_change, put_back
from .probes import report_home

_SEED: Final = 20_240_229


def leave(*changes: str) -> dict[str, Any]:
    """Look around, and then change these things for good; returns what was found and what is left.

    What a system does not have, or a thread may not change, is left out.
    """
    found = found_changes()
    left = []
    for change in changes:
        if change not in found and make_change(change):
            left.append(change)
    return {"found": found, "left": left}


def look(soil: bool = False, *line: Any) -> dict[str, Any]:
    """What tasks before this one have left in its process, and some random numbers.

    Args:
        soil: leave a thread, for which some executors end a worker.
        line: the address of a beacon, and a label, to be held by before it looks.
    """
    import gc
    import threading

    if line:
        report_home(*line)
    found = found_changes()
    if found:
        put_back()
    # What waits to be freed speaks now, if at all.
    gc.collect()
    if soil:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    return {"found": found, "drawn": _drawn()}


def run_once(line: tuple[Any, ...] = (), *args: Any, **kwargs: Any) -> dict[str, Any]:
    """What no other run of it returns, however equal; and some random numbers.

    Args:
        line: the address of a beacon, and a label, to be held by; or nothing.
        args: for them to be equal.
        kwargs: likewise.
    """
    import os

    if line:
        report_home(*line)
    return {"run": os.urandom(16).hex(), "drawn": _drawn()}


def draw_again() -> dict[str, Any]:
    """Draw random numbers, and leave the generators as they were before that."""
    import random
    import sys

    numpy = sys.modules.get("numpy")
    random.seed(_SEED)
    if numpy is not None:
        numpy.random.seed(_SEED)
    drawn = _drawn()
    random.seed(_SEED)
    if numpy is not None:
        numpy.random.seed(_SEED)
    return {"drawn": drawn, "seeded": True}


def speak_late(word: str) -> None:
    """Leave words for the end of the interpreter, and for when what was left is freed."""
    import atexit
    import sys
    import weakref

    class Freed:
        def __del__(self) -> None:
            print(f"{word} when it was freed", flush=True)

    def say(how: str) -> None:
        print(f"{word} {how}", flush=True)
        print(f"{word} {how}", file=sys.stderr, flush=True)

    cycle: list[Any] = [Freed()]
    cycle.append(cycle)
    atexit.register(say, "at exit")
    # Of what lives as long as the interpreter, and of what does not.
    weakref.finalize(sys.modules["sys"], say, "as a finalizer")
    weakref.finalize(cycle[0], say, "as a finalizer")


def _drawn() -> list[str]:
    """Some numbers of every generator that a task finds: another module it had to import first."""
    import random
    import sys

    numbers = [str(random.getrandbits(64)) for _ in range(2)]
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numbers.append(numpy.random.bytes(8).hex())
    return numbers
