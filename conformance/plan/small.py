"""Makes deviations small: from many tasks that deviate to the fewest conditions that make one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from .conditions import BREAKING, SHORT, TOO_LATE, USUAL, Row, is_possible, row, unusual
from .observation import Deviation, Observation
from .prediction import ending

#: So many conditions together are looked for.
DEEPEST: Final = 3

#: So many causes of one kind are told.
_CAUSES: Final = 4


@dataclass(frozen=True, slots=True)
class Cause:
    """Tasks that deviate in the same way, and the fewest conditions that they share."""

    deviation: Deviation
    #: By name; what is left out is usual.
    conditions: Mapping[str, str]
    #: How many tasks deviate so under these conditions.
    tasks: int
    #: Whether one with just these conditions does so by itself; None where that was not tried.
    alone: bool | None = None

    @property
    def row(self) -> Row:
        """A task with these conditions and no other."""
        return row(**self.conditions)


def causes(found: Sequence[Deviation], observations: Sequence[Observation]) -> Iterator[Cause]:
    """The fewest conditions that explain the deviations of one aspect, by what others show.

    A set of conditions is no cause where a task that has all of them, and more, is as it should be.

    Args:
        found: deviations of one aspect.
        observations: of all tasks of the batch.
    """
    deviating = {id(deviation.observation) for deviation in found}
    fine = [seen for seen in observations if id(seen) not in deviating]
    left = list(found)
    for _ in range(_CAUSES):
        if not left:
            return
        best: tuple[int, int, Mapping[str, str], list[Deviation]] | None = None
        for deviation in left:
            for chosen in _candidates(deviation, fine):
                covered = [d for d in left if _has(d.observation.row, chosen)]
                rank = (len(chosen), -len(covered))
                if best is None or rank < best[:2]:
                    best = (*rank, chosen, covered)
        if best is None:
            # Not even all of its conditions explain it: a task with the same ones is right.
            explanation: Mapping[str, str] = unusual(left[0].observation.row)
            covered = left[:1]
        else:
            explanation, covered = best[2], best[3]
        yield Cause(covered[0], explanation, len(covered))
        left = [deviation for deviation in left if deviation not in covered]


def _candidates(deviation: Deviation, fine: Iterable[Observation]) -> Iterator[dict[str, str]]:
    """The smallest sets of unusual conditions of a task that no task without the fault has."""
    of_task = unusual(deviation.observation.row)
    wanted, _ = ending(deviation.observation.row)
    comparable = [seen.row for seen in fine if ending(seen.row)[0] == wanted]
    for size in range(DEEPEST + 1):
        hits = False
        for names in combinations(of_task, size):
            chosen = _completed({name: of_task[name] for name in names})
            whole = row(**chosen)
            if not is_possible(whole) or ending(whole)[0] != wanted:
                continue
            if not any(_has(other, chosen) for other in comparable):
                hits = True
                yield chosen
        if hits:
            return


def blamed(wrong: Sequence[Sequence[Row]], fine: Iterable[Row]) -> list[dict[str, str]]:
    """The smallest sets of unusual conditions that may be to blame for groups of tasks.

    Args:
        wrong: groups of tasks, one of each of which has done something that shows afterwards.
        fine: tasks of groups in which nothing shows.

    Returns those that the tasks of the most groups have, first.
    """
    right = list(fine)
    for size in range(DEEPEST + 1):
        sets: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
        for group in wrong:
            for each in group:
                for names in combinations(unusual(each), size):
                    chosen = _completed({name: each[name] for name in names})
                    if is_possible(row(**chosen)) and not any(_has(r, chosen) for r in right):
                        sets[tuple(sorted(chosen.items()))] = chosen
        if sets:
            groups = [
                [_have(group, chosen) for group in wrong].count(True) for chosen in sets.values()
            ]
            ranked = sorted(zip(groups, sets.values(), strict=True), key=lambda each: -each[0])
            return [chosen for _, chosen in ranked]
    return []


def _have(group: Iterable[Row], chosen: Mapping[str, str]) -> bool:
    return any(_has(each, chosen) for each in group)


def _completed(chosen: dict[str, str]) -> dict[str, str]:
    """With what cannot be left out: the limit that a task goes on past, an instance to break."""
    if chosen.get("end") == TOO_LATE:
        return {**chosen, "limit": SHORT}
    if chosen.get("end") in BREAKING:
        return {**chosen, "instance": "its own"}
    return chosen


def _has(whole: Row, chosen: Mapping[str, str]) -> bool:
    return all(whole[name] == value for name, value in chosen.items())


def covers(conditions: Mapping[str, str], whole: Row) -> bool:
    """Whether a task has these conditions, be it with other unusual values than these.

    Who fails where something is printed does so whatever is printed.
    """
    return all(
        whole[name] == value or (name != "end" and whole[name] != USUAL[name])
        for name, value in conditions.items()
    )


def shrunk(
    conditions: Mapping[str, str], deviating: Callable[[Sequence[Row]], Sequence[bool]]
) -> Mapping[str, str]:
    """The conditions without those that can be left out.

    Each is left out once, all at the same time: those without which a task is right are enough, or
    else there are several ways to deviate, and one condition after the other is left out for good.

    Args:
        conditions: under which a task deviates.
        deviating: whether tasks with these conditions do; it runs them at once.
    """
    fewer = {name: _without(name, conditions) for name in conditions}
    tried = {name: row(**left) for name, left in fewer.items() if left is not None}
    seen = dict(zip(tried, deviating(list(tried.values())), strict=True))
    kept, rest = dict(conditions), list(conditions)
    needed = _completed({n: value for n, value in conditions.items() if not seen.get(n)})
    if needed == kept or (is_possible(row(**needed)) and all(deviating([row(**needed)]))):
        # Some can be left out only where another one is not there.
        kept, rest = needed, [name for name in needed if name not in tried]
    for name in rest:
        left = _without(name, kept)
        if left is not None and all(deviating([row(**left)])):
            kept = left
    return kept


def _without(name: str, conditions: Mapping[str, str]) -> dict[str, str] | None:
    """All conditions but one; None where no task can be without that."""
    left = _completed({other: value for other, value in conditions.items() if other != name})
    return left if name not in left and is_possible(row(**left)) else None
