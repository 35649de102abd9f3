"""Values that do harm to whoever runs what they say, or believes what they name."""

from __future__ import annotations

import base64
import json
import marshal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .canary import NAME

#: In a value, the folder of the canary.
FOLDER = "FOLDER"

_PICKLE = f"c{NAME}\ntrip\n(tR."
_CODE = marshal.dumps(compile(f"import {NAME}", NAME, "exec"))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


#: What kind of value it is, and the value: all of them JSON.
VALUES: tuple[tuple[str, Any], ...] = (
    ("the name of a module", NAME),
    ("the dotted name of a function", f"{NAME}.trip"),
    ("the name of a function behind a colon", f"{NAME}:trip"),
    ("an object as jsonpickle writes it", {"py/object": f"{NAME}.Thing"}),
    (
        "a call as jsonpickle writes it",
        {"py/reduce": [{"py/function": f"{NAME}.trip"}, {"py/tuple": []}]},
    ),
    ("a `__reduce__`", {"__reduce__": [f"{NAME}.trip", []]}),
    ("a `__class__`", {"__class__": f"{NAME}.Thing", "__module__": NAME}),
    ("a `_target_`", {"_target_": f"{NAME}.trip"}),
    ("a `type` with `attributes`", {"type": f"{NAME}.Thing", "attributes": {}}),
    (
        "the arguments of a process",
        {"type": "subprocess.Popen", "attributes": {"args": ["mkdir", f"{FOLDER}/trap"]}},
    ),
    ("a call as YAML writes it", f"!!python/object/apply:{NAME}.trip []"),
    ("a module as YAML writes it", f"!!python/module:{NAME}"),
    ("a pickle in base64", _base64(_PICKLE.encode("ascii"))),
    ("a pickle in hexadecimal digits", _PICKLE.encode("ascii").hex()),
    ("a pickle, its bytes as characters", _PICKLE),
    ("a pickle that makes a folder", f"cos\nmkdir\n(V{FOLDER}/trap\ntR."),
    (
        "a pickled object as Covalent writes it",
        {"type": "TransportableObject", "attributes": {"_object": _base64(_PICKLE.encode())}},
    ),
    ("code, marshalled, in base64", _base64(_CODE)),
    ("an expression", f"__import__('{NAME}').trip()"),
    ("an expression with a command", f"__import__('os').system('mkdir {FOLDER}/trap')"),
    ("an expression that reads a file", f"open('{FOLDER}/bait.txt').read()"),
    ("a statement", f"import {NAME}"),
    ("a command", f"mkdir {FOLDER}/trap"),
    ("a command in a command", f"$(mkdir {FOLDER}/trap)"),
    ("the path of a module", f"{FOLDER}/{NAME}.py"),
    ("the path of a file", f"{FOLDER}/bait.txt"),
    ("a file to include", f"!include {FOLDER}/bait.txt"),
    ("the URL of a file", f"file://{FOLDER}/bait.txt"),
)


def dictionaries(described: dict[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Hostile arguments for `from_dict`: what it is, the argument, and the argument in Python.

    Args:
        described: what `to_dict` returned, of which all is left as it is but one thing.
    """
    attributes = described["attributes"]
    own = "executor.to_dict()"
    for what, value in VALUES:
        for name, present in {**attributes, "hook": None}.items():
            placed = _placed(value, present)
            yield (
                f"{what} as the attribute {name!r}",
                {**described, "attributes": {**attributes, name: placed}},
                f'{{**{own}, "attributes": {{**{own}["attributes"], {name!r}: {placed!r}}}}}',
            )
        for key in ("attributes", "short_name", "type", "module", "py/object"):
            yield (
                f"{what} under the key {key!r}",
                {**described, key: value},
                f"{{**{own}, {key!r}: {value!r}}}",
            )
        if isinstance(value, dict):
            yield f"{what} with all else beside it", {**described, **value}, repr(value)
        yield f"{what} for a dictionary", value, repr(value)
    for name, attribute in (("os.system", "command"), ("subprocess.Popen", "args")):
        given = {"type": name, "attributes": {attribute: f"mkdir {FOLDER}/trap"}}
        yield f"the type {name!r}, with a command", given, repr(given)


def _placed(value: Any, present: Any) -> Any:
    """The value as it may stand where `present` stands: a list stays one, a dictionary too."""
    if isinstance(present, list):
        return [value]
    if isinstance(present, dict):
        return {next(iter(present), "hook"): value}
    return value


def in_folder(value: Any, folder: Path) -> Any:
    """A copy of `value` that names this folder."""
    return json.loads(json.dumps(value).replace(FOLDER, folder.as_posix()))
