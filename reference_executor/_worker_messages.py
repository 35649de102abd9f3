"""Messages between host and worker: two lengths, a head and a body.

Both sides use this module: the worker as a file beside `_worker.py`, without its package.
"""

from typing import Any

LENGTHS = 16
SHORT = 1 << 16

Message = tuple[memoryview, memoryview]


def receive(control: Any) -> Message | None:
    """Read one message from a raw binary file, or None where the other side has ended."""
    first = control.read(SHORT)
    if not first:
        return None
    whole = whole_message(first)
    position = len(first)
    while position < len(whole):
        count = control.readinto(whole[position:])
        if not count:
            return None
        position += count
    return parts(whole)


def whole_message(first: bytes) -> memoryview:
    """Return the room for a message that begins with `first`, with `first` in it.

    The lengths always come in one piece, since they are sent in one.
    """
    head, body = int.from_bytes(first[:8], "little"), int.from_bytes(first[8:16], "little")
    length = LENGTHS + head + body
    if length == len(first):
        return memoryview(first)
    whole = memoryview(bytearray(length))
    whole[: len(first)] = first
    return whole


def parts(whole: memoryview) -> Message:
    """Split a message into head and body."""
    end = LENGTHS + int.from_bytes(whole[:8], "little")
    return whole[LENGTHS:end], whole[end:]


def pieces(head: bytes, body: bytes) -> list[bytes]:
    """Return what to send one after the other: a short message in one piece."""
    lengths = len(head).to_bytes(8, "little") + len(body).to_bytes(8, "little")
    return [lengths + head + body] if len(body) < SHORT else [lengths + head, body]


def send(control: Any, head: bytes, body: bytes) -> None:
    """Write one message to a raw binary file."""
    for piece in pieces(head, body):
        rest = memoryview(piece)
        while rest:
            rest = rest[control.write(rest) :]
