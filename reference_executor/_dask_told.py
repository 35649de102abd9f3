"""What host and Dask worker tell each other: bytes, for they are what Dask handles fastest.

A message is the length of its head, a pickled head, and a body that is never copied to be read.
"""

import pickle
from typing import Any, NamedTuple

from ._channel import Answer

__all__ = [
    "ANSWERED",
    "CLOSED",
    "DIED",
    "LOST",
    "REFUSED",
    "STOPPED",
    "TIMED_OUT",
    "Told",
    "joined",
    "parted",
]

#: How an attempt can end: the worker process answered; the limit killed it, a cancellation, the
#: end of its Dask worker, something else; it had been stopped before it began; Dask failed.
ANSWERED, TIMED_OUT, STOPPED, CLOSED = "answered", "timed out", "stopped", "closed"
DIED, REFUSED, LOST = "died", "refused", "lost"

LENGTH = 8


class Told(NamedTuple):
    """How an attempt ended."""

    ending: str
    answer: Answer | None = None
    """After `ANSWERED`."""
    words: str = ""
    """What went wrong, after `DIED`, `CLOSED` and `LOST`."""
    stdout: str = ""
    stderr: str = ""

    def message(self) -> bytes:
        """Return it as bytes."""
        answer, rest = self.answer, (self.words, self.stdout, self.stderr)
        if answer is None:
            return joined((self.ending, None, *rest), b"")
        return joined((self.ending, tuple(answer[:-1]), *rest), answer.result)

    @classmethod
    def of(cls, message: bytes) -> "Told":
        """Read it from bytes."""
        (ending, answer, *rest), body = parted(message)
        return cls(ending, None if answer is None else Answer._make((*answer, body)), *rest)


def joined(head: tuple[Any, ...], body: bytes | memoryview) -> bytes:
    """Return a message."""
    pickled = pickle.dumps(head)
    return b"".join((len(pickled).to_bytes(LENGTH, "little"), pickled, body))


def parted(message: bytes) -> tuple[tuple[Any, ...], memoryview]:
    """Return head and body of a message."""
    whole = memoryview(message)
    end = LENGTH + int.from_bytes(whole[:LENGTH], "little")
    return pickle.loads(whole[LENGTH:end]), whole[end:]
