"""SEC: what an executor lets in with a dictionary, an id or a name, and what it lets out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..base.attributes import type_name
from ..contract.wording import short
from .check import check
from .instruments.audit import audited
from .instruments.canary import NAME, SOURCE, Canary
from .instruments.enclosure import Enclosure, enclosed
from .instruments.hostile import FOLDER, dictionaries, in_folder
from .instruments.probes import echo, report_home
from .instruments.shells import commands, is_bare
from .scenarios.attributes import MISSING, constructing, shown, state
from .scenarios.description import Refusal, described_by, not_json, rehydrate
from .scenarios.writing import reproduction, write, writer_of
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
    attributes = described_by(subject, executor)["attributes"]
    names = dict.fromkeys((*subject.parameters(), *state(executor), *map(str, attributes)))
    for name in names:
        if name.lstrip("_") in public or name in public or not names_a_secret(name):
            continue
        entrusted = _entrusted(subject, name)
        if entrusted is None:
            continue
        executor, how = entrusted
        places = list(_places(described_by(subject, executor), "to_dict()"))
        if places:
            subject.fail(
                seen=f"{name} was given {_SECRET!r}, and {' and '.join(places)}",
                required="no secret in plain text: hosts store what to_dict returns, show it and "
                f"send it around; or the class declares public = frozenset({{{name!r}}})",
                cause="to_dict writes down every attribute: keep a secret in an attribute whose "
                "name begins with an underscore and leave that out, or read it from a file or the "
                "environment when it is needed",
                reproduce=f"{how}\nprint(executor.to_dict())",
            )


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

_LOG = "asyncexec-log.txt"
_ESCAPED = "asyncexec-escaped"


def _trap(number: int) -> str:
    """The folder that the command in the id of this number makes."""
    return f"asyncexec-trap-{number}"


#: Each leads out of its folder or is a command, for one way of building paths or commands. The
#: first ones are the most telling.
_HOSTILE = (
    f"../../{_ESCAPED}",
    "dispatch; mkdir TRAP",
    "$(mkdir TRAP)",
    f"ROOT/{_ESCAPED}",
    "`mkdir TRAP`",
    "dispatch\nmkdir TRAP\n",
    "dispatch && mkdir TRAP",
    "dispatch | mkdir TRAP",
    "'; mkdir TRAP; '",
    '"; mkdir TRAP; "',
    "..",
    f"dispatch/../../{_ESCAPED}",
    "dispatch\0null",
)


def _hostile_ids(root: Path) -> list[str]:
    return [
        text.replace("TRAP", _trap(number)).replace("ROOT", str(root))
        for number, text in enumerate(_HOSTILE)
    ]


_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class _Harm:
    """What ids did, as far as this process or its file system shows."""

    def __init__(self, places: Enclosure, ids: Sequence[str], allowed: Sequence[Path]) -> None:
        self._places = places
        self._ids = ids
        self._allowed = allowed
        self._commands: list[tuple[str, str]] = []
        self._opened: list[Path] = []

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        # A file that is removed when the task is over was where it was, all the same.
        if event == "open" and isinstance(args[0], str) and args[2] & _WRITES:
            path = Path(os.path.normpath(args[0]))
            # What is relative may be so to a folder that was opened before.
            if path.is_absolute() and self._places.is_in(path, self._places.folder):
                self._opened.append(path.relative_to(self._places.folder))
        for command in commands(event, args):
            for one in self._ids:
                if is_bare(one, command):
                    self._commands.append((one, command))

    def done(self) -> list[str]:
        """What was done, in words."""
        folder = str(self._places.folder)
        told = [
            f"the shell was given {one!r} as a part of the command {short(command)}"
            for one, command in sorted(set(self._commands))
        ]
        entries = self._places.entries()
        for path in entries:
            if any(part == _trap(n) for n in range(len(_HOSTILE)) for part in path.parts):
                told.append(f"a command in an id was run: there is the folder {path.name}")
            elif self._has_escaped(path):
                told.append(f"outside of its directory there is now {path.as_posix()}")
        for path in sorted(set(self._opened) - set(entries)):
            if self._has_escaped(path):
                told.append(f"outside of its directory there was for a while {path.as_posix()}")
        return [line.replace(folder, "...") for line in told]

    def _has_escaped(self, path: Path) -> bool:
        named = any(word in path.name for word in (_LOG, _ESCAPED))
        return named and not self._places.is_in(path, *self._allowed)


@check("SEC-03")
def test_SEC_03_must_keep_ids_from_shells_and_within_their_directory(subject: Subject) -> None:
    executor = subject.build()
    if callable(getattr(executor, "write_streams_to_file", None)):
        for number in range(len(_HOSTILE)):
            _judge_writing(subject, number)
    if not subject.preflight().run_error:
        _judge_tasks(subject, subject.pick(quick=3, default=4, thorough=len(_HOSTILE)))


_IDS_REQUIRED = (
    "an id is a name and nothing else: it is refused (ValueError for instance), or it stays within "
    "its directory and reaches commands as one argument, quoted where a shell reads it"
)
_IDS_CAUSE = (
    "a command or a path is put together as a text, with the id in it: pass a list of arguments "
    "without shell=True, use shlex.quote, and ask where a path leads before it is used"
)


def _judge_writing(subject: Subject, number: int) -> None:
    folder = subject.new_folder()
    dispatch_id = _hostile_ids(folder)[number]
    executor = writer_of(subject)
    with enclosed(folder, home=True) as places:
        harm = _Harm(places, [dispatch_id], [places.results])
        with audited(harm.hear):
            write(subject, executor, ["text\n"], [_LOG], places.results, dispatch_id)
        done = harm.done()
    if done:
        shown_id = dispatch_id.replace(str(folder), "...")
        spelled = repr(shown_id).replace("'...", "str(folder) + '")
        subject.fail(
            seen=f"write_streams_to_file with the dispatch id {shown_id!r}: {'; '.join(done)}",
            required=_IDS_REQUIRED,
            cause=_IDS_CAUSE,
            reproduce=reproduction(
                'results = folder.joinpath("a", "b", "c", "results")',
                "results.mkdir(parents=True)",
                "os.chdir(folder)",
                f'write(["text\\n"], [{_LOG!r}], {spelled}, results)',
                "print(sorted(folder.rglob('*')))",
            ),
        )


def _judge_tasks(subject: Subject, count: int) -> None:
    """Run tasks of these ids, all at once."""
    folder = subject.new_folder()
    ids = _hostile_ids(folder)[:count]
    with enclosed(folder) as places:
        wanted = {"log_stdout": _LOG, "cache_dir": str(places.cache)}
        try:
            executor = subject.build(**wanted)
        except CouldNotRun:
            executor = subject.build()
        allowed = [places.results, places.cache, places.temporary]
        harm = _Harm(places, ids, allowed)

        async def story() -> None:
            tasks = [(one, 0) for one in ids] + [("dispatch", one) for one in ids[:2]]
            await asyncio.gather(
                *(
                    subject.execute(
                        executor,
                        echo,
                        ["hello"],
                        dispatch_id=dispatch_id,
                        node_id=node_id,  # type: ignore[arg-type]
                        results_dir=places.results,
                    )
                    for dispatch_id, node_id in tasks
                )
            )

        with subject.following(executor), audited(harm.hear):
            subject.drive(story)
        done = harm.done()
    if done:
        subject.fail(
            seen=f"tasks with the dispatch ids {ids!r}, and with node ids likewise: "
            f"{'; '.join(done)}".replace(str(folder), "..."),
            required=_IDS_REQUIRED,
            cause=_IDS_CAUSE,
            reproduce=f"""
                import asyncio, os, sys, tempfile
                from pathlib import Path
                from pytest_asyncexec.conformance.subject.host import host_for

                def hook(event, args):
                    if event == "open" and str(folder) in str(args[0]):
                        print("opened:", os.path.normpath(args[0]))

                folder = Path(tempfile.mkdtemp())
                sys.addaudithook(hook)
                results = folder.joinpath("a", "b", "c", "results")
                cache = folder.joinpath("a", "b", "c", "cache")
                cache.mkdir(parents=True)
                executor.log_stdout, executor.cache_dir = {_LOG!r}, str(cache)
                os.chdir(folder)
                for text in {_HOSTILE[:count]!r}:
                    text = text.replace("TRAP", "trap").replace("ROOT", str(folder))
                    for ids in ({{"dispatch_id": text}}, {{"node_id": text}}):
                        print(asyncio.run(host_for(executor).execute(
                            executor, abs, [-1], results_dir=str(results), **ids)))
                print(sorted(folder.rglob("*")))
            """,
        )


# ---- the files of a task -----------------------------------------------------------------------

#: A task's data: what it is given and what it prints.
_DATA = "asyncexec-data-of-a-task"


@check("SEC-05")
def test_SEC_05_should_keep_the_data_of_a_task_to_itself(subject: Subject) -> None:
    if os.name != "posix":
        subject.could_not_run("who may read a file is not told by its mode on this system")
    subject.need_beacon()
    # The same task twice, as far as anybody knows who is not told.
    first, second = (_files_of_a_held_task(subject) for _ in range(2))

    open_to_others = {name: mode for name, mode in first.items() if mode}
    if open_to_others:
        name, mode = next(iter(open_to_others.items()))
        subject.fail(
            seen=f"while a task runs, what it was given or has printed is in the file "
            f"{_anonymous(name, second)} with the mode {mode}",
            required="mode 0600, or a folder with the mode 0700 around it",
            cause="`open` and `Path.write_bytes` leave the mode to the umask, and that makes files "
            "that everybody reads: use tempfile, or os.open with the mode 0o600",
            reproduce=_HELD_TASK,
        )
    foreseen = [name for name in first if any(_foreseeable(name, other) for other in second)]
    if foreseen:
        subject.fail(
            seen="while a task runs, its data is in a file whose name could be foreseen: "
            f"{foreseen[0]}, twice for two tasks"
            if foreseen[0] in second
            else "while a task runs, its data is in a file whose name could be foreseen: only a "
            f"number counts up in {re.sub('[0-9]+', 'N', foreseen[0])}",
            required="a part of the name is random: nobody can put a file or a link in its place "
            "before it is there",
            cause="a name made of the ids of a task, a counter or a process id: use "
            "tempfile.mkdtemp or secrets.token_hex",
            reproduce=_HELD_TASK,
        )


def _files_of_a_held_task(subject: Subject) -> dict[str, str]:
    """The files that hold data of a task that runs, and how open to others they are.

    Each name is the path from the cache or from the folder for temporary files; what is empty
    instead of a mode is closed to others.
    """
    umask = os.umask(0o022)
    try:
        with enclosed(subject.new_folder()) as places, subject.beacon() as beacon:
            try:
                executor = subject.build(cache_dir=str(places.cache))
            except CouldNotRun:
                executor = subject.build()

            async def story() -> dict[str, str]:
                executing = asyncio.ensure_future(
                    subject.execute(
                        executor,
                        report_home,
                        (beacon.address, _DATA),
                        dispatch_id="dispatch",
                        results_dir=places.results,
                    )
                )
                if not await beacon.reported(1, executing):
                    seen = await executing
                    subject.could_not_run(f"the task whose files were to be seen ended: {seen}")
                attempt = beacon.attempts[0]
                if subject.preflight().captures_streams:
                    await asyncio.wrap_future(attempt.ask(do="print", text=f"{_DATA}\n"))
                found = await asyncio.to_thread(_data_files, places)
                attempt.tell(do="return", value=None)
                await asyncio.wait({executing}, timeout=60)
                return found

            with subject.following(executor):
                return subject.drive(story)
    finally:
        os.umask(umask)


def _data_files(places: Enclosure) -> dict[str, str]:
    found: dict[str, str] = {}
    for root in (places.cache, places.temporary):
        for path in sorted(root.rglob("*")):
            # It may be gone again, or be no file that can be read at all.
            with contextlib.suppress(OSError):
                if path.is_file() and _DATA.encode() in path.read_bytes():
                    found[path.relative_to(root).as_posix()] = _open_mode(path, root)
    return found


def _open_mode(path: Path, root: Path) -> str:
    """The mode of a file that others can read, who can also enter all folders below `root`."""
    mode = path.stat().st_mode
    above = [parent.stat().st_mode for parent in path.parents if root in parent.parents]
    closed = not mode & 0o077 or any(not folder & 0o077 for folder in above)
    return "" if closed else f"{mode & 0o777:04o}"


def _foreseeable(name: str, other: str) -> bool:
    """Whether two names are the same but for numbers that count up, as process ids do.

    A number that was drawn among a million or more lies further from the next one.
    """
    if re.split(r"\d+", name) != re.split(r"\d+", other):
        return False
    numbers = zip(re.findall(r"\d+", name), re.findall(r"\d+", other), strict=True)
    return all(abs(int(one) - int(another)) < 1_000_000 for one, another in numbers)


def _anonymous(name: str, others: Iterable[str]) -> str:
    """A name without the parts of it that are other ones in the names `others`."""
    known = {part for other in others for part in other.split("/")}
    return "/".join(part if part in known else "(random)" for part in name.split("/"))


_HELD_TASK = """
    import asyncio, os, tempfile
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(folders):
        import os
        for folder in folders:
            for path, _, names in os.walk(folder):
                for name in names:
                    file = os.path.join(path, name)
                    print(file, *(oct(os.stat(it).st_mode) for it in (file, path)))

    executor.cache_dir, tempfile.tempdir = tempfile.mkdtemp(), tempfile.mkdtemp()
    for _ in range(2):
        print(asyncio.run(host_for(executor).execute(
            executor, task, [[executor.cache_dir, tempfile.tempdir]], dispatch_id="dispatch")))
"""
