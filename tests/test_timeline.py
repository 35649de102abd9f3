"""The picture of a history: every call a bar, every end a mark, and nothing that hides another."""

from __future__ import annotations

from xml.etree import ElementTree

from pytest_asyncexec.contract.finding import Moment
from pytest_asyncexec.report.timeline import MOST_EVENTS, timeline
from runs import EVIL, moments


class Picture:
    """What is drawn of a history."""

    def __init__(self, *history: Moment) -> None:
        self.svg = ElementTree.fromstring(str(timeline(history)))
        groups = [g for g in self.svg.iter("g") if "tl-call" in g.get("class", "").split()]
        #: What each bar stands for, in the order in which they are drawn.
        self.calls = [group.get("data-call") for group in groups]
        self.bars = [group.find("rect") for group in groups]
        self.ends = [group.get("class", "").split()[-1] for group in groups]
        self.words = [" ".join(text.itertext()) for text in self.svg.iter("text")]

    def columns(self) -> list[float]:
        """Where the middle of each bar is."""
        return [float(bar.get("x")) + float(bar.get("width")) / 2 for bar in self.bars]

    def span(self, place: int) -> tuple[float, float]:
        """From which to which height a bar goes."""
        top = float(self.bars[place].get("y"))
        return top, top + float(self.bars[place].get("height"))

    def says(self, text: str) -> bool:
        return text in " ".join(" ".join(self.words).split())


def test_each_call_is_a_bar_and_attempts_are_numbered() -> None:
    picture = Picture(
        *moments(
            "1 setup b, 1 setup r, 2 run b, 2 run x ValueError: once, 3 run b, 3 run r, "
            "4 teardown b, 4 teardown r"
        )
    )

    assert picture.calls == [
        "setup returned",
        "attempt 1 raised",
        "attempt 2 returned",
        "teardown returned",
    ]
    assert picture.ends == [
        "tl-call-returned",
        "tl-call-raised",
        "tl-call-returned",
        "tl-call-returned",
    ]
    assert picture.says("attempt 1 raised ValueError: once")
    # One after the other, in one column, and each below the one before.
    assert len(set(picture.columns())) == 1
    heights = [picture.span(place) for place in range(4)]
    assert heights == sorted(heights)
    assert all(top < end for top, end in heights)


def test_the_picture_has_a_name_and_a_description() -> None:
    picture = Picture(*moments("1 run b, 1 run c"))

    assert picture.svg.get("role") == "img"
    assert picture.svg[0].text == "Timeline: 1 call for one task"
    assert picture.svg[1].text == "dispatch-1, node 0: attempt 1 was cancelled"


def test_a_cancelled_call_is_marked() -> None:
    picture = Picture(*moments("1 run b, 1 run c"))

    assert picture.ends == ["tl-call-cancelled"]
    assert picture.says("attempt 1 was cancelled")


def test_a_call_that_never_ended_stays_open_to_the_end() -> None:
    picture = Picture(*moments("1 run b, 2 teardown b, 2 teardown r"))

    assert picture.ends == ["tl-call-open", "tl-call-returned"]
    assert picture.says("attempt 1 never ended")
    assert picture.span(0)[1] > picture.span(1)[1]


def test_calls_of_one_task_that_overlap_stand_side_by_side() -> None:
    picture = Picture(*moments("1 run b, 2 run b, 1 run r, 2 run r, 3 teardown b, 3 teardown r"))

    first, second, last = picture.columns()
    assert first < second
    assert last == first
    assert picture.says("attempt 2 begins still running: attempt 1")


def test_each_task_has_a_lane_and_its_own_attempts() -> None:
    one, other = (moments("1 run b, 1 run r", task) for task in ("task one", "task two"))
    other = tuple(Moment(2, m.method, m.step, m.task, m.error) for m in other)

    picture = Picture(one[0], other[0], one[1], other[1])

    assert picture.calls == ["attempt 1 returned", "attempt 1 returned"]
    assert picture.columns()[0] < picture.columns()[1]
    assert picture.says("A: task one")
    assert picture.says("B: task two")
    assert picture.says("B attempt 1 begins")
    # Other tasks are no overlap that had to be told.
    assert not picture.says("still running")


def test_an_end_without_a_beginning_is_drawn_from_the_top() -> None:
    picture = Picture(*moments("7 run r, 8 teardown b, 8 teardown r"))

    assert picture.calls == ["attempt 1 returned", "teardown returned"]
    assert picture.span(0)[0] < picture.span(0)[1]


def test_no_call_at_all_is_said() -> None:
    picture = Picture()

    assert picture.calls == []
    assert picture.says("neither setup, run nor teardown was called")


def test_of_a_long_history_the_beginning_and_the_end_are_drawn() -> None:
    history = [
        moment for call in range(100) for moment in moments(f"{call} run b, {call} run x Error: no")
    ]

    picture = Picture(*history)

    assert picture.says(f"({200 - MOST_EVENTS} events are left out here)")
    assert len(picture.calls) == MOST_EVENTS // 2
    assert picture.says("attempt 1 begins")
    assert picture.says("attempt 100 raised")
    assert not picture.says("attempt 50 ")


def test_a_call_that_spans_what_is_left_out_is_still_drawn() -> None:
    inner = [moment for call in range(1, 100) for moment in moments(f"{call} run b, {call} run r")]
    outer = moments("0 setup b, 0 setup r")

    picture = Picture(outer[0], *inner, outer[1])

    assert picture.calls[0] == "setup returned"
    assert picture.span(0)[1] > picture.span(-1)[1]


def test_of_many_calls_that_never_ended_the_rest_is_counted() -> None:
    history = [moment for call in range(200) for moment in moments(f"{call} run b")]

    picture = Picture(*history)

    assert len(picture.calls) == MOST_EVENTS
    assert set(picture.ends) == {"tl-call-open"}
    assert picture.says(f"(and {200 - MOST_EVENTS} more calls never ended)")


def test_what_executors_say_is_text_and_is_wrapped() -> None:
    history = (Moment(1, "setup", "raises", EVIL, EVIL + "x" * 5000),)

    picture = Picture(*history)

    assert picture.says("<script>")
    assert all(len(line) < 250 for line in picture.words)
    assert float(picture.svg.get("width")) < 343


def test_a_few_tasks_fit_on_a_telephone() -> None:
    history = [Moment(n, "run", "begins", f"dispatch-{n}, node {n}") for n in range(3)]

    assert float(Picture(*history).svg.get("width")) < 343
