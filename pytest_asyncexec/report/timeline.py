"""A history as a picture: each call of `setup`, `run` and `teardown` as a bar, in SVG.

Time runs downwards, a row for each event. Events have an order and no times, so the picture shows
an order and no lengths. Each task has a lane, and calls of one task that overlap, which is often
the very mistake, stand side by side in it. Where everything stands is worked out here; how it
looks is said in timeline.svg.j2 and style.css.j2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from ..contract.finding import Moment
from .calls import NEVER, Call, calls_of
from .templates import render
from .timeline_words import Row, description, letters, rows_of, title, unended, wrapped

#: So many events are drawn; of more, the first and the last.
MOST_EVENTS = 60

#: In pixels; the whole fits beside nothing else on a telephone, and text is never scaled.
_WIDTH, _LEFT = 322, 26
#: A column for bars and the space between lanes; and both where there are many.
_WIDE, _NARROW = (22, 10), (17, 3)
_MANY_COLUMNS = 4
_LINE, _SPACE = 16, 7
# A letter of 12 px in the widest of the usual fonts of fixed width.
_LETTER = 7.4
_TEXT_LETTERS = 27


@dataclass(frozen=True, slots=True)
class Lane:
    """Where the bars of one task stand."""

    letter: str
    left: int
    right: int
    column: int

    @property
    def middle(self) -> float:
        """In the middle of all its columns."""
        return (self.left + self.right) / 2


def timeline(history: Sequence[Moment]) -> Markup:
    """The picture of a history, as SVG to be put into a page that has the style."""
    calls, of_event = calls_of(history)
    shown = _shown(len(history))
    drawn = [call for call in calls if not _left_out(call, shown, len(history))]
    tasks = list(dict.fromkeys(call.task for call in drawn))
    names = {task: letters(place) if len(tasks) > 1 else "" for place, task in enumerate(tasks)}
    lanes, right = _lanes(names, drawn)
    room = max(_TEXT_LETTERS, int((_WIDTH - right) / _LETTER))

    # Of several tasks the names stand above the lanes, and below them the letters.
    told_at = _LEFT if len(tasks) > 1 else right
    width = max(_WIDTH, math.ceil(right + room * _LETTER))
    head = [
        line
        for task in tasks
        for line in wrapped(
            f"{names[task]}: {task}" if names[task] else task, int((_WIDTH - told_at) / _LETTER)
        )
    ]
    head += [""] * (len(tasks) > 1)
    rows = rows_of(history, of_event, shown, names, room)
    still = [call for call in drawn if call.end is None]
    open_calls = [call for call in calls if call.end is None]
    rows += unended(still, len(open_calls) - len(still), names, room)
    if not history:
        rows = [Row("", "", wrapped("neither setup, run nor teardown was called", room), "gap")]
    top = len(head) * _LINE + _SPACE
    rows, height = _placed(rows, top)
    middle = _middles(shown, rows)
    open_rows = [row.middle for row in rows if row.kind == "open"]
    ends = {call.begin: end for call, end in zip(still, open_rows, strict=True)}
    bars = [_bar(call, lanes[call.task], middle, ends, top) for call in drawn]
    return Markup(
        render(
            "timeline.svg.j2",
            title=title(len(calls), len({call.task for call in calls})),
            description=description(calls),
            width=width,
            height=height,
            line_height=_LINE,
            top=top,
            text_at=right,
            head=head,
            head_at=told_at,
            lanes=list(lanes.values()),
            bars=bars,
            rows=rows,
        )
    )


def _shown(many: int) -> list[int]:
    """The indices of the events that are drawn."""
    if many <= MOST_EVENTS:
        return list(range(many))
    half = MOST_EVENTS // 2
    return [*range(half), *range(many - half, many)]


def _left_out(call: Call, shown: Sequence[int], many: int) -> bool:
    """Whether neither the beginning nor the end of a call is among the events drawn."""
    if len(shown) == many:
        return False
    half = len(shown) // 2
    last = call.begin if call.end is None else call.end
    return call.begin >= half and last < many - half


def _lanes(names: Mapping[str, str], calls: Sequence[Call]) -> tuple[dict[str, Lane], int]:
    """Where the lane of each task begins and ends, and where the words begin."""
    columns = {task: 1 + max(call.column for call in calls if call.task == task) for task in names}
    column, gap = _WIDE if sum(columns.values()) <= _MANY_COLUMNS else _NARROW
    lanes = {}
    left = _LEFT
    for task, many in columns.items():
        lanes[task] = Lane(names[task], left, left + many * column, column)
        left += many * column + gap
    return lanes, left + _SPACE


def _placed(rows: Sequence[Row], top: int) -> tuple[list[Row], int]:
    """The rows at their heights, and the height of them all."""
    placed = []
    height = top
    for row in rows:
        placed.append(replace(row, middle=height + _LINE / 2 + 1))
        height += len(row.lines) * _LINE + _SPACE
    return placed, height + 2


def _middles(shown: Sequence[int], rows: Sequence[Row]) -> dict[int, float]:
    """At which height each event that is drawn stands; -2 is the row of those left out."""
    middles = {int(row.number) - 1: row.middle for row in rows if row.number}
    gaps = [row.middle for row in rows if row.kind == "gap"]
    return {**middles, -2: gaps[0] if gaps else 0.0}


def _bar(
    call: Call,
    lane: Lane,
    middle: Mapping[int, float],
    ends: Mapping[int, float],
    top: int,
) -> dict[str, object]:
    begin = top if call.begin < 0 else middle.get(call.begin, middle[-2]) - 8
    end = ends[call.begin] if call.end is None else middle.get(call.end, middle[-2])
    marks = {"returned": "returned", "raised": "raised", NEVER: "open"}
    return {
        "method": call.method,
        "mark": marks.get(call.step, "cancelled"),
        "sign": call.sign if len(call.sign) < 3 else "",
        "said": f"{call.name} {call.step}",
        "at": lane.left + (call.column + 0.5) * lane.column,
        "width": lane.column - 4 if call.method == "run" else lane.column - 8,
        "begin": begin,
        "end": end,
        "leaves_out": call.end is not None and call.end not in middle,
    }
