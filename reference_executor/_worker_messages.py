"""Messages between host and worker: a number, two lengths, a head and a body.

The number is that of the task, and comes back with the answer. A short message is sent in one
piece. Of a long task only number and lengths go through the queue, if the worker has one, and the
rest through the socket: see `_channel.py`.

Both sides use this module: the worker as a file beside `_worker.py`, without its package.
"""

from __future__ import annotations

from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The number, and the lengths of head and body.
PREFIX = Struct("<QQQ")
SHORT = 1 << 16

Message = tuple[int, memoryview, memoryview]


def receive(queue: Any, control: Any) -> Message | None:
    """Read one message from raw binary files, or None where the other side has ended.

    It begins in `queue` and, if it is long, goes on in `control`; the two can be the same.
    """
    first = queue.read(SHORT)
    if not first:
        return None
    whole, position = room(length(first), first), len(first)
    while position < len(whole):
        count = control.readinto(whole[position:])
        if not count:
            return None
        position += count
    return parts(whole)


def length(first: bytes) -> int:
    """Return the length of a message of which at least the prefix has come."""
    _, head, body = PREFIX.unpack_from(first)
    count: int = PREFIX.size + head + body
    return count


def room(length: int, first: bytes) -> memoryview:
    """Return the room for a message that begins with `first`, with `first` in it."""
    if length == len(first):
        return memoryview(first)
    whole = memoryview(bytearray(length))
    whole[: len(first)] = first
    return whole


def parts(whole: memoryview) -> Message:
    """Split a message into number, head and body."""
    number, length, _ = PREFIX.unpack_from(whole)
    end = PREFIX.size + length
    return number, whole[PREFIX.size : end], whole[end:]


def pieces(number: int, head: bytes, body: bytes) -> list[bytes]:
    """Return what to send one after the other: a short message in one piece."""
    if is_short(head, body):
        return [packed(number, head, body)]
    return [PREFIX.pack(number, len(head), len(body)), head, body]


def is_short(head: bytes, body: bytes) -> bool:
    """Whether a message is sent in one piece."""
    return PREFIX.size + len(head) + len(body) <= SHORT


def packed(number: int, head: bytes, body: bytes) -> bytes:
    """Return a message in one piece."""
    return PREFIX.pack(number, len(head), len(body)) + head + body


def send(control: Any, number: int, head: bytes, body: bytes) -> None:
    """Write one message to a raw binary file."""
    for piece in pieces(number, head, body):
        rest = memoryview(piece)
        while rest:
            rest = rest[control.write(rest) :]
