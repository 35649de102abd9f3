"""Runs a measure: its contenders in turns, round after round."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from .measure import Contender, Measure
from .process import ContenderFailed, ContenderProcess
from .ratios import Results

__all__ = ["run"]

T = TypeVar("T")

# pyperf's own runner measures one benchmark to its end and then the next, in processes of its
# own; two that are to be compared are then minutes apart. Hence this driver.


async def run(measure: Measure, rounds: int, say: Callable[[str], None]) -> Results:
    """Measure all contenders, A B C and then C B A, so that none always follows the same one.

    One that fails is lost, with the reason, and the others go on.
    """
    rounds = min(max(rounds, measure.rounds[0]), measure.rounds[1])
    results = Results()
    service = ContenderProcess(measure.service) if measure.service is not None else None
    running: dict[Contender, ContenderProcess] = {}
    try:
        given = [] if service is None else [await service.start()]
        for contender in measure.contenders:
            running[contender] = ContenderProcess(contender)
            await _attempt(running[contender].start(*given), contender, results)
        for number in range(0 if measure.warm_up else 1, rounds + 1):
            say(f"round {number} of {rounds}" if number else "warm-up")
            turns = list(running.items())
            for contender, process in turns if number % 2 else reversed(turns):
                if contender.name in results.missing:
                    continue
                figures = await _attempt(process.batch(), contender, results)
                if figures is not None and number:
                    results.add(contender.name, figures)
    except ContenderFailed as failure:
        for contender in measure.contenders:
            results.lose(contender.name, f"what it runs on did not start: {failure}")
    finally:
        for process in [*running.values(), *([service] if service is not None else [])]:
            await process.end()
    return results


async def _attempt(work: Awaitable[T], contender: Contender, results: Results) -> T | None:
    try:
        return await work
    except ContenderFailed as failure:
        results.lose(contender.name, str(failure))
        return None
