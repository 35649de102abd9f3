"""Why a rule is broken, as data: the parts of the message that its author reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .wording import printable


@dataclass(frozen=True, slots=True)
class Moment:
    """One step of one call of `setup`, `run` or `teardown`, in words; see `history.Event`."""

    call: int
    method: str
    step: str
    task: str
    error: str = ""

    def __str__(self) -> str:
        tail = f": {self.error}" if self.error else ""
        return f"{self.method} {self.step}{tail}  [{self.task}]"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen of a broken rule, what would have been right, and how to see it again."""

    seen: str
    required: str
    cause: str = ""
    #: The events under the executor in their order; None where none were recorded.
    history: tuple[Moment, ...] | None = None
    #: Lines of Python that show it without pytest.
    reproduction: str = ""
    #: The id of the rule of which this is seen only because it is broken, too; or "".
    because: str = ""

    def __str__(self) -> str:
        parts = [f"  seen:      {_indented(self.seen)}"]
        parts.append(f"  required:  {_indented(self.required)}")
        if self.history is not None:
            parts.append(f"  history:\n      {_indented(numbered(self.history), 6)}")
        if self.cause:
            parts.append(f"  likely cause: {_indented(self.cause)}")
        if self.reproduction:
            lines = _indented(self.reproduction, 6)
            parts.append(f"  to see it without pytest:\n      {lines}")
        return "\n".join(parts)

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON values, with every text printable."""
        found: dict[str, Any] = _printable(asdict(self))
        return found

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Finding:
        """The finding that `to_json` gave."""
        moments = found["history"]
        history = None if moments is None else tuple(Moment(**moment) for moment in moments)
        return cls(**{**found, "history": history})


def numbered(history: tuple[Moment, ...]) -> str:
    """The moments in lines, one each."""
    if not history:
        return "(neither setup, run nor teardown was called)"
    return "\n".join(f"{number:>3}  {moment}" for number, moment in enumerate(history, 1))


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {name: _printable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(inner) for inner in value]
    return value


def _indented(text: str, columns: int = 13) -> str:
    return text.replace("\n", "\n" + " " * columns)
