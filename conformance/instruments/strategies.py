"""What hypothesis draws, and the one profile it draws with."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from unittest import mock

from hypothesis import HealthCheck, Phase, Verbosity, configuration, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

T = TypeVar("T")


def for_all(
    strategy: st.SearchStrategy[T],
    judge: Callable[[T], None],
    *,
    examples: int,
    shrink: bool = True,
) -> None:
    """Judge `examples` values drawn from `strategy`; the same ones every time.

    Every setting is given, so that neither the user's hypothesis profile nor a seed or a
    database of theirs can change a verdict. `shrink=False` is for values that cost a task each.
    """

    @_profile(examples, shrink)
    @given(strategy)
    def judge_one(value: T) -> None:
        judge(value)

    with _storage_elsewhere(), _constants_of_nobody():
        judge_one()


def play(machine: type[RuleBasedStateMachine], *, examples: int, steps: int) -> None:
    """Run `examples` sequences of at most `steps` rules of a machine; the same ones every time."""
    with _storage_elsewhere(), _constants_of_nobody():
        run_state_machine_as_test(machine, settings=_profile(examples, False, steps))


def _profile(examples: int, shrink: bool, steps: int = 50) -> settings:
    phases = [Phase.explicit, Phase.generate] + ([Phase.shrink] if shrink else [])
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=phases,
        verbosity=Verbosity.quiet,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        stateful_step_count=steps,
        backend="hypothesis",
    )


@contextlib.contextmanager
def _storage_elsewhere() -> Iterator[None]:
    """Keep hypothesis from leaving its tables of characters in the user's folder."""
    # There is no public way to ask where that is: what the setting has changed is put back.
    setting = vars(configuration)
    before = dict(setting)
    with tempfile.TemporaryDirectory(prefix="asyncexec-") as folder:
        configuration.set_hypothesis_home_dir(folder)
        users = {name: value for name, value in before.items() if setting[name] is not value}
        try:
            yield
        finally:
            setting.update(users)


@contextlib.contextmanager
def _constants_of_nobody() -> Iterator[None]:
    """Keep hypothesis from drawing constants out of the modules that the user has written.

    Otherwise the values tried would depend on what happens to be imported: on the user's other
    tests, on the order of the checks, on the worker.
    """
    providers: Any = sys.modules.get("hypothesis.internal.conjecture.providers")
    names = ("_get_local_constants", "CONSTANTS_CACHE", "Constants")
    if not all(hasattr(providers, name) for name in names):
        yield  # a version of hypothesis that draws none, or keeps them elsewhere
        return
    with mock.patch.multiple(
        providers, _get_local_constants=providers.Constants, CONSTANTS_CACHE={}
    ):
        yield


#: Any text that can be encoded, with the line ends and the controls that tools trip over.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)

json_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)

#: Values that JSON carries exactly.
json_values = st.recursive(
    json_scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)

_hashables = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    # Not the default alphabet: hypothesis takes a second to find out what UTF-8 can encode.
    st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    st.binary(max_size=10),
)

#: Values of every built-in kind that pickle carries.
picklable_values = st.recursive(
    st.one_of(
        _hashables,
        st.complex_numbers(),
        st.decimals(),
        st.fractions(),
        st.datetimes(),
        st.timedeltas(),
        st.uuids(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(_hashables, inner, max_size=4),
        st.sets(_hashables, max_size=4),
        st.frozensets(_hashables, max_size=4),
        st.binary(max_size=10).map(bytearray),
    ),
    max_leaves=10,
)
