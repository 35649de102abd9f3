"""The values that tasks are given and return, by the words for them.

Made afresh on both sides, so that nothing has to be carried to know what was to arrive. Every
function here stands alone or uses others of this package: it travels by value.
"""

from __future__ import annotations

from typing import Any

from ..instruments.sameness import same


def make(name: str, own: str = "") -> Any:
    """The value that these words stand for.

    Args:
        name: a value of the condition `result`.
        own: a text that no other task has; the usual result.
    """
    import fractions

    one: list[int] = [1]

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
        "a class": lambda: fractions.Fraction,
        "bytes of 17 MiB": lambda: bytes(range(256)) * (17 << 12),
    }
    return makers[name]()


def arguments(name: str, own: str = "") -> list[Any]:
    """The positional arguments that these words stand for, a value of the condition `arguments`."""
    one = [own]
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
        ],
        "of 17 MiB": lambda: [bytes(range(256)) * (17 << 12)],
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
        },
        "not sorted": {"zeta": own, "alpha": 0, "mu": "", "beta": None},
        "not ASCII": {"größe": own, "漢字": 1},
    }
    return given[name]


def printed(name: str, own: str = "") -> str:
    """What a task writes to its stdout, for a value of the condition `prints`."""
    texts = {
        "nothing": "",
        "a line": f"{own} says a line\n",
        "a line without its end": f"{own} says no end",
        "line ends of every kind": f"{own}\r\none\rtwo\n\r\n\n",
        "a line of 200 KB": own + "z" * 200_000 + "\n",
        # One byte first, so that characters lie across the ends of every usual buffer.
        "1 MB of three-byte characters": "a" + "語" * 350_000 + own,
        "to the descriptor": f"{own} says it to the descriptor\n",
        "by a child process": f"{own} says it by a child\n",
        "white space around it": f"\n  \t{own} \n \n\n",
        "a line to stderr alone": "",
    }
    return texts[name]


def to_stderr(name: str, own: str = "") -> str:
    """What a task writes to its stderr, for a value of the condition `prints`."""
    if name == "a line to stderr alone":
        return f"E{own} says a line to stderr alone\n"
    text = printed(name, own)
    return text and f"E{text}"


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


def difference(sent: Any, arrived: Any) -> str:
    """How what arrived differs from what was sent, in words; nothing where it does not."""
    if not same(sent, arrived):
        return f"was {in_words(sent)}, and arrived as {in_words(arrived)}"
    twice = isinstance(sent, list) and len(sent) == 2 and sent[0] is sent[1]
    if twice and arrived[0] is not arrived[1]:
        return "was one list twice, and arrived as two lists that are equal"
    return ""


def in_words(value: Any) -> str:
    """A value in few words, with its type."""
    if type(value) is int and value.bit_length() > 256:
        return f"an int of {value.bit_length():,} bits"  # Python refuses to write the longest ones
    try:
        text = repr(value)
    except Exception as error:
        text = f"<its repr raises {type(error).__name__}>"
    if len(text) > 80:
        text = f"{text[:80]}... ({len(text):,} characters)"
    return f"{text} ({type(value).__name__})"
