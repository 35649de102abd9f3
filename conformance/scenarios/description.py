"""What an executor has written down of itself, and what it makes of such a dictionary."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from ...contract.wording import short, short_error
from ..subject.subject import Subject
from .attributes import shown

#: Whose dictionary it is that SER-01 speaks of.
FRESH = "a fresh executor"


def described_by(subject: Subject, executor: Any, whose: str = FRESH) -> dict[str, Any]:
    """What `to_dict` of `executor` returns, at the least a dictionary with its attributes."""
    try:
        described = executor.to_dict()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        fail_to_describe(subject, f"to_dict() of {whose} raised {short_error(error)}", whose)
    if inspect.iscoroutine(described):
        described.close()
    if not isinstance(described, dict):
        fail_to_describe(subject, f"to_dict() of {whose} returned {short(described)}", whose)
    if not isinstance(described.get("attributes"), dict):
        got = short(described["attributes"]) if "attributes" in described else "missing"
        fail_to_describe(subject, f"to_dict()['attributes'] of {whose} is {got}", whose)
    return described


def fail_to_describe(subject: Subject, seen: str, whose: str = FRESH) -> NoReturn:
    subject.fail(
        seen=seen,
        required='a dictionary {"type": ..., "short_name": ..., "attributes": {name: value, ...}}',
        cause="an attribute whose value cannot be written down, or a to_dict of another shape",
        reproduce="print(executor.to_dict())",
        because="SER-01" if whose == FRESH else "",
    )


@dataclass(frozen=True, slots=True)
class Written:
    """What an executor has written down of itself at one moment."""

    #: As strict JSON, or nothing where it is none.
    text: str = ""
    #: Why it is none, line by line.
    problems: tuple[str, ...] = ()

    @property
    def value(self) -> Any:
        return json.loads(self.text) if self.text else None


def written(executor: Any) -> Written:
    """What `to_dict` of an executor returns now; never raises."""
    try:
        described = executor.to_dict()
        if inspect.iscoroutine(described):
            described.close()
        problems = not_json(described, "to_dict()")
        text = "" if problems else json.dumps(described, allow_nan=False)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return Written("", (f"to_dict() raised {short_error(error)}",))
    return Written(text, tuple(problems))


def written_down(subject: Subject, executor: Any) -> dict[str, Any]:
    """What a fresh executor has written down, as strict JSON.

    Every check that gives such a dictionary back asks for it here: where there is none, all of them
    end in the finding of SER-01.
    """
    described = described_by(subject, executor)
    if problems := not_json(described, "to_dict()"):
        fail_as_json(subject, FRESH, problems)
    return described


def json_text(subject: Subject, described: dict[str, Any]) -> str:
    """The JSON text of a dictionary; a finding if it has none."""
    if problems := not_json(described, "to_dict()"):
        fail_as_json(subject, FRESH, problems)
    return json.dumps(described, allow_nan=False)


def not_json(value: Any, path: str, above: tuple[int, ...] = ()) -> list[str]:
    """Every place in `value` that is none of JSON's own values, and why."""
    if value is None or isinstance(value, bool | int | str):
        return []
    if isinstance(value, float):
        return [] if math.isfinite(value) else [f"{path} is {value!r}, which JSON does not have"]
    if id(value) in above:
        return [f"{path} contains itself"]
    above = (*above, id(value))
    if isinstance(value, list):
        return [p for i, item in enumerate(value) for p in not_json(item, f"{path}[{i}]", above)]
    if isinstance(value, dict):
        keys = [
            f"{path} has the key {short(key)}, which is no str"
            for key in value
            if not isinstance(key, str)
        ]
        items = value.items()
        return keys + [p for k, item in items for p in not_json(item, f"{path}[{k!r}]", above)]
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    return [f"{path} is {shown(value, 80)}, of type {kind}"]


def fail_as_json(
    subject: Subject, whose: str, problems: list[str], reproduce: str = ""
) -> NoReturn:
    subject.fail(
        seen=f"to_dict() of {whose} is not JSON: {listed(problems)}",
        required="str, int, finite float, bool, None, and lists and dictionaries of these with "
        "str as keys, so that to_dict() == json.loads(json.dumps(to_dict(), allow_nan=False))",
        cause=NOT_JSON_CAUSE,
        reproduce=reproduce
        or """
            import json

            described = executor.to_dict()
            print(described)
            print(json.loads(json.dumps(described, allow_nan=False)) == described)
        """,
        because="SER-01" if whose == FRESH else "",
    )


NOT_JSON_CAUSE = (
    "an attribute that is no setting (a queue, a client, a stream, a Path) is written down "
    "with the settings: keep it in a variable of `run`, or leave it out in to_dict"
)


def listed(lines: Sequence[str], limit: int = 6) -> str:
    rest = [f"and {len(lines) - limit} more"] if len(lines) > limit else []
    return ";\n".join([*lines[:limit], *rest])


def rehydrate(executor: Any, described: Any) -> Any:
    """What `from_dict` returns, or the error in which it ended."""
    try:
        returned = executor.from_dict(described)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Refusal(error)
    if inspect.iscoroutine(returned):
        returned.close()
    return returned


class Refusal:
    """An error out of `from_dict`."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    @property
    def is_polite(self) -> bool:
        """Whether it is one by which an executor may refuse a value that it does not like."""
        return isinstance(self.error, TypeError | ValueError)

    def __str__(self) -> str:
        return f"from_dict raised {short_error(self.error)}"


def must_rehydrate(subject: Subject, executor: Any, described: Any, what: str) -> Any:
    """Call `from_dict` with something that nobody has a reason to refuse; what it returned."""
    returned = rehydrate(executor, described)
    if isinstance(returned, Refusal):
        subject.fail(
            seen=f"{returned}, for {what}",
            required="an executor that takes what an executor of its class has written down",
            cause="to_dict and from_dict do not speak of the same names",
            reproduce="executor.from_dict(executor.to_dict())",
        )
    return returned
