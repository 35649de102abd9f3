"""Pickling by value, with the names of the files that code comes from."""

import io
import types
from collections import ChainMap
from typing import Any, ClassVar

import cloudpickle

__all__ = ["dumps"]

#: Where `types.CodeType` takes the name of the file.
_FILE_NAME = 10


def dumps(value: Any) -> bytes:
    """Pickle `value` as cloudpickle does; code that travels by value keeps its file's name.

    Whoever loads it needs cloudpickle, and nothing of this package.

    Raises whatever cloudpickle and the value's own methods raise where it cannot be pickled.
    """
    with io.BytesIO() as file:
        _Pickler(file).dump(value)
        return file.getvalue()


def _reduced(code: types.CodeType) -> tuple[Any, ...]:
    """Reduce code as cloudpickle does, and put the name of its file back.

    From 3.1.3 on cloudpickle replaces it. A traceback in the worker then shows no line of the
    source, `inspect.getsource` finds none, and warnings cannot be filtered by their place.
    """
    reduced: tuple[Any, ...] = cloudpickle.Pickler.dispatch_table[types.CodeType](code)
    make, args, *rest = reduced
    if make is not types.CodeType:
        return reduced  # to run without the name is better than not at all
    # A string of its own, as cloudpickle has it: otherwise the bytes depend on what is shared.
    name = "".join(code.co_filename)
    return make, (*args[:_FILE_NAME], name, *args[_FILE_NAME + 1 :]), *rest


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    dispatch_table: ClassVar[Any] = ChainMap(
        {types.CodeType: _reduced}, cloudpickle.Pickler.dispatch_table
    )
