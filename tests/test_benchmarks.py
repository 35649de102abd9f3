"""What is made of the figures of `python -m benchmarks`; the figures themselves are not tested."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import page
from benchmarks.__main__ import MEASURES, parse
from benchmarks.driver import run
from benchmarks.latency import waited
from benchmarks.measure import Contender, Measure
from benchmarks.peers import MissingPeer, peer
from benchmarks.ratios import AT_LEAST, AT_MOST, LESS_THAN, MORE_THAN, Bound, Ratio, Results, Spread

# The checkout is not to be searched by other tests.
sys.path.pop(0)

RATIO = Ratio("ours / theirs", ("ours", "ms"), ("theirs", "ms"), Bound(AT_MOST, 1.0))
MEASURE = Measure(
    title="Waiting",
    method="Both wait.",
    contenders=(Contender("ours", "m:ours"), Contender("theirs", "m:theirs")),
    ratios=(RATIO,),
)


def results(ours: list[float], theirs: list[float]) -> Results:
    found = Results()
    for mine, other in zip(ours, theirs, strict=True):
        found.add("ours", {"ms": mine})
        found.add("theirs", {"ms": other})
    return found


def test_a_ratio_is_formed_round_by_round() -> None:
    # The machine became four times slower, for both: the ratio of the medians would be 2.
    spread = RATIO.of(results([1, 4, 4], [2, 2, 8]))

    assert spread == Spread((0.5, 2.0, 0.5))
    assert spread.median == 0.5


def test_a_spread_has_a_middle_half_within_its_extremes() -> None:
    spread = Spread((5.0, 1.0, 4.0, 2.0, 3.0))

    assert spread.median == 3
    assert spread.quartiles == (2, 4)
    assert spread.extremes == (1, 5)


def test_one_round_is_a_spread_too() -> None:
    assert Spread((3.0,)).quartiles == (3, 3)


@pytest.mark.parametrize(
    ("relation", "met"),
    [(AT_MOST, True), (AT_LEAST, True), (LESS_THAN, False), (MORE_THAN, False)],
)
def test_a_bound_knows_whether_its_limit_belongs_to_it(relation: str, met: bool) -> None:
    assert Bound(relation, 1.0).is_met(Spread((0.0, 1.0, 9.0))) is met


def test_the_page_says_what_was_met() -> None:
    table = page.bounds_table([(MEASURE, results([1, 1, 1], [2, 2, 1]))])

    assert table.splitlines()[2:] == [
        "| ours / theirs | at most 1 | 0.500 | 0.500 to 0.750 | 0.500 to 1.000 | met |"
    ]


def test_the_page_says_what_was_missed() -> None:
    table = page.bounds_table([(MEASURE, results([3], [2]))])

    assert table.splitlines()[2:] == ["| ours / theirs | at most 1 | 1.500 |  |  | **missed** |"]


def test_a_contender_that_fails_is_shown_with_the_reason() -> None:
    found = results([1], [2])
    found.lose("theirs", "it is not installed")

    bounds = page.bounds_table([(MEASURE, found)]).splitlines()[2:]
    figures = page.figures_table(MEASURE, found).splitlines()[2:]

    why = "not measured: theirs: it is not installed"
    assert bounds == [f"| ours / theirs | at most 1 | {why} |  |  | **not measured** |"]
    assert figures == [
        "| ours | ms | 1.00 |  |  | 1 |",
        "| theirs | not measured: it is not installed |  |  |  |  |",
    ]


def test_the_page_describes_what_was_done_and_where() -> None:
    text = page.page({"cores": "2"}, 7, [(MEASURE, results([1], [2]))])

    assert text.startswith("# Performance\n")
    assert "## Waiting\n\nBoth wait.\n\n" in text
    assert "there are 7\nrounds" in text
    assert "| cores | 2 |" in text


async def test_a_contender_that_fails_does_not_stop_the_others() -> None:
    measure = Measure(
        title="",
        method="",
        contenders=(
            Contender("right", "execute:ours", (3, False, "")),
            Contender("wrong", "execute:ours", ()),
        ),
    )

    found = await run(measure, 2, lambda text: None)

    # The warm-up is thrown away.
    assert {name: len(values) for name, values in found.figures["right"].items()} == {
        "µs per call": 2
    }
    assert found.missing["wrong"].startswith("TypeError: ours() missing 3 required")


def test_a_peer_that_is_not_there_is_named_with_what_to_do() -> None:
    with pytest.raises(MissingPeer) as raised:
        peer("no_such_pool.anywhere")

    assert str(raised.value) == "no_such_pool is not installed: pip install -e '.[benchmark]'"


def test_a_peer_that_is_broken_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_pool.py").write_text("import no_such_dependency\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        peer("broken_pool")


def test_a_whole_run_writes_the_page() -> None:
    options = parse([])

    assert options.output.parts[-2:] == ("docs", "performance.md")


@pytest.mark.parametrize("words", [["--quick"], ["local"]], ids=["quick", "selection"])
def test_less_than_a_whole_run_does_not_write_over_it(words: list[str]) -> None:
    assert parse(words).output is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["locl"], f"there is no measure 'locl': they are {', '.join(MEASURES)}"),
        (["--rounds", "0"], "--rounds is 0: there must be at least one"),
        (["--quick", "--output", "x.md"], "--quick is too short to be written to --output"),
        (["--output", "nowhere/x.md"], "--output is nowhere/x.md: there is no folder nowhere"),
    ],
)
def test_a_mistake_on_the_command_line_is_told(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(words)

    assert message in capsys.readouterr().err


def test_waits_that_overlap_count_once() -> None:
    assert waited("0 1\n0.5 1.5\n3 4\n") == 2.5
    assert waited("") == 0.0
