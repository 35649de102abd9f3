"""Whether the `type` of a dictionary names a class that another process can import."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Any

from ...contract.wording import short


def class_name(named: str) -> str:
    """The dotted or colon-separated name in a `type`, without the `<class '...'>` around it."""
    match = re.fullmatch(r"<class '(.*)'>", named)
    return match.group(1) if match else named


def not_importable(named: Any, cls: type) -> str:
    """Why `named` is no importable name of `cls`; empty if it is one."""
    if not isinstance(named, str):
        return "it is no str"
    name = class_name(named)
    if "/" in name or "\\" in name or name.endswith(".py"):
        return "it holds the path of a file"
    if "<locals>" in name:
        return "the class is defined inside a function, where no import reaches it"
    if name.partition(":")[0].partition(".")[0] == "__main__":
        return "the class is defined in __main__, which is another module in every process"
    for found in _imports_of(name):
        if isinstance(found, type) and issubclass(cls, found) and found is not object:
            return ""
        return f"what is imported by that name is {short(found)}, not the class of the executor"
    return "nothing can be imported by that name"


def _imports_of(name: str) -> Iterator[Any]:
    """What a name may mean, the longest module name first."""
    if ":" in name:
        module, _, path = name.partition(":")
        splits = [(module, path.split("."))]
    else:
        parts = name.split(".")
        splits = [
            (".".join(parts[:count]), parts[count:]) for count in range(len(parts) - 1, 0, -1)
        ]
    for module_name, names in splits:
        try:
            found: Any = importlib.import_module(module_name)
            for part in names:
                found = getattr(found, part)
        except Exception:
            continue
        yield found
