"""What a measure is made of: contenders, and the ratios between them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from .ratios import Ratio

__all__ = ["Batch", "Contender", "Factory", "Given", "Measure"]

#: Does a contender's work once and says what it took: figures by name, the unit in the name.
Batch = Callable[[], Awaitable[dict[str, float]]]

#: Starts what a contender needs, gives its batch, and ends what it started.
Factory = Callable[..., AbstractAsyncContextManager[Any]]
Given = AsyncIterator[Batch]


@dataclass(frozen=True)
class Contender:
    """Somebody who does the work: `module:factory` in this package, and what the factory is given.

    Arguments travel to another process as JSON.
    """

    name: str
    factory: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Measure:
    """One question, who is asked, and what their figures are held against."""

    title: str
    method: str
    contenders: tuple[Contender, ...]
    ratios: tuple[Ratio, ...] = ()
    #: Started before the contenders: what it gives is the last argument of each of them.
    service: Contender | None = None
    #: How many rounds there are, whatever was asked for: `(least, most)`.
    rounds: tuple[int, int] = (1, 1000)
    #: Whether a first round is thrown away.
    warm_up: bool = True
