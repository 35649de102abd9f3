"""The JSON Schemas of what this package writes, and the validation by them."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from importlib import resources
from typing import Any, Literal

Name = Literal["report", "certificate", "badge"]


class SchemaError(ValueError):
    """A document does not have the form that its schema describes; the message says where."""


def schema(name: Name) -> dict[str, Any]:
    """The JSON Schema (draft 7) with this name."""
    text = resources.files(__name__).joinpath(f"{name}.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def validate(name: Name, document: object) -> None:
    """See that a document has the form that the schema describes.

    Raises:
        SchemaError: it has not.
    """
    try:
        _validator(name)(document)
    # By its base: the module that the validator was made with may have been imported anew since.
    except ValueError as error:
        raise SchemaError(str(error).replace("data.", "", 1)) from None


@functools.cache
def _validator(name: Name) -> Callable[[object], object]:
    import fastjsonschema

    validator: Callable[[object], object] = fastjsonschema.compile(schema(name))
    return validator
