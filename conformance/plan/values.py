"""The values that tasks are given and return, by the words for them.

Made afresh on both sides, so that nothing has to be carried to know what was to arrive. Every
function here stands alone or uses others of this package: it travels by value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..instruments.sameness import same


def make(name: str, own: str = "") -> Any:
    """The value that these words stand for.

    Args:
        name: a value of the condition `result`.
        own: a text that no other task has; the usual result.
    """
    one: list[int] = [1]

    def fraction() -> type:
        import fractions

        return fractions.Fraction

    class WithoutTruth:
        """As an array: equal to its like, and neither true nor false."""

        def __init__(self) -> None:
            self.items = [0, 1]

        def __bool__(self) -> bool:
            raise ValueError("the truth value of this object is ambiguous")

        def __eq__(self, other: object) -> bool:
            return bool(type(other).__name__ == "WithoutTruth" and vars(other) == vars(self))

        __hash__ = None  # type: ignore[assignment]

    class Scale:
        def __init__(self, factor: int) -> None:
            self.factor = factor

        def __eq__(self, other: object) -> bool:
            return bool(type(other).__name__ == "Scale" and vars(other) == vars(self))

        __hash__ = None  # type: ignore[assignment]

    # As a class of a script: no worker can import it.
    Scale.__module__, Scale.__qualname__ = "__main__", "Scale"
    makers: dict[str, Any] = {
        "a text": lambda: own,
        "None": lambda: None,
        "0": lambda: 0,
        "False": lambda: False,
        "True": lambda: True,
        "0.0": lambda: 0.0,
        "an empty text": lambda: "",
        "an empty list": list,
        "an empty dict": dict,
        "an empty tuple": tuple,
        "an empty set": set,
        "empty bytes": lambda: b"",
        "a text with white space around it": lambda: f"\n \t{own}  \r\n",
        "one list twice": lambda: [one, one],
        "an instance of a class of __main__": lambda: Scale(7),
        "a text of 1 MiB": lambda: own + "x" * (1 << 20),
        "bytes of every value": lambda: bytes(range(256)) * 2,
        "a dict whose keys are not sorted": lambda: {"b": 1, "a": [2], "c": None},
        "a dict with keys of several types": lambda: {1: "int", "1": "text", (1, "1"): "tuple"},
        "a tuple of four": lambda: (own, "stdout", "stderr", "FAILED"),
        "a tuple in a tuple": lambda: (1, (2, (3,))),
        "an exception": lambda: ValueError("returned, not raised"),
        "an object without a truth value": WithoutTruth,
        "a lone surrogate": lambda: "\ud800 alone",
        "line ends of every kind": lambda: "one\r\ntwo\rthree\n\x85four\u2028",
        "NaN": lambda: float("nan"),
        "an int of 5,000 digits": lambda: 10**5000,
        "a function": lambda: abs,
        "a set in a list": lambda: [{1, 2}, frozenset({3})],
        "a class": fraction,
        "a text that reads as JSON": lambda: "[0, 1]",
        "bytes that read as a text": lambda: b"text\n",
        # What cannot be compressed.
        "bytes of 17 MiB": noise,
    }
    return makers[name]()


def noise() -> bytes:
    """17 MiB that cannot be compressed."""
    import random

    return random.Random(17).randbytes(17 << 20)


def arguments(name: str, own: str = "") -> list[Any]:
    """The positional arguments that these words stand for, a value of the condition `arguments`."""
    one = [own]

    def namespace() -> Any:
        import types

        return types.SimpleNamespace(items=[1])

    makers: dict[str, Any] = {
        "plain": lambda: [own, 1],
        "falsy": lambda: [0, "", [], None, False, {}, b"", 0.0, ()],
        "one list twice": lambda: [one, one],
        "with white space around them": lambda: [f" {own}\n", "\t", "\r\n"],
        "of 1 MiB": lambda: [own, "y" * (1 << 20)],
        "none": list,
        "of many types": lambda: [
            own,
            (1, (2,)),
            {3, 4},
            b"\x00\xff",
            {1: "int", "1": "text"},
            float("inf"),
            10**5000,
            ValueError("an argument"),
            int,
            len,
            "grün, 漢字",
            [{"key": [1]}],
            ({"key": {"key": [1]}},),
            bytearray(b"text"),
            namespace(),
        ],
        "of 17 MiB": lambda: [noise()],
    }
    given: list[Any] = makers[name]()
    return given


def named(name: str, own: str = "") -> dict[str, Any]:
    """The keyword arguments that these words stand for, a value of the condition `names`."""
    given: dict[str, dict[str, Any]] = {
        "none": {},
        "named as the host's own": {
            "function": own,
            "args": [1],
            "kwargs": {"kwargs": 2},
            "self": 3,
            "timeout": 0.5,
            "task_metadata": None,
            "dispatch_id": "one",
            "node_id": 4,
            "results_dir": "another",
        },
        "named as in libraries": dict.fromkeys(
            (
                *("func", "fn", "f", "callable", "target", "executor", "loop", "context", "name"),
                *("key", "workers", "resources", "retries", "priority", "pure", "actor"),
                *("allow_other_workers", "fifo_timeout", "chunksize", "initializer", "daemon"),
                *("env", "cwd", "shell", "input", "stdin", "stdout", "stderr", "check", "text"),
                *("time_limit", "metadata", "job_handle", "callback", "kwds", "instance", "cls"),
                *("method", "wait", "block", "obj", "data", "result", "error", "status", "value"),
            ),
            own,
        ),
        "not sorted": {"zeta": own, "alpha": 0, "mu": "", "beta": None},
        "not ASCII": {"größe": own, "漢字": 1},
    }
    return given[name]


def printed(name: str, own: str = "") -> str:
    """What a task writes to its stdout, for a value of the condition `prints`."""
    return "" if name.endswith("to stderr alone") else said(name, f"{own} to stdout")


def to_stderr(name: str, own: str = "") -> str:
    """The same for its stderr; no text that goes to the one is part of what goes to the other."""
    return "" if name.endswith("to stdout alone") else said(name, f"{own} to stderr")


def said(name: str, own: str) -> str:
    """A text for a value of the condition `prints`, with words that no other text has."""
    texts: dict[str, Callable[[], str]] = {
        "nothing": lambda: "",
        "a line": lambda: f"{own}, a line\n",
        "a line without its end": lambda: f"{own}, no end",
        "line ends of every kind": lambda: f"{own}\r\none\rtwo\n\r\n\x0b\x0c\x1c\x85\u2028\n\n",
        "a line of 200 KB": lambda: f"{own} {'z' * 200_000}\n",
        # One byte first, so that characters lie across the ends of every usual buffer.
        "1 MB of three-byte characters": lambda: f"a{'語' * 350_000} 🎉 {own}",
        "17 MB in lines": lambda: f"{own} {'y' * 70}\n" * 180_000,
        "a line to stdout alone": lambda: f"{own}, alone\n",
        "a line to stderr alone": lambda: f"{own}, alone\n",
        "to the descriptor": lambda: f"{own}, past Python\n",
        "by a child process": lambda: f"{own}, by a child\n",
        "by C code": lambda: f"{own}, by C code\n",
        "white space around it": lambda: f"\n  \t{own} \n \n\n",
        "controls": lambda: f"\x00{own}\x1b[31m\x08\x7f\x07\ufeff\n",
    }
    return texts[name]()


def ends_attempt(number: int, own: str = "") -> str:
    """What an attempt prints last, where it is one of several (0: it is not) and prints at all."""
    return f"[attempt {number} of {own}]\n" if number else ""


def message(end: str, own: str = "") -> str:
    """What an error says, for a value of the condition `end`."""
    texts = {
        "raises an error of many lines": f"{own} first line\n  second line\n\nlast line of {own}",
        "raises an error of 100,000 characters": f"{own} " + "m" * 100_000 + f" ends {own}",
        "raises an error without a message": "",
        "raises an error whose message is not ASCII": f"{own} grün 漢字 % {{0}} %s",
        "calls sys.exit(3)": "",
        "ends its process": "",
    }
    return texts.get(end, f"{own} went wrong")


def difference(sent: Any, arrived: Any, name: str = "", verb: str = "arrived as") -> str:
    """How what arrived differs from what was sent, in words; nothing where it does not.

    Args:
        name: of the whole; the part that differs is told by it.
        verb: what became of it.
    """
    if not same(sent, arrived):
        if type(sent) is type(arrived) and len_of(sent) == len_of(arrived):
            pairs: Any = ()
            if isinstance(sent, list | tuple):
                pairs = [(n, sent[n], arrived[n]) for n in range(len(sent))]
            elif isinstance(sent, dict) and list(sent) == list(arrived):
                pairs = [(key, sent[key], arrived[key]) for key in sent]
            for place, before, after in pairs:
                if not same(before, after):
                    return difference(before, after, f"{name}[{place!r}]", verb)
        return f"{name} was {in_words(sent)}, and {verb} {in_words(arrived)}".strip()
    twice = isinstance(sent, list) and len(sent) == 2 and sent[0] is sent[1]
    if twice and arrived[0] is not arrived[1]:
        return "was one list twice, and arrived as two lists that are equal"
    return ""


def len_of(value: Any) -> int:
    """The length of a value that has one."""
    return len(value) if hasattr(value, "__len__") else -1


def in_words(value: Any) -> str:
    """A value in few words, with its type."""
    if isinstance(value, str | bytes | bytearray) and len(value) > 500:
        unit = "characters" if isinstance(value, str) else "bytes"
        return f"{len(value):,} {unit} ({type(value).__name__}) that begin with {value[:20]!r}"
    if type(value) is int and value.bit_length() > 256:
        return f"an int of {value.bit_length():,} bits"  # Python refuses to write the longest ones
    try:
        text = repr(value)
    except Exception as error:
        text = f"<its repr raises {type(error).__name__}>"
    if len(text) > 80:
        text = f"{text[:80]}... ({len(text):,} characters)"
    return f"{text} ({type(value).__name__})"
