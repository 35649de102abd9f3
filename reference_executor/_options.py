"""What the options of the reference executors may be, and the errors that say so."""

import os
from collections.abc import Mapping
from typing import Any

__all__ = ["check_environment", "check_flag", "check_max_workers", "check_text"]


def check_max_workers(value: Any) -> int:
    """Return how many tasks may run at once, of `max_workers`; TypeError or ValueError else."""
    if value is None:
        return usable_cpus()
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(
            f"max_workers must be an int, not {value!r}: pass how many tasks may run at once, "
            f"and None for as many as there are processors"
        )
    if value < 1:
        raise ValueError(
            f"max_workers must be at least 1, got {value!r}: no task could ever run; pass None "
            f"for as many as there are processors"
        )
    return value


def usable_cpus() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_flag(name: str, value: Any) -> bool:
    """Return `value` if it is a bool; TypeError else."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return value


def check_text(name: str, value: Any) -> str:
    """Return `value` if it is a str; TypeError else."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {value!r}: pass '' for none")
    return value


def check_environment(value: Any) -> tuple[tuple[str, str], ...]:
    """Return the variables as sorted pairs; TypeError or ValueError for what can be none."""
    if type(value) is dict and not value:
        return ()
    if not isinstance(value, Mapping):
        raise TypeError(f"environment must be a dict of texts, not {value!r}: pass {{}} for none")
    for name, text in value.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise TypeError(f"environment must be a dict of texts, and holds {name!r}: {text!r}")
        if not name or "=" in name or "\0" in name + text:
            raise ValueError(
                f"environment holds {name!r}: {text!r}, which no process can be given: a name "
                f"must not be empty or hold '=', and neither name nor value a null character"
            )
        try:
            os.fsencode(name + text)
        except UnicodeEncodeError as error:
            raise ValueError(
                f"environment holds {name!r}: {text!r}, which this system cannot encode: {error}"
            ) from error
    return tuple(sorted(value.items()))
