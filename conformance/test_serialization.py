"""SER: an executor is written down as JSON, and comes back from it."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import cloudpickle
from hypothesis import strategies as st

from ..base.attributes import type_name
from ..contract.wording import short, short_error
from ..reference_executor import LocalExecutor, ThreadExecutor
from .check import check
from .instruments.importable import class_name, not_importable
from .instruments.probes import echo, report_home
from .instruments.strategies import for_all, json_values, texts
from .scenarios.attributes import (
    DOCUMENTED,
    MISSING,
    difference,
    furnished,
    furnishing,
    may_be_secret,
    mutable_parts,
    mutable_state,
    path_or_text,
    shown,
    speaks_of_files,
    spoil,
    state,
    without_folder,
)
from .scenarios.description import (
    Refusal,
    described_by,
    fail_as_json,
    fail_to_describe,
    json_text,
    must_rehydrate,
    not_json,
    rehydrate,
)
from .scenarios.fresh_process import in_fresh_process
from .scenarios.writing import file_name
from .subject.subject import Subject

# ---- to_dict -------------------------------------------------------------------------------------


@check("SER-01")
def test_SER_01_must_be_strict_json(subject: Subject) -> None:
    described = described_by(subject, subject.build())

    if problems := not_json(described, "to_dict()"):
        fail_as_json(subject, "a fresh executor", problems)
    if missing := {"type", "short_name"} - described.keys():
        fail_to_describe(subject, f"to_dict() has no {' and no '.join(sorted(missing))}")


@check("SER-02")
def test_SER_02_must_be_the_same_after_tasks(subject: Subject) -> None:
    executor = subject.build()
    before = copy.deepcopy(described_by(subject, executor))

    # One task of each kind, and a look after each.
    for how, run in (
        ("succeeded", lambda: subject.run(executor, echo, "hello")),
        ("failed", lambda: subject.run(executor, _fail)),
        ("been cancelled", lambda: _cancel_one(subject, executor)),
    ):
        run()
        whose = f"an executor on which a task has {how}"
        after = described_by(subject, executor, whose)
        reproduce = _AFTER_TASKS[how]
        if problems := not_json(after, "to_dict()"):
            fail_as_json(subject, whose, problems, reproduce)
        if changed := difference(before, after, "to_dict()"):
            subject.fail(
                seen=f"to_dict() of {whose} is not what it was before: {changed}",
                required="the same dictionary before and after any task",
                cause="something about one task is kept on `self`: it belongs into a variable of "
                "`run`, for one instance runs many tasks at once",
                reproduce=reproduce,
            )


def _fail() -> None:
    raise ValueError("a task that fails on purpose")


def _cancel_one(subject: Subject, executor: Any) -> None:
    """Run a task and cancel its host's asyncio task while it runs; its outcome is not judged."""

    async def held() -> None:
        with subject.beacon() as beacon:
            executing = asyncio.ensure_future(
                subject.execute(executor, report_home, (beacon.address,))
            )
            if await beacon.reported(1, executing):
                executing.cancel()
                # A thread that nobody can stop ends now, before it is looked at what it left.
                beacon.attempts[0].tell(do="return", value=None)
            await asyncio.wait({executing}, timeout=60)
            for attempt in beacon.attempts:
                await asyncio.wait({asyncio.wrap_future(attempt.gone)}, timeout=60)

    async def waiting(_original: Callable[..., Any], *_args: Any, **_kwargs: Any) -> None:
        started.set()
        await asyncio.Event().wait()

    async def cancelled_in_run() -> None:
        executing = asyncio.ensure_future(subject.execute(executor, echo, ("hello",)))
        await asyncio.wait(
            {executing, asyncio.ensure_future(started.wait())},
            return_when=asyncio.FIRST_COMPLETED,
        )
        executing.cancel()
        await asyncio.wait({executing}, timeout=60)

    facts = subject.preflight()
    if facts.reachable and not facts.blocks_loop_at:
        subject.drive(held)
    elif inspect.iscoroutinefunction(type(executor).run):
        started = asyncio.Event()
        with subject.recording(executor, run=waiting):
            subject.drive(cancelled_in_run)


_RUN_ONE = """
    import asyncio
    from pytest_asyncexec.conformance.subject.host import host_for

    def task():
        {body}

    print(executor.to_dict())
    print(asyncio.run(host_for(executor).execute(executor, task)))
    print(executor.to_dict())
"""
_CANCEL_ONE = """
    import asyncio, time
    from pytest_asyncexec.conformance.subject.host import host_for

    async def main():
        running = asyncio.ensure_future(host_for(executor).execute(executor, time.sleep, [10]))
        await asyncio.sleep(3)
        running.cancel()
        print(await asyncio.gather(running, return_exceptions=True))

    print(executor.to_dict())
    asyncio.run(main())
    print(executor.to_dict())
"""
_AFTER_TASKS = {
    "succeeded": _RUN_ONE.format(body="return 1"),
    "failed": _RUN_ONE.format(body='raise ValueError("on purpose")'),
    "been cancelled": _CANCEL_ONE,
}


@check("SER-03")
def test_SER_03_must_share_nothing_with_its_executor(subject: Subject) -> None:
    executor = furnished(subject)
    described = described_by(subject, executor)

    # The very same list or dictionary, in the executor and in what it has written down ...
    held = mutable_state(executor)
    if hasattr(executor, "__dict__"):
        held[id(vars(executor))] = ("__dict__", vars(executor))
    for key, (path, value) in mutable_parts(described, "to_dict()").items():
        if key in held:
            subject.fail(
                seen=f"{path} is executor.{held[key][0]} itself, {short(value)}",
                required="a copy, at every depth",
                cause="`self.__dict__.copy()` and `dict(...)` copy the names only, and share the "
                "lists and dictionaries behind them: use copy.deepcopy",
                reproduce=f"{furnishing(subject)}print(executor.{path} is executor.{held[key][0]})",
            )

    # ... or a change of one that shows in the other.
    before = copy.deepcopy(described)
    spoil(described)
    if changed := difference(before, described_by(subject, executor), "to_dict()"):
        subject.fail(
            seen="after the dictionary that to_dict() had returned was changed, the next one "
            f"differs: {changed}",
            required="a dictionary of its own for every caller",
            cause="to_dict returns an object that the executor, or its class, keeps",
            reproduce="""
                executor.to_dict()["attributes"]["changed"] = True
                print(executor.to_dict())
            """,
        )
    described = described_by(subject, executor)
    before = copy.deepcopy(described)
    for name in DOCUMENTED:
        _set(executor, name, _other(subject, name, getattr(executor, name, None)))
    if changed := difference(before, described, "to_dict()"):
        subject.fail(
            seen="an attribute of the executor was set, and a dictionary that to_dict() had "
            f"returned before has changed with it: {without_folder(subject, changed)}",
            required="a dictionary that stays as it was",
            cause="to_dict returns a live view of the executor instead of a copy",
            reproduce="""
                described = executor.to_dict()
                executor.retries = 7
                print(described["attributes"]["retries"])
            """,
        )


def _set(executor: Any, name: str, value: Any) -> bool:
    try:
        setattr(executor, name, value)
    except Exception:
        return False
    return True


def _other(subject: Subject, name: str, value: Any) -> Any:
    """Another value that an attribute `name` may have, whose present one is `value`."""
    if isinstance(value, bool):
        return not value
    if name == "time_limit" and isinstance(value, int | float):
        return -2 if value == -1 else -1
    if isinstance(value, int | float):
        return value + 1 if math.isfinite(value) else 1
    if isinstance(value, str):
        return path_or_text(name, subject.folder)
    if isinstance(value, list):
        return [*value, "added"]
    if isinstance(value, dict):
        return {**value, "added": ["by the suite"]}
    return value


# ---- from_dict -----------------------------------------------------------------------------------


@check("SER-04")
def test_SER_04_must_return_the_very_instance(subject: Subject) -> None:
    executor = subject.build()

    returned = must_rehydrate(
        subject, executor, described_by(subject, subject.build()), "what to_dict() had returned"
    )

    if returned is not executor:
        subject.fail(
            seen=f"from_dict returned {shown(returned)}, not the instance it was called on",
            required="`return self`",
            cause="no return statement, or a from_dict that builds another executor",
            reproduce="print(executor.from_dict(executor.to_dict()) is executor)",
        )


@check("SER-05")
def test_SER_05_must_come_back_equal_through_json(subject: Subject) -> None:
    # As it is; nobody may refuse that.
    described = described_by(subject, subject.build())
    text = json_text(subject, described)
    again = subject.build()
    must_rehydrate(subject, again, json.loads(text), "what to_dict() had returned, as JSON")
    _judge_round_trip(subject, described, again)

    # With any value of its kind in each attribute, one at a time.
    attributes = described["attributes"]
    names = [name for name in attributes if not may_be_secret(name)]
    drawn = [st.tuples(st.just(name), _like(subject, name, attributes[name])) for name in names]

    def judge(change: tuple[str, Any]) -> None:
        name, value = change
        given = {**described, "attributes": {**described["attributes"], name: value}}
        executor = subject.build()
        refusal = rehydrate(executor, json.loads(json.dumps(given, allow_nan=False)))
        if isinstance(refusal, Refusal):
            if refusal.is_polite:
                return
            subject.fail(
                seen=f"{refusal}, for {name}={short(value)}",
                required="the executor takes the value, or refuses it with ValueError or TypeError",
                cause="from_dict does something with the value before it looks at it",
                reproduce=_with_attribute(name, value),
            )
        _judge_round_trip(subject, given, executor, _with_attribute(name, value))

    for name in names:
        judge((name, _FALSY.get(type(attributes[name]), attributes[name])))
        if isinstance(attributes[name], str):
            # Blanks belong to a name like any other letter.
            judge((name, f"{path_or_text(name, subject.folder)} "))
    if drawn:
        each = subject.pick(quick=4, default=10, thorough=40)
        for_all(st.one_of(drawn), judge, examples=min(20 * each, each * len(drawn)))

    # What is set on an executor is written down, too.
    source, again = subject.build(), subject.build()
    for name in DOCUMENTED:
        _set(source, name, _other(subject, name, getattr(source, name, None)))
    text = json_text(subject, described_by(subject, source))
    if isinstance(rehydrate(again, json.loads(text)), Refusal):
        return
    for name in DOCUMENTED:
        mine, theirs = getattr(source, name, MISSING), getattr(again, name, MISSING)
        if changed := difference(mine, theirs, name):
            subject.fail(
                seen=without_folder(
                    subject,
                    f"{name} was set to {mine!r}, and after to_dict, JSON and from_dict {changed}",
                ),
                required="every documented attribute comes back",
                cause=f"to_dict does not write {name} down, or from_dict does not read it",
                reproduce=without_folder(
                    subject,
                    f"""
                        import json

                        again = {_preamble_build(subject)}
                        executor.{name} = {mine!r}
                        again.from_dict(json.loads(json.dumps(executor.to_dict())))
                        print(again.{name})
                    """,
                ),
            )


def _preamble_build(subject: Subject) -> str:
    return subject.target.spec.rpartition(":" if ":" in subject.target.spec else ".")[2] + "()"


def _with_attribute(name: str, value: Any) -> str:
    return f"""
        import json

        given = executor.to_dict()
        given["attributes"][{name!r}] = {value!r}
        executor.from_dict(json.loads(json.dumps(given)))
        print(given == executor.to_dict(), given, executor.to_dict())
    """


def _judge_round_trip(
    subject: Subject, given: dict[str, Any], executor: Any, reproduce: str = ""
) -> None:
    found = described_by(subject, executor, "a rehydrated executor")
    if changed := difference(given, found, "to_dict()"):
        subject.fail(
            seen=f"after a round trip through JSON {without_folder(subject, changed)}",
            required="the dictionary that was given to from_dict",
            cause="from_dict leaves out, replaces or converts a value; falsy ones are often taken "
            "for none",
            reproduce=without_folder(subject, reproduce)
            or f"""
                import json

                given = executor.to_dict()
                again = {_preamble_build(subject)}
                again.from_dict(json.loads(json.dumps(given)))
                print(given == again.to_dict(), given, again.to_dict())
            """,
        )


def _like(subject: Subject, name: str, value: Any) -> st.SearchStrategy[Any]:
    """Values of the JSON type of `value`, that an attribute `name` may reasonably have."""
    if isinstance(value, bool):
        return st.booleans()
    if name == "retries" and isinstance(value, int):
        return st.integers(0, 100)
    if name == "time_limit" and isinstance(value, int | float):
        return st.sampled_from([-1, 0, -2, -0.5])
    if isinstance(value, int):
        return st.integers()
    if isinstance(value, float):
        return st.floats(allow_nan=False, allow_infinity=False)
    if isinstance(value, str):
        if speaks_of_files(name):
            folder = subject.folder.resolve()
            names = ("some file", file_name("ünïcode"))
            return st.sampled_from(["", *(str(folder / name) for name in names)])
        return texts
    if isinstance(value, list):
        return st.lists(json_values, max_size=3)
    if isinstance(value, dict):
        return st.dictionaries(texts, json_values, max_size=3)
    return st.just(value)


@check("SER-06")
def test_SER_06_must_copy_its_argument(subject: Subject) -> None:
    described = copy.deepcopy(described_by(subject, furnished(subject)))
    # A newer plugin has written down more; an executor may refuse what it does not know.
    newer = copy.deepcopy(described)
    newer["attributes"]["asyncexec_newer"] = {"list": [1, {"of": "dictionaries"}]}

    for what, given in (("of this class", described), ("of a newer plugin", newer)):
        executor, kept = subject.build(), copy.deepcopy(given)
        refusal = rehydrate(executor, given)
        if isinstance(refusal, Refusal):
            if given is newer:
                return
            must_rehydrate(subject, executor, given, "what to_dict() had returned")

        if changed := difference(kept, given, "the dictionary"):
            subject.fail(
                seen=f"from_dict changed its argument: {changed}",
                required="the argument is as it was",
                cause="`pop`, `update` or `setdefault` on the dictionary of the caller",
                reproduce="""
                    import copy

                    given = executor.to_dict()
                    kept = copy.deepcopy(given)
                    executor.from_dict(given)
                    print(given == kept, given)
                """,
            )
        before = copy.deepcopy(described_by(subject, executor))
        spoil(given)
        if changed := difference(before, described_by(subject, executor), "to_dict()"):
            subject.fail(
                seen=f"a dictionary {what} was changed after from_dict had read it, and the "
                f"executor with it: {changed}",
                required="an executor that holds copies, at every depth",
                cause="from_dict takes the values as they are, or copies the outermost dictionary "
                "only: use copy.deepcopy",
                reproduce="""
                    given = executor.to_dict()
                    given["attributes"]["added"] = {"list": [1]}
                    executor.from_dict(given)
                    given["attributes"]["added"]["list"].append("changed")
                    given["attributes"]["retries"] = "changed"
                    print(executor.to_dict())
                """,
            )


@check("SER-07")
def test_SER_07_must_overwrite_attributes(subject: Subject) -> None:
    described = copy.deepcopy(described_by(subject, furnished(subject)))

    # Each attribute in turn gets another value, a falsy one, and its first one back.
    for name, value in described["attributes"].items():
        if may_be_secret(name):
            continue
        executor = subject.build()
        tried: list[Any] = []
        for wanted in (_other(subject, name, value), _FALSY.get(type(value), value), value):
            given = {**described, "attributes": {**described["attributes"], name: wanted}}
            tried.append(wanted)
            wrong = _not_overwritten(subject, executor, given, name)
            if wrong:
                subject.fail(
                    seen=without_folder(
                        subject, f"from_dict was given {name}={short(wanted)}, and {wrong}"
                    ),
                    required="the value that the dictionary has, falsy ones too",
                    cause="an attribute that from_dict forgets, or sets only `if value`",
                    reproduce=without_folder(
                        subject,
                        f"""
                            given = executor.to_dict()
                            for value in {tried!r}:
                                given["attributes"][{name!r}] = value
                                executor.from_dict(given)
                                print(executor.{name}, executor.to_dict()["attributes"])
                        """,
                    ),
                )


_FALSY: dict[type, Any] = {str: "", list: [], dict: {}, int: 0, float: 0.0, bool: False}


def _not_overwritten(subject: Subject, executor: Any, given: dict[str, Any], name: str) -> str:
    """What is there instead of the value in `given`; empty if that is, or if it was refused."""
    # Not every name in a dictionary is that of the attribute behind it.
    before = described_by(subject, executor)["attributes"].get(name)
    is_attribute = not difference(before, getattr(executor, name, MISSING))

    refusal = rehydrate(executor, copy.deepcopy(given))

    if isinstance(refusal, Refusal):
        return "" if refusal.is_polite else str(refusal)
    wanted = given["attributes"][name]
    places = {f"to_dict()['attributes'][{name!r}]": described_by(subject, executor)["attributes"]}
    if is_attribute:
        places[f"executor.{name}"] = {name: getattr(executor, name, MISSING)}
    for place, found in places.items():
        if difference(wanted, found.get(name, MISSING)):
            return f"{place} is {short(found[name]) if name in found else 'missing'}"
    return ""


@check("SER-08")
def test_SER_08_should_keep_what_is_missing(subject: Subject) -> None:
    described = described_by(subject, subject.build())

    for name, value in described["attributes"].items():
        older = copy.deepcopy(described)
        del older["attributes"][name]
        executor = subject.build()
        had = hasattr(executor, name)

        refusal = rehydrate(executor, older)

        seen = ""
        if isinstance(refusal, Refusal):
            seen = str(refusal)
        elif had and not hasattr(executor, name):
            seen = f"the executor has no attribute {name!r} any more"
        else:
            found = described_by(subject, executor, "the executor")["attributes"]
            if changed := difference({name: value}, {name: found.get(name, MISSING)}):
                missing = name not in found
                seen = "it is not in to_dict() any more" if missing else f"to_dict() has {changed}"
        if seen:
            subject.fail(
                seen=f"from_dict was given a dictionary without {name!r}, as an older version of "
                f"the plugin wrote it, and {seen}",
                required=f"{name} keeps what the constructor gave it, {short(value)}",
                cause="`self.__dict__ = ...` throws away what the dictionary does not name; "
                "overwrite the attributes that are there, one by one",
                reproduce=f"""
                    older = executor.to_dict()
                    del older["attributes"][{name!r}]
                    executor.from_dict(older)
                    print(executor.{name})
                """,
            )


# ---- a fresh process -----------------------------------------------------------------------------


@check("SER-09")
def test_SER_09_must_come_back_in_a_fresh_process(subject: Subject) -> None:
    executor = subject.build()
    retries = getattr(executor, "retries", None)
    if isinstance(retries, int):
        _set(executor, "retries", 1)
    described = described_by(subject, executor)
    answer = in_fresh_process(subject, json_text(subject, described))

    seen = ""
    stage = answer.get("stage", "starting")
    if stage == "importing the target":
        subject.could_not_run(f"a fresh process cannot import the target: {answer.get('error')}")
    if "error" in answer:
        seen = f"in a fresh process, {stage} ended in {answer['error']}"
    elif changed := difference(described, answer["described"], "to_dict()"):
        seen = f"in a fresh process {changed}"
    elif not answer["completed"]:
        seen = f"rehydrated in a fresh process, a trivial task came to nothing: {answer['seen']}"
    if seen:
        subject.fail(
            seen=seen,
            required="an executor that is equal to the one that was written down, and runs a task",
            cause="something that is not in to_dict() is needed (a private attribute that the "
            "constructor makes, a connection), or from_dict removes what the constructor made",
            reproduce=_FRESH_PROCESS.replace("BUILD", _import_and_build(subject)),
        )


_FRESH_PROCESS = """
import json, subprocess, sys

CODE = '''
import asyncio, json, sys
BUILD
from pytest_asyncexec.conformance.subject.host import host_for

executor = executor.from_dict(json.load(sys.stdin))
print(executor.to_dict())
print(asyncio.run(host_for(executor).execute(executor, abs, [-1])))
'''
print(executor.to_dict())
text = json.dumps(executor.to_dict())
subprocess.run([sys.executable, "-c", CODE], input=text, text=True)
"""


def _import_and_build(subject: Subject) -> str:
    separator = ":" if ":" in subject.target.spec else "."
    module, _, name = subject.target.spec.rpartition(separator)
    first = "import covalent\n" if module.startswith("covalent") else ""
    return f"{first}from {module} import {name.partition('.')[0]}\nexecutor = {name}()"


# ---- what is no dictionary of this executor ------------------------------------------------------


@check("SER-10")
def test_SER_10_must_refuse_what_is_malformed(subject: Subject) -> None:
    described = described_by(subject, subject.build())
    without = {key: value for key, value in described.items() if key != "attributes"}
    values = st.one_of(st.integers(1, 9), st.lists(st.integers(), min_size=1, max_size=2), texts)
    present = described["attributes"]
    changed = {name: _other(subject, name, value) for name, value in present.items()}

    def judge(malformed: tuple[str, Any, str]) -> None:
        what, given, offending = malformed
        executor = subject.build()
        before = copy.deepcopy(described_by(subject, executor))
        held = state(executor)

        refusal = rehydrate(executor, given)

        reproduce = f"executor.from_dict({_shown(given, described)})\nprint(executor.to_dict())"
        if not isinstance(refusal, Refusal):
            subject.fail(
                seen=f"from_dict took {what} without a word",
                required=f"a ValueError or TypeError that names what is wrong: {offending}",
                cause="from_dict does not look at the shape of what it is given",
                reproduce=reproduce,
            )
        if not _names(refusal.error, given, offending):
            subject.fail(
                seen=f"from_dict refused {what}, but {short_error(refusal.error)} does not say "
                "what is wrong with it",
                required=f"an error that names what is wrong: {offending}",
                cause="a bare assert, or an error raised without a message",
                reproduce=reproduce,
            )
        after = described_by(subject, executor, "an executor that has refused a dictionary")
        difference_seen = difference(before, after, "to_dict()") or _changed_state(
            held, state(executor)
        )
        if difference_seen:
            subject.fail(
                seen=f"from_dict refused {what} ({short_error(refusal.error)}), and the executor "
                f"is not what it was: {without_folder(subject, difference_seen)}",
                required="an instance as it was before",
                cause="the attributes are set one by one until one is refused; look at all of "
                "them before the first is set",
                reproduce=reproduce,
            )

    malformed = st.one_of(
        values.filter(bool).map(
            lambda value: (f"{short(value)} for a dictionary", value, "it is no dictionary")
        ),
        st.just(("a dictionary without 'attributes'", without, "'attributes' is missing")),
        st.one_of(st.none(), values).map(
            lambda value: (
                f"a dictionary whose 'attributes' is {short(value)}",
                {**without, "attributes": value},
                "'attributes' is no dictionary",
            )
        ),
        st.one_of(st.integers(), st.none(), st.booleans()).map(
            lambda key: (
                f"a dictionary with the attribute name {key!r}",
                {**without, "attributes": {**changed, key: "value"}},
                f"the name {key!r} is no str",
            )
        ),
    )
    for_all(malformed, judge, examples=subject.pick(quick=20, default=40, thorough=200))


def _shown(given: Any, described: dict[str, Any]) -> str:
    """The malformed argument as an expression."""
    if not isinstance(given, dict):
        return repr(given)
    if "attributes" not in given:
        return f'{{"type": {described.get("type")!r}}}'
    if not isinstance(given["attributes"], dict):
        return f'{{**executor.to_dict(), "attributes": {given["attributes"]!r}}}'
    key = list(given["attributes"])[-1]
    return f'{{**executor.to_dict(), "attributes": {{"retries": 5, {key!r}: "value"}}}}'


def _names(error: BaseException, given: Any, offending: str) -> bool:
    """Whether the text of an error speaks of the part that is wrong, or of its type."""
    try:
        said = str(error).lower()
    except Exception:
        return False
    value = given.get("attributes", given) if isinstance(given, dict) else given
    hints = {"attribute", "dict", "mapping", type(value).__name__.lower(), repr(value).lower()}
    if isinstance(value, dict):
        hints |= {"str", "key", "name", *(repr(k).lower() for k in value if type(k) is not str)}
    return bool(said.strip()) and any(hint in said for hint in hints)


def _changed_state(before: dict[str, Any], after: dict[str, Any]) -> str:
    for name in {**before, **after}:
        old, new = before.get(name, MISSING), after.get(name, MISSING)
        if old is not new and (changed := difference(old, new, f"executor.{name}")):
            return "executor." + name + " is gone" if new is MISSING else changed
    return ""


@check("SER-11")
def test_SER_11_should_refuse_another_class(subject: Subject) -> None:
    executor = subject.build()
    described = copy.deepcopy(described_by(subject, executor))
    stranger = ThreadExecutor if type(executor) is not ThreadExecutor else LocalExecutor

    # The attributes would fit: only the name tells that somebody else wrote this.
    theirs = stranger().to_dict()
    own_type = str(described.get("type", ""))
    own_name = class_name(own_type)
    theirs["type"] = own_type.replace(own_name, theirs["type"]) if own_name else theirs["type"]
    theirs["attributes"] = described["attributes"]
    refusal = rehydrate(executor, theirs)

    if not isinstance(refusal, Refusal):
        subject.fail(
            seen=f"from_dict of {type(executor).__name__} took a dictionary whose type is "
            f"{theirs['type']!r}",
            required="an error that says whose dictionary it is",
            cause="from_dict does not look at `type`; a host that mixes up two executors runs "
            "tasks with the settings of the wrong one",
            reproduce=f"""
                given = executor.to_dict()
                given["type"] = {theirs["type"]!r}
                executor.from_dict(given)
            """,
        )


@check("SER-12")
def test_SER_12_should_name_an_importable_class(subject: Subject) -> None:
    executor = subject.build()

    named = described_by(subject, executor).get("type")
    wrong = not_importable(named, type(executor))

    if wrong:
        subject.fail(
            seen=f"to_dict()['type'] is {short(named)}: {wrong}",
            required="the name of the executor's class, as in 'package.module.Class', "
            "'package.module:Class' or \"<class 'package.module.Class'>\", which another process "
            "can import",
            cause="a class defined in a script or inside a function, a module loaded from its "
            "file, or a `type` that is no name of a class",
            reproduce="print(executor.to_dict()['type'], type(executor))",
        )


# ---- copies --------------------------------------------------------------------------------------


@check("SER-13")
def test_SER_13_should_survive_copy_and_pickle(subject: Subject) -> None:
    _judge_copies(subject, furnished(subject), "a fresh executor", furnishing(subject))

    if subject.preflight().run_error:
        subject.could_not_run(f"copies of a fresh executor are equal, but {_NO_TASK}")
    executor = subject.build()
    subject.run(executor, echo, "hello")
    subject.run(executor, _fail)
    _judge_copies(
        subject,
        executor,
        "an executor that has run tasks",
        "import asyncio\n"
        "from pytest_asyncexec.conformance.subject.host import host_for\n\n"
        "asyncio.run(host_for(executor).execute(executor, abs, [-1]))\n",
    )


_CANNOT_IMPORT = (
    "the class cannot be imported by its name, so that it is pickled by value, with all that its "
    "module holds; see SER-12"
)
_NO_TASK = "no task runs, after which they could be looked at"


_COPIES: Mapping[str, Callable[[Any], Any]] = {
    "copy.deepcopy(executor)": copy.deepcopy,
    "cloudpickle.loads(cloudpickle.dumps(executor))": lambda executor: cloudpickle.loads(
        cloudpickle.dumps(executor)
    ),
}


def _judge_copies(subject: Subject, executor: Any, whose: str, first: str) -> None:
    for how, make in _COPIES.items():
        seen = ""
        try:
            copied = make(executor)
        except Exception as error:
            seen = f"{how} raised {short_error(error)}"
        else:
            described = described_by(subject, executor, whose)
            changed = difference(described, described_by(subject, copied, "the copy"), "to_dict()")
            seen = f"{how} is not equal to its original: {changed}" if changed else ""
        if seen:
            subject.fail(
                seen=f"of {whose}, {seen}",
                required="a copy whose to_dict() equals that of the original",
                cause=_CANNOT_IMPORT
                if not_importable(type_name(type(executor)), type(executor))
                else "an attribute that cannot be copied (a lock, a queue, a client, a stream): "
                "make it when it is needed, or leave it out in __getstate__; or a __getstate__, "
                "__reduce__ or __deepcopy__ that leaves out too much",
                reproduce=f"import copy, cloudpickle\n\n{first}copied = {how}\n"
                "print(copied.to_dict() == executor.to_dict())",
            )
