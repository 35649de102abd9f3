"""SER: an executor is written down as JSON, and comes back from it."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import cloudpickle
from hypothesis import strategies as st

from ..base.attributes import type_name
from ..contract.wording import short, short_error
from ..reference_executor import LocalExecutor, ThreadExecutor
from .check import check
from .instruments.importable import class_name, not_importable
from .instruments.probes import echo, report_home
from .instruments.strategies import for_all, texts
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
    spoil,
    state,
    without_folder,
)
from .scenarios.batch import Instance
from .scenarios.description import (
    NOT_JSON_CAUSE,
    Refusal,
    described_by,
    fail_to_describe,
    json_text,
    listed,
    must_rehydrate,
    rehydrate,
    written,
    written_down,
)
from .scenarios.fresh_process import in_fresh_process
from .scenarios.used import trace, trace_of_cancelling, used_executors
from .scenarios.variations import (
    NEWER,
    Given,
    another,
    changed_throughout,
    given_to_be_read,
    like,
    others,
    with_attribute,
)
from .subject.subject import Subject

# ---- to_dict -------------------------------------------------------------------------------------


@check("SER-01")
def test_SER_01_must_be_strict_json(subject: Subject) -> None:
    described = written_down(subject, subject.build())

    if missing := {"type", "short_name"} - described.keys():
        fail_to_describe(subject, f"to_dict() has no {' and no '.join(sorted(missing))}")


@check("SER-02")
def test_SER_02_must_be_the_same_after_tasks(subject: Subject) -> None:
    written_down(subject, subject.build())

    # Every executor on which tasks of the plan have run was looked at before and after them.
    used = used_executors(subject)
    found = trace(subject, used, _changed_by_tasks)
    # Where nothing can be stopped, no task of the plan was cancelled.
    if found is None and not used.cancelled:
        found = trace_of_cancelling(
            subject.build(), lambda executor: _cancel_one(subject, executor), _changed_by_tasks
        )

    if found is not None:
        subject.fail(
            seen=f"after {found.after}, to_dict() {found.mark}",
            required="the same strict JSON before and after any task",
            cause=NOT_JSON_CAUSE
            if found.instance.written_after.problems
            else "something about one task is kept on `self`: it belongs into a variable of "
            "`run`, for one instance runs many tasks at once",
            reproduce=found.reproduction("print(executor.to_dict())"),
        )
    if used.untried:
        subject.could_not_run(f"not all tasks could be tried: {used.untried}")


def _changed_by_tasks(instance: Instance) -> str:
    """How what an executor writes down differs after its tasks; nothing where it does not."""
    before, after = instance.written_before, instance.written_after
    if before.problems:
        # With other settings than those of a fresh executor, of which SER-01 speaks.
        return ""
    if after.problems:
        return f"is not JSON: {listed(after.problems)}"
    changed = difference(before.value, after.value, "to_dict()")
    return f"is not what it was before: {changed}" if changed else ""


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


@check("SER-03")
def test_SER_03_must_share_nothing_with_its_executor(subject: Subject) -> None:
    described_by(subject, subject.build())
    executor = furnished(subject)
    described = described_by(subject, executor)

    # The very same list or dictionary, in the executor and in what it has written down ...
    _judge_shared(subject, executor, described, furnishing(subject))

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
        _set(executor, name, another(subject, name, getattr(executor, name, None)))
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

    # And what one holds that has read more than its constructor makes.
    newer = Given("", with_attribute(described, "asyncexec_newer", NEWER))
    reader = subject.build()
    if not isinstance(rehydrate(reader, copy.deepcopy(newer.dictionary)), Refusal):
        described = described_by(subject, reader, "a rehydrated executor")
        reading = f"{newer.spelled(subject)}\nexecutor.from_dict(given)\n"
        _judge_shared(subject, reader, described, reading)


def _judge_shared(subject: Subject, executor: Any, described: dict[str, Any], first: str) -> None:
    """Fail if a list or dictionary of the executor stands in what it has written down."""
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
                reproduce=f"{first}print(executor.{path} is executor.{held[key][0]})",
            )


def _set(executor: Any, name: str, value: Any) -> bool:
    try:
        setattr(executor, name, value)
    except Exception:
        return False
    return True


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
    described = written_down(subject, subject.build())
    text = json.dumps(described, allow_nan=False)
    again = subject.build()
    must_rehydrate(subject, again, json.loads(text), "what to_dict() had returned, as JSON")
    _judge_round_trip(subject, described, again)

    # With any value of its kind in each attribute, one at a time.
    attributes = described["attributes"]
    names = [name for name in attributes if not may_be_secret(name)]
    drawn = [st.tuples(st.just(name), like(subject, name, attributes[name])) for name in names]

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
        for value in others(subject, name, attributes[name]):
            judge((name, value))
        if isinstance(attributes[name], str):
            # Blanks belong to a name like any other letter.
            judge((name, f"{path_or_text(name, subject.folder)} "))
    if drawn:
        each = subject.pick(quick=4, default=10, thorough=40)
        for_all(st.one_of(drawn), judge, examples=min(20 * each, each * len(drawn)))

    # What is set on an executor is written down, too.
    source, again = subject.build(), subject.build()
    for name in DOCUMENTED:
        _set(source, name, another(subject, name, getattr(source, name, None)))
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


@check("SER-06")
def test_SER_06_must_copy_its_argument(subject: Subject) -> None:
    written_down(subject, subject.build())
    described = described_by(subject, furnished(subject))

    # Whatever is special in a dictionary may tempt to put it in order where it lies.
    for given in given_to_be_read(subject, described):
        executor, argument = subject.build(), copy.deepcopy(given.dictionary)

        refusal = rehydrate(executor, argument)

        if changed := _changed_argument(given.dictionary, argument):
            subject.fail(
                seen=without_folder(
                    subject,
                    f"from_dict changed its argument: {changed}; it was a dictionary {given.what}",
                ),
                required="the argument is as it was",
                cause="`pop`, `update`, `setdefault` or `sort` on the dictionary of the caller: "
                "work on a copy, made by copy.deepcopy",
                reproduce=f"{given.spelled(subject)}\n{_READ_AND_COMPARE}",
            )
        if not isinstance(refusal, Refusal):
            _judge_copied(subject, given, argument, executor)


def _judge_copied(subject: Subject, given: Given, argument: dict[str, Any], executor: Any) -> None:
    """Fail if an executor holds parts of the dictionary that it has read."""
    cause = (
        "from_dict takes the values as they are, or copies the outermost dictionary only: use "
        "copy.deepcopy"
    )
    before = copy.deepcopy(described_by(subject, executor, "a rehydrated executor"))
    held, read = mutable_state(executor), mutable_parts(argument, "given")
    spoil(argument)
    after = described_by(subject, executor, "a rehydrated executor")
    if changed := difference(before, after, "to_dict()"):
        subject.fail(
            seen=f"a dictionary {given.what} was changed after from_dict had read it, and the "
            f"executor with it: {without_folder(subject, changed)}",
            required="an executor that holds copies, at every depth",
            cause=cause,
            reproduce=f"{given.spelled(subject)}\n{_READ_AND_SPOIL}",
        )
    for key in held.keys() & read.keys():
        here, there = held[key][0], read[key][0]
        subject.fail(
            seen=f"from_dict was given a dictionary {given.what}, and executor.{here} is {there} "
            "itself",
            required="an executor that holds copies, at every depth",
            cause=cause,
            reproduce=f"{given.spelled(subject)}\nexecutor.from_dict(given)\n"
            f"print(executor.{here} is {there})",
        )


_READ_AND_COMPARE = """\
import json

kept = json.dumps(given)
try:
    executor.from_dict(given)
except Exception as error:
    print("refused:", repr(error))
print(kept == json.dumps(given), given)"""
_READ_AND_SPOIL = """\
executor.from_dict(given)
print(executor.to_dict())
for value in list(given["attributes"].values()):
    if isinstance(value, dict):
        value["changed"] = True
    elif isinstance(value, list):
        value.append("changed")
given["attributes"].update(dict.fromkeys(given["attributes"], "changed"))
print(executor.to_dict())"""


def _changed_argument(before: dict[str, Any], after: dict[str, Any]) -> str:
    if changed := difference(before, after, "the dictionary"):
        return changed
    one, other = json.dumps(before), json.dumps(after)
    return "" if one == other else f"it was {short(one)}, and is {short(other)}"


@check("SER-07")
def test_SER_07_must_overwrite_attributes(subject: Subject) -> None:
    written_down(subject, subject.build())
    described = copy.deepcopy(described_by(subject, furnished(subject)))

    # Each attribute in turn gets other values, falsy ones too, and its first one back.
    for name, value in described["attributes"].items():
        if may_be_secret(name):
            continue
        executor = subject.build()
        tried: list[dict[str, Any]] = []
        for wanted in (*others(subject, name, value), value):
            given = with_attribute(described, name, wanted)
            tried.append(given)
            wrong = _not_overwritten(subject, executor, given, name)
            if wrong:
                subject.fail(
                    seen=without_folder(
                        subject, f"from_dict was given {name}={short(wanted)}, and {wrong}"
                    ),
                    required="the value that the dictionary has, falsy ones too",
                    cause="an attribute that from_dict forgets, or sets only `if value`",
                    reproduce=without_folder(subject, f"tried = {tried!r}\n")
                    + "for given in tried:\n"
                    + "    executor.from_dict(given)\n"
                    + f"    print(given['attributes'][{name!r}], "
                    + "executor.to_dict()['attributes'])",
                )


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
    described = written_down(subject, subject.build())

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
    described = written_down(subject, executor)
    answer = in_fresh_process(subject, json.dumps(described, allow_nan=False))

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
    # Known to be right, and no other than the malformed thing is wrong with what is given.
    right = changed_throughout(subject, written_down(subject, subject.build()))
    without = {key: value for key, value in right.items() if key != "attributes"}
    values = st.one_of(st.integers(1, 9), st.lists(st.integers(), min_size=1, max_size=2), texts)

    def judge(malformed: tuple[str, Any, str]) -> None:
        what, given, offending = malformed
        executor = subject.build()
        before = copy.deepcopy(described_by(subject, executor))
        held = state(executor)

        refusal = rehydrate(executor, copy.deepcopy(given))

        reproduce = without_folder(
            subject, f"given = {given!r}\nprint(executor.to_dict())\n{_REFUSED}"
        )
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

    def with_key(key: Any) -> dict[str, Any]:
        return {**right, "attributes": {**right["attributes"], key: "value"}}

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
                with_key(key),
                f"the name {key!r} is no str",
            )
        ),
    )
    for_all(malformed, judge, examples=subject.pick(quick=20, default=40, thorough=200))


_REFUSED = """\
try:
    executor.from_dict(given)
except Exception as error:
    print("refused:", repr(error))
print(executor.to_dict())"""


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
    written_down(subject, subject.build())
    executor = furnished(subject)
    if wrong := _wrong_copy(executor):
        _fail_to_copy(subject, wrong, "a fresh executor", furnishing(subject))

    if subject.preflight().run_error:
        subject.could_not_run(
            "copies of a fresh executor are equal, but no task runs, after which they could be "
            "looked at"
        )
    used = used_executors(subject)
    found = trace(subject, used, lambda instance: _wrong_copy(instance.executor))
    if found is not None:
        ran = f"an executor that has run {found.after}"
        _fail_to_copy(subject, found.mark, ran, f"{found.reproduction()}\n")
    if used.untried:
        subject.could_not_run(f"not all tasks could be tried: {used.untried}")


_CANNOT_IMPORT = (
    "the class cannot be imported by its name, so that it is pickled by value, with all that its "
    "module holds; see SER-12"
)

_COPIES: Mapping[str, Callable[[Any], Any]] = {
    "copy.deepcopy(executor)": copy.deepcopy,
    "cloudpickle.loads(cloudpickle.dumps(executor))": lambda executor: cloudpickle.loads(
        cloudpickle.dumps(executor)
    ),
}


def _wrong_copy(executor: Any) -> str:
    """How a copy was made that is not equal, and what is wrong with it; nothing where all are."""
    original = written(executor)
    if original.problems:
        # After tasks, of which SER-02 speaks.
        return ""
    for how, make in _COPIES.items():
        try:
            copied = make(executor)
        except Exception as error:
            return f"{how} raised {short_error(error)}"
        found = written(copied)
        if found.problems:
            return f"{how} has a to_dict() that is not JSON: {listed(found.problems)}"
        if changed := difference(original.value, found.value, "to_dict()"):
            return f"{how} is not equal to its original: {changed}"
    return ""


def _fail_to_copy(subject: Subject, wrong: str, whose: str, first: str) -> NoReturn:
    how = next(how for how in _COPIES if wrong.startswith(how))
    subject.fail(
        seen=f"of {whose}, {wrong}",
        required="a copy whose to_dict() equals that of the original",
        cause=_CANNOT_IMPORT
        if not_importable(type_name(subject.cls), subject.cls)
        else "an attribute that cannot be copied (a lock, a queue, a client, a stream): make it "
        "when it is needed, or leave it out in __getstate__; or a __getstate__, __reduce__ or "
        "__deepcopy__ that leaves out too much",
        reproduce=f"import copy, cloudpickle\n\n{first}copied = {how}\n"
        "print(copied.to_dict() == executor.to_dict())",
    )
