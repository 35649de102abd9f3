"""How the output that is returned differs from what a task has printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ..instruments.seen import Seen
from . import values
from .conditions import DIES, RETURNS, TOO_LATE, Row
from .prediction import Prediction

#: What a task prints, by the stream.
PRINTED: Final = {"stdout": values.printed, "stderr": values.to_stderr}

#: The ends after which nobody is left to send back what the task had printed.
KILLED: Final = (DIES, TOO_LATE)


def wrong_stream(stream: str, seen: Seen, row: Row, own: str, predicted: Prediction) -> str:
    """How what is returned of one stream differs from what was printed to it, in words."""
    got, text = getattr(seen, stream), getattr(predicted, stream)
    other = "stderr" if stream == "stdout" else "stdout"
    # Words that no traceback quotes.
    if f"{own} to {other}" in got:
        return f"{stream} holds what it printed to {other}"
    if stream == "stdout" and row["end"] == RETURNS:
        right = got == text
    else:
        # An executor may add words of its own, a traceback for one, after each attempt too.
        right = text in got or in_order(got, getattr(predicted, f"to_{stream}"))
    return "" if right else text_difference(stream, text, got)


def lost_last_words(seen: Seen, row: Row, own: str, logs: Mapping[str, str]) -> Iterator[str]:
    """The streams of which what a killed task had printed is found nowhere."""
    returned = "" if seen.error is not None else seen.stdout + seen.stderr
    for stream, printed in PRINTED.items():
        # With an error that is raised no output is returned, and a log holds it, if there is one.
        if seen.error is not None and stream not in logs:
            continue
        if printed(row["prints"], own) not in returned + logs.get(stream, ""):
            yield stream


def in_order(got: str, texts: Iterable[str]) -> bool:
    """Whether what each attempt wrote is there in order, with other words between."""
    end = 0
    for text in texts:
        begin = got.find(text, end)
        if begin < 0:
            return False
        end = begin + len(text)
    return True


def text_difference(stream: str, text: str, got: str) -> str:
    """How a text that arrived differs from the one that was printed, in words."""
    if got and got == text.strip():
        short = values.in_words(got)
        return f"{stream} is without the white space at one end or the other: {short}"
    if not got:
        return f"of the {len(text):,} characters that it printed, {stream} holds none"
    if len(got) < len(text) and text.endswith(got):
        return (
            f"of the {len(text):,} characters that it printed, {stream} holds only the last "
            f"{len(got):,}"
        )
    if len(text) < 200 and len(got) < 200:
        return f"{stream} is {got!r}; printed was {text!r}"
    at = _common_start(text, got)
    place = f"; from character {at:,} on it reads {got[at : at + 40]!r}"
    if at < len(text):
        place += f" instead of {text[at : at + 40]!r}"
    return f"{stream} has {len(got):,} characters; printed were {len(text):,}{place}"


def _common_start(left: str, right: str) -> int:
    """How many characters two texts begin with that are the same."""
    least, most = 0, min(len(left), len(right))
    while least < most:
        middle = (least + most + 1) // 2
        if left[:middle] == right[:middle]:
            least = middle
        else:
            most = middle - 1
    return least
