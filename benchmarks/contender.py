"""A contender's own process: `python -m benchmarks.contender MODULE:FACTORY ARGUMENTS`.

It stays alive over all rounds and runs one batch for every line on its standard input. Every
answer is one line of JSON: {"ready": ...}, {"figures": {...}} or {"failed": "why"}.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import traceback
from typing import IO, Any

from .measure import Factory
from .peers import MissingPeer, peer


def main() -> None:
    """Take the two pipes away from whatever the contender starts and prints, and serve."""
    orders = os.fdopen(os.dup(0), "r", encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    try:
        asyncio.run(serve(sys.argv[1], json.loads(sys.argv[2]), orders, answers))
    except Exception as error:
        traceback.print_exc()
        tell(answers, failed=reason(error))
        sys.exit(1)


async def serve(name: str, arguments: list[Any], orders: IO[str], answers: IO[str]) -> None:
    """Enter the factory, and run its batch as often as asked."""
    module, _, attribute = name.partition(":")
    factory: Factory = getattr(peer(f"{__package__}.{module}"), attribute)
    async with factory(*arguments) as given:
        tell(answers, ready=None if callable(given) else given)
        # Read in a thread: what lives on this loop between two rounds goes on living.
        while await asyncio.to_thread(orders.readline):
            # The garbage of one batch is not to be collected at the cost of the next.
            gc.collect()
            tell(answers, figures=await given())


def tell(answers: IO[str], **message: Any) -> None:
    """Send one line."""
    print(json.dumps(message), file=answers, flush=True)


def reason(error: BaseException) -> str:
    """Say in one line why a contender has no figures."""
    if isinstance(error, MissingPeer):
        return str(error)
    return " ".join(f"{type(error).__name__}: {error}".split())


if __name__ == "__main__":
    main()
