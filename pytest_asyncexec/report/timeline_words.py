"""The words of a timeline: its title, what stands beside each event, and the letters of lanes."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..contract.finding import Moment
from ..contract.wording import printable
from .calls import NEVER, Call

#: So many lines are shown of what an error says.
_MOST_LINES = 4


@dataclass(frozen=True, slots=True)
class Row:
    """The words beside one event."""

    number: str
    lane: str
    lines: Sequence[str]
    kind: str
    middle: float = 0


def rows_of(
    history: Sequence[Moment],
    of_event: Sequence[Call],
    shown: Sequence[int],
    names: Mapping[str, str],
    room: int,
) -> list[Row]:
    """The words beside each event that is drawn, in lines of `room` letters."""
    rows = []
    before = -1
    for index in shown:
        if index != before + 1:
            many = index - before - 1
            rows.append(Row("", "", wrapped(f"({many} events are left out here)", room), "gap"))
        before = index
        moment, call = history[index], of_event[index]
        begins = moment.step == "begins"
        # The letter of the lane is drawn in front of the first line.
        lane = names[call.task]
        text = f"{call.name} {'begins' if begins else call.step}"
        lines = wrapped(text, room - len(lane) - 1)
        if begins and call.during:
            lines += wrapped(f"still running: {', '.join(call.during)}", room)
        if moment.error:
            lines += wrapped(printable(moment.error), room)
        kind = {"raises": "raised", "is cancelled": "cancelled"}.get(moment.step, "")
        rows.append(Row(str(index + 1), lane, lines, "during" if begins and call.during else kind))
    return rows


def title(calls: int, tasks: int) -> str:
    """What the picture shows, in few words."""
    if not calls:
        return "Timeline without any call"
    of = "one task" if tasks == 1 else f"{tasks} tasks"
    return f"Timeline: {calls} call{'s' * (calls > 1)} for {of}"


def description(calls: Sequence[Call]) -> str:
    """What the picture shows, for those who hear it."""
    said = [f"{call.task}: {call.name} {call.step}" for call in calls[:12]]
    if len(calls) > 12:
        said.append(f"and {len(calls) - 12} more calls")
    return "; ".join(said) or "neither setup, run nor teardown was called"


def letters(place: int) -> str:
    """A, B, ..., Z, AA, AB, ..."""
    text = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def wrapped(text: str, room: int) -> list[str]:
    """The text in lines of `room` letters, cut where it is long."""
    # Letters of the East are twice as wide.
    wide = any(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    lines = textwrap.wrap(text, max(room // 2 if wide else room, 10), break_on_hyphens=False)
    if len(lines) > _MOST_LINES:
        lines = [
            *lines[: _MOST_LINES - 1],
            f"{lines[_MOST_LINES - 1][:-2]} \N{HORIZONTAL ELLIPSIS}",
        ]
    return lines or [""]


def unended(calls: Sequence[Call], many: int, names: Mapping[str, str], room: int) -> list[Row]:
    """A row for each of these calls, which never ended, and one for `many` that are not drawn."""
    rows = [Row("", names[c.task], wrapped(f"{c.name} {NEVER}", room), "open") for c in calls]
    if many:
        rows.append(Row("", "", wrapped(f"(and {many} more calls {NEVER})", room), "gap"))
    return rows
