"""SEC: what an executor lets in with a dictionary, an id or a name, and what it lets out."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ..base.attributes import type_name
from ..contract.wording import short
from .check import check
from .instruments.canary import NAME, SOURCE, Canary
from .instruments.hostile import FOLDER, dictionaries, in_folder
from .scenarios.attributes import MISSING, constructing, shown, state
from .scenarios.data_files import anonymous, foreseen, held_tasks, reproduce
from .scenarios.description import Refusal, described_by, not_json, rehydrate
from .scenarios.hostile_ids import Harm, harm_by_tasks, harm_by_writing
from .subject.exceptions import CouldNotRun
from .subject.subject import Subject

# ---- from_dict ---------------------------------------------------------------------------------


def _writable(subject: Subject) -> dict[str, Any]:
    """A dictionary for `from_dict`: what `to_dict` returns, or what it is promised to."""
    executor = subject.build()
    if not callable(getattr(executor, "from_dict", None)):
        subject.could_not_run("blocked: the executor has no from_dict, see SER-04")
    described: Any = None
    # An executor that cannot be written down may be given a dictionary all the same.
    with contextlib.suppress(Exception):
        described = executor.to_dict()
    if not isinstance(described, dict) or not isinstance(described.get("attributes"), dict):
        described = {"type": type_name(type(executor)), "short_name": "", "attributes": {}}
    return {
        **{key: value for key, value in described.items() if not not_json(value, key)},
        "attributes": {
            name: value
            for name, value in described["attributes"].items()
            if isinstance(name, str) and not not_json(value, name)
        },
    }


@check("SEC-01")
def test_SEC_01_must_run_nothing_that_a_dictionary_names(subject: Subject) -> None:
    described = _writable(subject)
    outside = subject.new_folder()
    with Canary(subject.new_folder()).laid_out() as canary:
        for what, given, spelled in dictionaries(described):
            executor, hostile = subject.build(), in_folder(given, canary.folder)
            canary.heard()

            # To refuse it is right, and so is to keep it as the text that it is. Whoever takes it
            # for a relative path makes nothing where the suite's user stands.
            with contextlib.chdir(outside):
                rehydrate(executor, hostile)

            heard = canary.heard()
            if heard:
                subject.fail(
                    seen=f"from_dict was given {what}, and it {'; it '.join(heard)}",
                    required="the dictionary is data: nothing that it names is imported, opened, "
                    "executed or unpickled",
                    cause="pickle.loads, eval, importlib.import_module, a YAML loader that is not "
                    "the safe one, jsonpickle or a shell is given something from the dictionary: "
                    "whoever can write that file or request runs code in the host",
                    reproduce=_HOSTILE_DICTIONARY.format(source=SOURCE, name=NAME, given=spelled),
                )


_HOSTILE_DICTIONARY = f"""
    import json, sys, tempfile
    from pathlib import Path

    folder = Path(tempfile.mkdtemp())
    (folder / "{{name}}.py").write_text({{source!r}})
    (folder / "bait.txt").write_text("bait")
    sys.path.insert(0, str(folder))
    given = {{given}}
    given = json.loads(json.dumps(given).replace("{FOLDER}", folder.as_posix()))
    events = ("import", "open", "exec", "os.system", "subprocess.Popen", "pickle.find_class")

    def hook(event, args):
        code = args[0] if event == "exec" else None
        told = repr((args[:2], getattr(code, "co_names", ""), getattr(code, "co_consts", "")))
        if event in events and ("{{name}}" in told or folder.name in told):
            print(event, told)

    sys.addaudithook(hook)
    try:
        executor.from_dict(given)
    except Exception as error:
        print("refused:", repr(error))
    print([path.name for path in folder.iterdir()])
"""


_SHADOWED = "replaced by the suite"
_METHODS = (
    "run",
    "setup",
    "teardown",
    "execute",
    "cancel",
    "write_streams_to_file",
    "get_dispatch_context",
    "to_dict",
    "from_dict",
    "short_name",
)
_DUNDERS = ("__class__", "__dict__", "__init__", "__doc__", "__module__", "__reduce__", "__del__")


@check("SEC-04")
def test_SEC_04_should_refuse_names_that_are_no_attributes(subject: Subject) -> None:
    described = _writable(subject)
    executor = subject.build()
    methods = [name for name in _METHODS if callable(getattr(executor, name, None))]

    taken = {
        name: how for name in (*methods, *_DUNDERS) if (how := _taken(subject, described, name))
    }

    if taken:
        first = next(iter(taken))
        subject.fail(
            seen=f"from_dict took {', '.join(map(repr, taken))} for names of attributes: "
            f"{taken[first]}",
            required="a name that is a method's, or one with two underscores on each side, is "
            "refused (ValueError for instance), and sets nothing",
            cause="`setattr` or `self.__dict__.update` for whatever names there are in the "
            "dictionary: an attribute of the instance wins over the method of its class",
            reproduce=f"""
                given = executor.to_dict()
                given["attributes"][{first!r}] = {_value_for(first)!r}
                try:
                    executor.from_dict(given)
                except Exception as error:
                    print("refused:", repr(error))
                print(vars(executor))
            """,
        )


def _value_for(name: str) -> Any:
    return {} if name == "__dict__" else _SHADOWED


def _taken(subject: Subject, described: Mapping[str, Any], name: str) -> str:
    """How `from_dict` shows that it took `name` for an attribute's; empty if it did not."""
    executor = subject.build()
    before = state(executor)
    given = {**described, "attributes": {**described["attributes"], name: _value_for(name)}}

    refusal = rehydrate(executor, given)

    # Whoever drops the name without a word has let nothing in, either.
    held = object.__getattribute__(executor, "__dict__") if hasattr(executor, "__dict__") else {}
    how = ""
    if name in held:
        how = f"executor.__dict__ has {name!r} now, {shown(held[name])}"
    elif name == "__dict__" and before and not held.keys() & before.keys():
        how = "executor.__dict__ was replaced"
    elif getattr(executor, name, MISSING) == _SHADOWED:
        how = f"executor.{name} is {_SHADOWED!r} now"
    return f"{how}, although {refusal}" if how and isinstance(refusal, Refusal) else how


# ---- to_dict -----------------------------------------------------------------------------------

_SECRET = "asyncexec-canary-secret"
_SECRET_WORDS = re.compile(
    "password|passwd|pwd|passphrase|passcode|secret|token|apikey|credentials?"
)
#: What kinds of key are no secret: those by which something is found, and those that are shown.
_OPEN_KEYS = re.compile(
    "public|primary|foreign|partition|sort|cache|object|bucket|routing|row|index|hash|host|group|"
    "dict|registry|config"
)


def names_a_secret(name: str) -> bool:
    """Whether an attribute of this name is likely to hold a secret, and not where to find one."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]
    if not words:
        return False
    if words[-1] == "key":
        return len(words) == 1 or not _OPEN_KEYS.fullmatch(words[-2])
    return _SECRET_WORDS.fullmatch(words[-1]) is not None


@check("SEC-02")
def test_SEC_02_should_write_no_secret_down(subject: Subject) -> None:
    """An executor declares what may be read by everybody: `public = frozenset({"token"})`.

    It is an attribute of the class, like `enforces` and `cannot`, and names attributes of its
    instances. Where no name speaks of a secret there is nothing to let out, and the rule is kept.
    """
    executor = subject.build()
    public = _declared_public(type(executor))
    held = state(executor)
    attributes = described_by(subject, executor)["attributes"]
    names = dict.fromkeys((*subject.parameters(), *held, *map(str, attributes)))
    for name in names:
        if {name, name.lstrip("_")} & public or not names_a_secret(name):
            continue
        entrusted = _entrusted(subject, name)
        if entrusted is not None:
            _look_for_it(subject, name, name, *entrusted)
    for name in (name for name in held if name in attributes):
        for path, key, changed in _parts(held[name]):
            if {name, name.lstrip("_"), key} & public:
                continue
            with contextlib.suppress(CouldNotRun):
                told = f"executor.{name}{path} = {_SECRET!r}"
                _look_for_it(subject, f"{name}{path}", key, subject.build(**{name: changed}), told)


def _look_for_it(subject: Subject, place: str, name: str, executor: Any, how: str) -> None:
    """End the check if an executor writes down the secret that it was given in this place."""
    found = list(_places(described_by(subject, executor), "to_dict()"))
    if found:
        subject.fail(
            seen=f"{place} was given {_SECRET!r}, and {' and '.join(found)}",
            required="no secret in plain text: hosts store what to_dict returns, show it and "
            f"send it around; or the class declares public = frozenset({{{name!r}}})",
            cause="to_dict writes down every attribute: keep a secret in an attribute whose "
            "name begins with an underscore and leave that out, or read it from a file or the "
            "environment when it is needed",
            reproduce=f"{how}\nprint(executor.to_dict())",
        )


def _parts(value: Any) -> Iterator[tuple[str, str, Any]]:
    """The parts that are named like secrets: where, the name, and all of it with the secret there.

    Of what is needed to log in they may be a part, as a password is of an account.
    """
    if not isinstance(value, dict | list):
        return
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(key, str) and names_a_secret(key):
            yield f"[{key!r}]", key, _with(value, key, _SECRET)
        for path, name, changed in _parts(item):
            yield f"[{key!r}]{path}", name, _with(value, key, changed)


def _with(value: Any, key: Any, item: Any) -> Any:
    """A copy of a dictionary or a list with another item."""
    changed = value.copy()
    changed[key] = item
    return changed


def _declared_public(cls: type) -> frozenset[str]:
    declared = getattr(cls, "public", ())
    if isinstance(declared, str):
        return frozenset({declared})
    if isinstance(declared, Collection):
        return frozenset(name for name in declared if isinstance(name, str))
    return frozenset()


def _entrusted(subject: Subject, name: str) -> tuple[Any, str] | None:
    """An executor that was given the secret under this name, and how; None if none takes it."""
    for value in (_SECRET, {"value": _SECRET}, [_SECRET]):
        if name in subject.parameters():
            with contextlib.suppress(Exception):
                arguments = {name: value}
                made = subject.construct(**arguments)
                return made, f"executor = {constructing(subject, **arguments)}"
        with contextlib.suppress(CouldNotRun):
            return subject.build(**{name: value}), f"executor.{name} = {value!r}"
    return None


def _places(value: Any, path: str) -> Iterator[str]:
    """Where in `value` the secret can be read."""
    if isinstance(value, str) and _SECRET in value:
        yield f"{path} is {short(value)}"
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str) and _SECRET in key:
                yield f"{path} has the key {short(key)}"
            yield from _places(item, f"{path}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _places(item, f"{path}[{index}]")


# ---- ids ---------------------------------------------------------------------------------------


@check("SEC-03")
def test_SEC_03_must_keep_ids_from_shells_and_within_their_directory(subject: Subject) -> None:
    # A writer may be somebody else's, and what tasks do is judged whatever becomes of it.
    done: list[Harm] = []
    if not subject.preflight().run_error:
        of_tasks = harm_by_tasks(subject)
        done += [of_tasks] if of_tasks is not None else []
    if callable(getattr(subject.build(), "write_streams_to_file", None)):
        done += harm_by_writing(subject)

    if done:
        # What a shell does is worse than what lies in the wrong place.
        done.sort(key=lambda harm: not harm.by_shell)
        subject.fail(
            seen="\n".join(map(str, done)),
            required="an id is a name and nothing else: it is refused (ValueError for instance), "
            "or it stays within its directory and reaches commands as one argument, quoted where a "
            "shell reads it",
            cause="a command or a path is put together as a text, with the id in it: pass a list "
            "of arguments without shell=True, use shlex.quote, and ask where a path leads before "
            "it is used",
            reproduce=done[0].reproduce,
        )


# ---- the files of a task -----------------------------------------------------------------------


@check("SEC-05")
def test_SEC_05_should_keep_the_data_of_a_task_to_itself(subject: Subject) -> None:
    if os.name != "posix":
        subject.could_not_run("who may read a file is not told by its mode on this system")
    subject.need_beacon()
    if subject.preflight().blocks_loop_at:
        subject.could_not_run("a running task blocks the event loop, see CNC-03: none can be held")
    for first, second in held_tasks(subject):
        open_to_others = {name: mode for name, mode in first.files.items() if mode}
        if open_to_others:
            name, mode = next(iter(open_to_others.items()))
            subject.fail(
                seen=f"while a task runs, what it was given or has printed is in the file "
                f"{anonymous(name, second.files)} with the mode {mode}",
                required="mode 0600, or a folder with the mode 0700 around it",
                cause="`open` and `Path.write_bytes` leave the mode to the umask, and that makes "
                "files that everybody reads: use tempfile, or os.open with the mode 0o600",
                reproduce=reproduce(first, name),
            )
        name = foreseen(first, second)
        if name:
            subject.fail(
                seen="while a task runs, its data is in a file whose name could be foreseen: "
                f"nothing in {name} is drawn at random",
                required="a part of the name is random: nobody can put a file or a link in its "
                "place before it is there",
                cause="a name made of the ids of a task, a counter or a process id: use "
                "tempfile.mkdtemp or secrets.token_hex",
                reproduce=reproduce(first, name),
            )
