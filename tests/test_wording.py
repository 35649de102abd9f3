"""Values and errors in few words."""

from __future__ import annotations

import traceback

from pytest_asyncexec.contract.wording import short_error


def test_of_a_traceback_its_last_line_is_told() -> None:
    try:
        raise ValueError("in the worker")
    except ValueError:
        told = traceback.format_exc()

    assert short_error(RuntimeError(told)) == "RuntimeError: ValueError: in the worker"
    assert short_error(RuntimeError(f"it died\n{told}")).endswith(": ValueError: in the worker")


def test_of_a_long_message_beginning_and_end_are_told() -> None:
    told = "1 validation error\nlabels.node\n  Input should be a string\n    See the manual"

    assert short_error(ValueError(told)) == (
        "ValueError: 1 validation error labels.node Input should be a string See the manual"
    )
    lines = "\n".join(map(str, range(100)))
    assert short_error(ValueError(lines)) == "ValueError: 0 1 2 ... 99"
    assert short_error(ValueError("x" * 2000)).endswith("x... (2,000 characters)")


def test_an_error_without_a_message_is_its_type() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise KeyError

    assert short_error(ValueError(" \n")) == "ValueError"
    assert short_error(Silent()) == "Silent (whose message raises KeyError)"
