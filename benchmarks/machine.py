"""The machine of a run, as pyperf finds it; what names the machine or its user is left out."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from .peers import MissingPeer, peer, versions

__all__ = ["describe"]

_FROM_PYPERF = {
    "cpu_model_name": "processor",
    "cpu_freq": "frequency",
    "cpu_config": "processor settings",
    "platform": "system",
    "python_implementation": "interpreter",
    "python_version": "Python",
    "python_compiler": "compiler",
    "timer": "timer",
    "load_avg_1min": "load before the run",
}


def describe() -> dict[str, str]:
    """What a reader has to know of the machine, by what it is called."""
    found = {"date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")}
    found |= {"cores": str(os.cpu_count())}
    try:
        metadata = peer("pyperf").Run([1.0]).get_metadata()
        found |= {name: str(metadata[key]) for key, name in _FROM_PYPERF.items() if key in metadata}
        found["memory"] = f"{peer('psutil').virtual_memory().total / 2**30:.1f} GiB"
    except MissingPeer as error:
        found["more"] = f"not known: {error}"
    return found | versions()
