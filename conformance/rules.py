"""The catalogue: one entry per rule of the executor contract, the only place a rule is stated.

Markers, header, verdicts and reports are made of it, and so are `pytest --asyncexec-rules` and
docs/rules.md. Whoever adds a rule adds an entry here, and nothing else in this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ..imports import near

Obligation = Literal["MUST", "SHOULD"]
Level = Literal["core", "resilient", "hardened"]
Profile = Literal["quick", "default", "thorough"]

CONTRACT_VERSION = "1.0"

#: From the least to the most demanding; each level includes the ones before it.
LEVELS: tuple[Level, ...] = ("core", "resilient", "hardened")

#: What a rule may need of an executor before it can be judged.
NEEDS: Mapping[str, str] = MappingProxyType(
    {
        "static": "an instance; no backend",
        "run": "tasks really run",
        "shared-files": "tasks and the suite see the same file system",
        "streams": "what tasks print is captured",
        "cancel": "a `cancel` of the executor's own",
        "stop": "a running task can be stopped",
        "local-process": "tasks run in a worker process on this machine",
    }
)


#: The needs that an executor may declare it does not meet, in its attribute `cannot`.
DECLARABLE = frozenset({"stop", "streams", "shared-files"})


@dataclass(frozen=True, slots=True)
class Chapter:
    """The rules whose ids begin with the same three letters."""

    title: str
    source: str


#: In the order of the contract.
CHAPTERS: Mapping[str, Chapter] = MappingProxyType(
    {
        "CON": Chapter(
            "construction and interface",
            source="documented attributes and signatures of AsyncBaseExecutor",
        ),
        "SER": Chapter(
            "to_dict and from_dict",
            source='documentation of to_dict and from_dict: "JSON-serializable", "rehydrate"',
        ),
        "LIF": Chapter("lifecycle", source="documentation of setup, run and teardown"),
        "RES": Chapter(
            "results, errors, output of tasks",
            source='documentation of run: "the result of the function execution"',
        ),
        "STR": Chapter(
            "write_streams_to_file",
            source="documentation of write_streams_to_file, log_stdout and log_stderr",
        ),
        "TIM": Chapter(
            "time limits", source='documented attribute time_limit: "time limit for the task"'
        ),
        "RET": Chapter(
            "retries",
            source='documented attribute retries: "times to retry execution upon failure"',
        ),
        "CTX": Chapter("get_dispatch_context", source="documentation of get_dispatch_context"),
        "CAN": Chapter(
            "cancellation", source="documentation of cancel; asyncio's rules of cancellation"
        ),
        "CNC": Chapter("concurrency", source="hosts share executor instances between tasks"),
        "HYG": Chapter("what is left behind", source="hosts run for weeks"),
        "SEC": Chapter(
            "what is let in", source="hosts rehydrate dictionaries that they did not write"
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One sentence of the contract, under an id that never changes its meaning."""

    id: str
    obligation: Obligation
    level: Level
    needs: tuple[str, ...]
    sentence: str
    #: What goes wrong for the users of a platform when the rule is broken.
    why: str = ""
    #: How the check decides it.
    how: str = ""
    #: Where the promise was made that this rule holds an executor to.
    source: str = ""
    #: The version of the contract that stated it first.
    since: str = "1.0"

    @property
    def chapter(self) -> str:
        """The three letters that begin the id."""
        return self.id[:3]

    def __str__(self) -> str:
        return f"{self.id} ({self.obligation}, {self.level}): {self.sentence}"


class UnknownContract(LookupError):
    """A version of the contract that this catalogue does not hold; the message helps."""


def rules_of(version: str) -> Mapping[str, Rule]:
    """The rules of one version of the contract, by id.

    Raises:
        UnknownContract: the catalogue does not hold that version.
    """
    known = sorted({rule.since for rule in RULES.values()} | {CONTRACT_VERSION}, key=_number)
    if version not in known:
        raise UnknownContract(f"this kit has no contract {version!r}; it knows {', '.join(known)}")
    return {i: rule for i, rule in RULES.items() if _number(rule.since) <= _number(version)}


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


class UnknownRule(LookupError):
    """A word that is neither the id of a rule nor of a chapter; the message helps."""


def look_up(word: str) -> list[Rule]:
    """The rule with this id, or the rules of this chapter.

    Raises:
        UnknownRule: there is neither.
    """
    wanted = word.strip().upper()
    found = [rule for rule in RULES.values() if wanted in (rule.id, rule.chapter)]
    if not found:
        chapters = dict.fromkeys(rule.chapter for rule in RULES.values())
        hint = near(word, [*RULES, *chapters]) or f"The chapters are {', '.join(chapters)}."
        raise UnknownRule(f"the contract has no rule and no chapter {word!r}.\n  {hint}")
    return found


def _rule(
    head: tuple[str, Obligation, Level, str],
    sentence: str,
    *,
    why: str,
    how: str,
    source: str = "",
    since: str = "1.0",
) -> Rule:
    """One entry: id, obligation, level and needs, then prose in which line ends mean nothing."""
    rule_id, obligation, level, needs = head
    prose = (sentence, why, how, source or CHAPTERS[rule_id[:3]].source)
    sentence, why, how, source = (" ".join(text.split()) for text in prose)
    return Rule(rule_id, obligation, level, tuple(needs.split()), sentence, why, how, source, since)


_CATALOGUE = (
    # ---- CON: construction and interface -------------------------------------------------------
    _rule(
        ("CON-01", "MUST", "core", "static"),
        """The class (or factory) builds an instance without raising, printing, opening a
        socket, changing the environment or the working directory.""",
        why="""A host builds executors only to read them: in its web server, its scheduler, for
        every node of a workflow. A constructor that connects or changes the process does so in
        all of these places, and without a backend nothing can even be configured.""",
        how="""Two executors are built under an audit hook that notes sockets, changes of the
        environment and of the working directory; what is printed is captured.""",
    ),
    _rule(
        ("CON-02", "MUST", "core", "static"),
        """An instance has the five documented attributes, of their documented types: three
        paths as `str`, `time_limit` a number and not a bool, `retries` an int and not a bool.""",
        why="""Hosts compare, add and join these attributes without looking. A published Dask
        plugin hands its arguments to the base class in another order: its `time_limit` is an
        empty string and its `retries` are `False`.""",
        how="""The five attributes of an executor, as the target builds it, are read and their
        types compared; a `time_limit` of NaN is a finding, too.""",
        source="the attributes that the documentation of AsyncBaseExecutor lists",
    ),
    _rule(
        ("CON-03", "MUST", "core", "static"),
        """Every constructor parameter with an attribute of the same name keeps the value it was
        given, falsy values too (`0`, `""`, `False`).""",
        why="""`value or default` takes 0 for no value: in a published Slurm plugin
        `poll_freq=0` silently becomes the configured interval. A user who switches something
        off finds it still on.""",
        how="""One constructor argument at a time is given a falsy value of its kind and another
        one, and the attribute of its name is read. A value that is refused is not lost.""",
    ),
    _rule(
        ("CON-04", "MUST", "core", "static"),
        """`run`, `setup`, `teardown`, `write_streams_to_file` are coroutine functions and
        accept the documented parameters by the names hosts use. A synchronous executor is
        judged by the synchronous form of the same rule.""",
        why="""A host calls these methods with keywords and awaits them. A plain function, or a
        parameter of another name, ends in a `TypeError` in the middle of a task, and for
        `teardown` after the work was done.""",
        how="""The documented call is bound to the signature of each method, by position and by
        name as hosts do; whether it is a coroutine function is asked of the innermost function
        under decorators.""",
        source="""AsyncBaseExecutor: "the `run()` method, together with the optional `setup()`
        and `teardown()` methods, are coroutines" (documentation of the class)""",
    ),
    _rule(
        ("CON-05", "MUST", "core", "static"),
        """`cancel`, where overridden, accepts `(task_metadata, job_handle)` and is a coroutine
        function.""",
        why="""The first time that a wrong signature shows is when somebody wants to stop a job
        that costs money. The `cancel` of a published SSH plugin takes no arguments, so that
        every cancellation ends in a `TypeError`.""",
        how="""Both documented arguments are bound to its signature, by position and by name, and
        it must be a coroutine function (of a synchronous executor, a plain one). The `cancel` of
        this package's base class is right for both.""",
        source='documentation of cancel: "cancel the job identified uniquely by the `job_handle`"',
    ),
    _rule(
        ("CON-06", "SHOULD", "core", "static"),
        "An unknown keyword argument is refused with `TypeError`.",
        why="""A misspelt setting that is taken without a word is a setting that does nothing:
        with `retires=3` a user believes in retries until the first failure at night.""",
        how="The constructor is given the argument `retires=3` (sic), and must raise `TypeError`.",
    ),
    _rule(
        ("CON-07", "SHOULD", "core", "static"),
        """`time_limit` and `retries` outside their domain are refused with `ValueError` or
        `TypeError`.""",
        why="""A limit of `"60"` or NaN compares with nothing, and `retries=-1` may mean no
        attempt at all. Said at construction it is a typing mistake; found later it is a lost
        night.""",
        how="""`time_limit` is given NaN, `True`, a string and a list, `retries` -1, `True`, a
        fraction and a string; each must be refused. Whether None is refused is the executor's
        choice.""",
    ),
    _rule(
        ("CON-08", "MUST", "core", "static"),
        """Two instances share no mutable state with each other, with the arguments given or
        with module defaults.""",
        why="""Hosts hold many instances of one class. In a published Slurm plugin all of them
        share one list of `postrun_commands`, so that a command added for one workflow runs in
        every other one.""",
        how="""The mutable objects that two instances hold, at any depth, are compared by
        identity: with each other, and with lists and dictionaries given to both of their
        constructors.""",
    ),
    _rule(
        ("CON-09", "SHOULD", "core", "static"),
        "Building an instance touches no file.",
        why="""Executors are built on machines where no task will ever run: a laptop, a web
        server with a read-only home. A published Slurm plugin makes its cache folder there, or
        cannot be built.""",
        how="""Executors are built under an audit hook: as always, with an empty home, and with
        each path argument in turn in a folder that does not exist. Files made, changed or removed
        are named; reading is fine.""",
    ),
    # ---- SER: to_dict and from_dict ------------------------------------------------------------
    _rule(
        ("SER-01", "MUST", "core", "static"),
        "`to_dict()` of a fresh executor is strict JSON (`allow_nan=False`, string keys).",
        why="""The host stores this dictionary in its database as JSON. A `Path` kept as it
        came, as a published Slurm plugin does with `cache_dir`, makes the workflow impossible
        to submit.""",
        how="""Every value of the dictionary is looked at, at any depth, and what JSON does not
        have is named with its place; the keys `type` and `short_name` must be there.""",
        source='documentation of to_dict: "JSON-serializable dictionary representation of self"',
    ),
    _rule(
        ("SER-02", "MUST", "core", "run"),
        """It is strict JSON again after tasks have succeeded, failed and been cancelled, and
        equal to what it was before.""",
        why="""Covalent's base class keeps the queues and streams of the last task on `self`,
        and so in this dictionary: an executor that has run once cannot be written down again,
        nor used in a second workflow.""",
        how="""On one instance a task succeeds, one fails and one is cancelled; after each, the
        dictionary must be strict JSON and equal to the one from before.""",
        source='documentation of to_dict: "JSON-serializable dictionary representation of self"',
    ),
    _rule(
        ("SER-03", "MUST", "core", "static"),
        "It shares nothing mutable with the executor: changing either leaves the other alone.",
        why="""A host edits the dictionary for its records (it masks a key, adds a label). Where
        that is the executor's own list, as after `__dict__.copy()`, the next task runs with the
        edited settings.""",
        how="""Mutable objects of the dictionary and of the executor are compared by identity;
        then each is changed, and the other looked at.""",
    ),
    _rule(
        ("SER-04", "MUST", "core", "static"),
        "`from_dict` returns the very instance.",
        why="""Hosts write `executor = Executor().from_dict(stored)`. A `from_dict` without a
        return leaves them with None, and the failure is reported far from its cause.""",
        how="What `from_dict` returns is compared with the instance by `is`.",
        source='documentation of from_dict: "Returns: self"',
    ),
    _rule(
        ("SER-05", "MUST", "core", "static"),
        """For any JSON-representable attribute values, through JSON text and into a fresh
        instance, `to_dict()` comes back equal.""",
        why="""Every task is run by an executor that went through JSON. A setting that is lost
        or converted on the way is a setting that the user gave and the task never saw.""",
        how="""What an executor has written down is given back as it is, and with one attribute at
        a time replaced by a value of its kind, falsy ones first and then drawn by hypothesis; the
        dictionaries are compared, and a value may be refused politely. Documented attributes that
        are set on an executor must come back, too.""",
        source='documentation of from_dict: "Rehydrate a dictionary representation"',
    ),
    _rule(
        ("SER-06", "MUST", "core", "static"),
        "`from_dict` copies deeply and changes nothing of its argument.",
        why="""The host goes on using the dictionary, for the next instance and for its records.
        If the executor holds parts of it, two executors made from one record change each other.""",
        how="""The argument, once as written down and once with an attribute nobody knows, is
        compared with a copy from before; then everything in it is changed, and `to_dict` of the
        executor must stay as it was.""",
    ),
    _rule(
        ("SER-07", "MUST", "core", "static"),
        "Instance attributes present in the dictionary are overwritten.",
        why="""An attribute that keeps the constructor's value runs tasks with a default that
        nobody chose: with another account, another queue, no limit.""",
        how="""Each attribute whose name does not speak of a secret is given another value, a
        falsy one and its first one; the dictionary and the attribute must show it, unless the
        value is refused politely.""",
        source='documentation of from_dict: "Instance attributes will be overwritten"',
    ),
    _rule(
        ("SER-08", "SHOULD", "core", "static"),
        """An attribute missing from the dictionary (an older plugin wrote it) keeps the
        constructor's value.""",
        why="""Workflows outlive plugin versions. `self.__dict__ = stored` drops every attribute
        that a newer version has added, and yesterday's workflow ends in an `AttributeError`.""",
        how="""Each attribute in turn is left out of the dictionary, and must afterwards be what
        the constructor gave it.""",
    ),
    _rule(
        ("SER-09", "MUST", "core", "run"),
        "An executor rehydrated in a fresh process from JSON text is equal and runs tasks.",
        why="""That is what a host does: the user's process writes the executor down, and
        another one, later and elsewhere, runs its tasks. A private attribute that only the
        constructor makes is missing there.""",
        how="""A new interpreter gets the name of the target and the JSON text, and builds and
        rehydrates an executor; its `to_dict` must be the same, and a task must complete.""",
        source='documentation of from_dict: "Rehydrate a dictionary representation"',
    ),
    _rule(
        ("SER-10", "MUST", "core", "static"),
        """A malformed dictionary is refused with an error that names what is wrong, and the
        instance is unchanged.""",
        why="""A record that was cut off or mixed up must stop there and say so. Taken in part,
        it gives an executor that is half of each and fails in the middle of somebody's task.""",
        how="""No dictionary at all, no `attributes`, attributes of another type, and names that
        are no strings, drawn by hypothesis: each must raise, name the part, and leave `to_dict`
        and the attributes as they were.""",
    ),
    _rule(
        ("SER-11", "SHOULD", "core", "static"),
        "A dictionary of another executor class is refused.",
        why="""Two executors swapped in a host's records would run tasks with the settings of
        the other: its address, its credentials. Only `type` tells them apart.""",
        how="""A dictionary with the right attributes and the `type` of another class, in the
        same notation, must be refused.""",
    ),
    _rule(
        ("SER-12", "SHOULD", "core", "static"),
        "`type` names an importable class and holds no file path.",
        why="""Covalent's own executors name a class in `/home/.../site-packages/...`: on the
        next machine nothing has that path, and the record tells strangers who you are.""",
        how="""The name in `type` is imported, and must be the class of the executor or one that
        it derives from.""",
    ),
    _rule(
        ("SER-13", "SHOULD", "core", "static"),
        """`copy.deepcopy` and a cloudpickle round trip give an equal executor, fresh and after
        tasks.""",
        why="""Hosts copy executors for each node and send them to workers. A lock, a queue or a
        process pool among the attributes makes the first copy fail, often only after the first
        task.""",
        how="""`copy.deepcopy` and a cloudpickle round trip are made of a fresh executor and of
        one that has run a task that succeeded and one that failed; `to_dict` of copy and
        original must be equal.""",
    ),
    # ---- LIF: lifecycle ------------------------------------------------------------------------
    _rule(
        ("LIF-01", "MUST", "core", "run"),
        "Every attempt happens after `setup` and before `teardown` of its bracket.",
        why="""`setup` starts the machine and `teardown` gives it back. An attempt outside of
        the two finds no machine, or one that is being taken away.""",
        how="""`setup`, `run` and `teardown` are recorded with their beginnings and ends, for a
        task that succeeds and one that fails, with a retry where one can be set; the history must
        match `(setup run+ teardown)+`.""",
    ),
    _rule(
        ("LIF-02", "MUST", "core", "run"),
        "In a bracket `setup` and `teardown` are awaited exactly once.",
        why="""A second `setup` starts a second machine, for which nobody has the name any more;
        a `teardown` that is begun and not awaited leaves the first one running.""",
        how="""In the recorded history, where both methods take a little longer than they would,
        each bracket has to hold one `setup` and one `teardown`, run to their ends.""",
    ),
    _rule(
        ("LIF-03", "MUST", "core", "run"),
        "`teardown` is awaited when `run` raised.",
        why="""A task that fails is when clean-up matters: users run it again at once, and each
        time one more machine, container or lock file stays behind.""",
        how="""`run` is replaced by one that raises, five kinds of error one after the other,
        among them those that become a status; each history must hold a `teardown`.""",
        source='documentation of teardown: "executor specific cleanup/teardown actions"',
    ),
    _rule(
        ("LIF-04", "MUST", "core", "run"),
        """When `setup` raises, `run` is not called, `teardown` is, and the caller sees the
        setup error.""",
        why="""A `setup` that fails half-way has already acquired something, and only `teardown`
        can give it back. Running the task all the same hides why it then fails.""",
        how="""The executor's own `setup` runs and then raises: `run` must not follow, `teardown`
        must, and the message of the error must reach the caller, who may not be told
        COMPLETED.""",
        source="decision of the contract: what a half-made setup acquired must not leak",
    ),
    _rule(
        ("LIF-05", "MUST", "core", "run"),
        "An error in `teardown` neither hides the error of `run` nor loses its result.",
        why="""In Covalent's base class an error in `teardown` leaves the `finally` and takes
        the place of whatever went before: hours of work, or the reason for a failure, are gone
        for a temporary file that could not be removed.""",
        how="""`teardown` raises after its work, once after a `run` that returned and once after
        one that raised; result and error must both reach the caller.""",
        source="decision of the contract: hours of work must not vanish",
    ),
    _rule(
        ("LIF-06", "MUST", "core", "run"),
        "`setup`, `run`, `teardown` get equal `task_metadata` with the documented keys.",
        why="""The three methods find what belongs to one task by this dictionary: the folder
        that `setup` made is the one that `run` fills and `teardown` removes.""",
        how="""The dictionaries with which the three methods are called are recorded, and
        compared with what `execute` was given; further keys are welcome.""",
        source='documentation of run: "Current keys are `dispatch_id` and `node_id`"',
    ),
    _rule(
        ("LIF-07", "SHOULD", "core", "run"),
        "What one of them changes in `task_metadata` is not seen by the next.",
        why="""One shared dictionary is a back channel: a `setup` that changes `node_id` sends
        `run` to another folder. Plugins that pass notes in it break with the first host that
        hands out copies.""",
        how="""`setup` and `run` each add a key to the dictionary that they are given; it may not
        be there when a later method is called.""",
    ),
    _rule(
        ("LIF-08", "MUST", "core", "run"),
        "The same instance runs a second task, after success and after failure.",
        why="""Hosts keep one instance per configuration for all of its tasks. Something closed
        or left over by the first one, a client or a flag, spoils everything after it.""",
        how="""On one instance a task follows a successful one, and another a failed one; both
        must complete with their own results.""",
    ),
    _rule(
        ("LIF-09", "MUST", "core", "run"),
        "`execute` on a fresh executor needs no further initialisation.",
        why="""A host knows `execute` and nothing else. What an extra `connect()` has to prepare
        is missing wherever an executor is made from its dictionary.""",
        how="`execute` is the first call on each of two new instances, and must complete.",
    ),
    _rule(
        ("LIF-10", "SHOULD", "core", "run"),
        "A teardown error is visible: raised, attached as a note, or in the returned `stderr`.",
        why="""An error of `teardown` means that something is still there, and somebody pays for
        it. Only logged, or dropped, nobody looks.""",
        how="""`teardown` raises after its work; its message must be found in the error, its
        notes, or the returned `stderr`, after a success and after a failure.""",
        source="decision of the contract: a machine left running must not go unseen",
    ),
    _rule(
        ("LIF-11", "SHOULD", "core", "run"),
        """`teardown` copes with any beginning: after a failed or missing `setup`, a `run` that
        never started, and when called twice.""",
        why="""`teardown` runs when something has gone wrong, and then half of what it wants to
        free was never made. A published Slurm plugin asks for files that only a submitted job
        has, and leaves its connection open when there are none.""",
        how="""`teardown` is called after a `setup` that raised at its beginning or at its end,
        without a `setup`, after a `run` that did nothing, and twice; it must never raise.""",
    ),
    # ---- RES: results, errors, output of tasks -------------------------------------------------
    _rule(
        ("RES-01", "MUST", "core", "run"),
        "Arguments, keyword arguments and results arrive unchanged, for any picklable values.",
        why="""A workflow passes the result of one task into the next. A value that changes its
        type on the way (a tuple to a list, an int key to a string) is a wrong result without an
        error.""",
        how="""A task gives its arguments back: values of many special types, and lists of values
        drawn by hypothesis. Types are compared at every depth, NaN and negative zero too.""",
        source='documentation of run: "output: The result of the function execution"',
    ),
    _rule(
        ("RES-02", "MUST", "core", "run"),
        "Lambdas, closures and functions of `__main__` run (cloudpickle).",
        why="""Users write tasks in scripts and notebooks. Plain pickle carries such a function
        by its name, which no worker can import.""",
        how="""A lambda, closures and functions of a `__main__` that no worker has are run as
        they are, and must return what they return here.""",
    ),
    _rule(
        ("RES-03", "MUST", "core", "run"),
        "A payload of 8 MiB each way arrives unchanged.",
        why="""Buffers, argument lists and one single `recv` have limits far below a small data
        frame. Such an executor works in its tutorial, and fails with the first real array.""",
        how="""A task gets 8 MiB of random bytes, returns their hash and the bytes in reverse
        order; both are compared.""",
    ),
    _rule(
        ("RES-04", "MUST", "core", "run"),
        """A task that raises is never COMPLETED: its error is raised, or the status is FAILED;
        its message is found in the error, its notes or stderr.""",
        why="""A failed task reported as COMPLETED is the worst there is: the next one works
        with a missing result, and a workflow ends green and wrong.""",
        how="""Tasks raise three kinds of error with a random word in the message; the call must
        raise or say FAILED, and the word must be found. So must the message of an error that
        `run` raises after writing the same words to its stderr.""",
        source="""decision of the contract: TaskRuntimeError becomes the status FAILED, any
        other error is raised""",
    ),
    _rule(
        ("RES-05", "SHOULD", "core", "run"),
        "The task's traceback, with the failing line, is found in the error or in stderr.",
        why="""Far from the task, `KeyError: 3` alone is a riddle. The traceback exists on the
        worker; not to send it back makes every user add prints and run for hours again.""",
        how="""A task fails in a known line; its text, or its number beside the name of the
        function, must be found in what the caller is told.""",
    ),
    _rule(
        ("RES-06", "MUST", "core", "run streams"),
        """What a task prints is returned as `stdout`/`stderr`, whole and to the right task, and
        not printed by the host.""",
        why="""With a task far away its output is all that a user has. Covalent's base class
        keeps the streams on `self`, so that the output of one task is shown as that of another.""",
        how="""Two tasks one after the other print thousands of lines to both streams in turn;
        each stream must come back whole, without the words of the other or of the task before,
        and the host's own streams must hold none of it.""",
        source='documented attribute log_stdout: "the file to be used for redirecting stdout"',
    ),
    _rule(
        ("RES-07", "MUST", "core", "run"),
        "Arguments the host holds are not changed by a task.",
        why="""In this process a task can sort the caller's own list; far away it sorts a copy.
        A workflow that was developed with one executor then gives other results with the next.""",
        how="""A task changes lists, dictionaries, sets and bytearrays, nested ones too, in its
        arguments; the objects of the host are compared afterwards.""",
        source="decision of the contract: near and far behave alike",
    ),
    _rule(
        ("RES-08", "MUST", "resilient", "run"),
        "`SystemExit` in a task is a failed task; the host goes on.",
        why="""`sys.exit()` is how scripts end, and users paste them into tasks. In an executor
        of this process it ends the host, and with it the tasks of everybody else.""",
        how="""Tasks call `sys.exit()` with several codes. Each must be a failure that `except
        Exception` catches, nothing may leave the host's event loop, and the next task must
        complete.""",
        source="decision of the contract: any error of a task is a failed task",
    ),
    _rule(
        ("RES-09", "MUST", "resilient", "run"),
        """A worker that dies (`os._exit`) is a failed task within bounded time, and the next
        task works.""",
        why="""Workers are killed: by the kernel when memory is short, by a cluster that wants
        the node back. A broken pool that hangs, or fails every task after that, needs a person
        to restart the host.""",
        how="""Tasks end their worker by `os._exit` with the codes 3 and 0 and, except in the
        quick profile, by SIGKILL; each must be told as a failure, and the next task must
        complete. Where tasks run in the host's own process, the rule is not applicable.""",
    ),
    _rule(
        ("RES-10", "MUST", "resilient", "run"),
        """A result, function or argument that cannot be serialised is a failed task with a
        clear message, never a hang, and the next task works.""",
        why="""Open files, locks and generators are returned every day. Some pools lose such a
        result without a word and wait for it for ever.""",
        how="""Arguments, functions and results that cannot be serialised are tried in turn. Each
        must be a failure that names the type or speaks of serialisation, or complete where
        nothing is serialised, and the next task must complete.""",
    ),
    _rule(
        ("RES-11", "MUST", "core", "run"),
        """Keyword arguments named `function`, `args`, `kwargs`, `self`, `timeout` or
        `task_metadata` reach the task.""",
        why="""Wrappers between host and task have parameters of their own: `def call(function,
        args, timeout=None)`. A user's keyword of that name is eaten, or ends in "multiple
        values for argument".""",
        how="A task is given keyword arguments of nine such names, and returns them.",
    ),
    _rule(
        ("RES-12", "MUST", "resilient", "run"),
        """An odd exception (a class that cannot be unpickled, made inside the task, an
        `ExceptionGroup`, chained, with notes) is a failure that names type and message, and the
        next task works.""",
        why="""Exceptions of real libraries demand arguments, hold connections, come in groups.
        One that cannot be rebuilt in the host breaks the whole pool in some executors, and
        hides the reason in most.""",
        how="""Tasks raise exceptions that cannot be unpickled or exist in the task only, groups,
        chains and notes; the type, and the message where it can be had, must be found in the
        error, its notes or stderr, and the next task must complete.""",
    ),
    _rule(
        ("RES-13", "SHOULD", "hardened", "run streams"),
        """Output is captured at file-descriptor level: `os.write`, child processes and C code
        too; what a killed task had printed is kept.""",
        why="""Compilers, MPI and everything that a task starts write to the file descriptor and
        not to `sys.stdout`. Their words are what explains most failures on a cluster.""",
        how="""A task writes with `os.write`, by a child process and by C's `puts`; each word must
        come back. What a task had flushed before its worker died or, except in the quick profile,
        before its limit stopped it, must be in its outcome or its logs.""",
    ),
    # ---- STR: write_streams_to_file ------------------------------------------------------------
    _rule(
        ("STR-01", "MUST", "core", "static"),
        "A relative path is written to `results_dir/dispatch_id/path`.",
        why="""The host shows a task's log from this very path. Joined in any other way it is
        somewhere, and the page of the task stays empty.""",
        how="""Plain names, names with spaces, folders, percent signs and other scripts are
        written; exactly that file must be there.""",
        source='documentation of write_streams_to_file: "location of the results directory"',
    ),
    _rule(
        ("STR-02", "MUST", "core", "static"),
        "An absolute path is written as it is.",
        why="""Who names an absolute path has chosen it: a mounted share, a folder that is
        collected. With `results_dir` put in front, the log is where nobody looks.""",
        how="""A stream is written to an absolute path outside of `results_dir`; that file, and
        no other, must be there.""",
    ),
    _rule(
        ("STR-03", "MUST", "core", "static"),
        """`~` is expanded, in `filepaths` and `results_dir`; nothing is left under the
        unexpanded name.""",
        why="""Covalent's base class makes folders below the expanded path and opens the
        unexpanded one: with `~/logs` in the configuration every task ends in
        `FileNotFoundError`, after its work.""",
        how="""`~` is given in a path, in `results_dir` and in both, with a home and a working
        directory made for the occasion; files and litter in both are listed.""",
    ),
    _rule(
        ("STR-04", "MUST", "core", "static"),
        "Missing parent directories are made.",
        why="""The first task of a dispatch is the first to write there: nobody else has made
        the folder.""",
        how="Streams are written to a relative and an absolute path, several missing folders deep.",
    ),
    _rule(
        ("STR-05", "MUST", "core", "static"),
        "Text is appended: what was there stays.",
        why="""A retry, or a second stream with the same file, would otherwise erase what
        explains the first failure.""",
        how="""Six streams, two of them empty, go in three calls to one file that holds bytes of
        somebody else's; its bytes are compared.""",
    ),
    _rule(
        ("STR-06", "MUST", "core", "static"),
        "An empty path is skipped and the others are still written.",
        why="""An empty path is what the default `log_stdout=""` means: no log for this stream.
        Taken for a path it is the folder of the dispatch, and the other log is lost with it.""",
        how="""Three streams are written with one, two or three empty paths among theirs; the
        files are listed.""",
        source='documented attributes log_stdout and log_stderr, whose default is ""',
    ),
    _rule(
        ("STR-07", "MUST", "core", "static"),
        """The file holds exactly the text in UTF-8, whatever the locale: any unicode, any
        newline, surrogates included.""",
        why="""The locale of the host is not the task's: on Windows, or under Latin-1, one arrow
        in the output ends in `UnicodeEncodeError` and takes the result with it. A lone
        surrogate does so everywhere.""",
        how="""Nasty texts and texts drawn by hypothesis are written here, and again in a
        process with the C locale; the bytes are compared.""",
        source="""decision of the contract: UTF-8, no newline translation, surrogates with
        backslashreplace""",
    ),
    _rule(
        ("STR-08", "MUST", "core", "static"),
        """Unequal numbers of streams and paths, or a bare string for either, is refused before
        anything is written.""",
        why="""`zip` ends with the shorter one: in Covalent's base class a stream without a path
        vanishes without a word. A bare string is iterable as well, and gives one file for each
        of its letters.""",
        how="Eight pairs that do not fit are given; each must raise, and no file may be there.",
    ),
    _rule(
        ("STR-09", "MUST", "core", "static"),
        """The event loop is never blocked: opening, writing and closing happen off the loop
        thread, proved with a target that blocks for ever (a named pipe without a reader).""",
        why="""A host runs hundreds of tasks on one event loop. One `open` on a network file
        system that hangs then stops all of them, time limits included.""",
        how="""The path is a named pipe that nobody but the event loop reads: whoever opens,
        writes or closes on the loop's thread waits for ever, until a watchdog rescues it and
        names the line.""",
        source='documentation of write_streams_to_file: "to avoid blocking the event loop"',
    ),
    _rule(
        ("STR-10", "SHOULD", "hardened", "static"),
        "Making directories and touching files happens off the loop thread too.",
        why="""`mkdir` and `touch` are system calls like any other: on a busy NFS server each
        takes seconds, in which no other task moves. Covalent's base class makes both on the
        loop.""",
        how="""An audit hook notes every `open`, `mkdir`, `utime` and `truncate` of the files at
        hand that happens on the thread of the event loop.""",
        source='documentation of write_streams_to_file: "to avoid blocking the event loop"',
    ),
    _rule(
        ("STR-11", "MUST", "core", "run"),
        """`execute` writes both streams to `log_stdout` and `log_stderr`, after success,
        failure and time-out.""",
        why="""Logs are read when something went wrong. Covalent's base class writes them after
        the last line that can raise, so that just the failed tasks have none.""",
        how="""A task, and a `run` that writes to its streams itself, returns, raises `ValueError`
        and raises `TimeoutError`; what came back, and what was printed, must be in the files.""",
        source='documented attribute log_stdout: "the file to be used for redirecting stdout"',
    ),
    _rule(
        ("STR-12", "MUST", "core", "run"),
        "A log that cannot be written never loses the result or hides the error.",
        why="A full disk or a mistyped log path must cost the log, not the night's computation.",
        how="""One log is a folder and the other lies below a file, which stops every user; a
        task then succeeds, and one fails.""",
        source="decision of the contract: the outcome of run wins",
    ),
    _rule(
        ("STR-13", "MUST", "hardened", "static"),
        "A relative path or dispatch id with `..` or a root never writes outside `results_dir`.",
        why="""Dispatch ids come from users of the host. Joined without a look,
        `../../.ssh/authorized_keys` is a file that anybody may append to.""",
        how="""Dispatch ids and relative paths with `..` and roots, some chosen and some drawn
        by hypothesis, are written below a deep folder; every file outside of `results_dir` is a
        finding.""",
        source="decision of the contract: a relative path that would leave results_dir is refused",
    ),
    _rule(
        ("STR-14", "SHOULD", "hardened", "static"),
        "Concurrent writers to one file lose nothing and never interleave inside one stream.",
        why="""Nodes of a workflow that share one log write it at the same time. Pieces of
        streams between each other are a log that nobody can read.""",
        how="""Eight writers on two instances append 300,000 characters each to one file, and
        those that do not take turns are made to open it two at a time; the file must be the eight
        streams, whole and in any order. Of five more writers two are cancelled: the others must
        end, and their streams be whole.""",
    ),
    _rule(
        ("STR-15", "MUST", "core", "static"),
        "Any iterables are taken, generators too, each read once.",
        why="""The signature says Iterable. `len()` of a generator raises, and a second pass
        over it finds nothing, so that an empty log looks like a quiet task.""",
        how="""Tuples, generators, views of dictionaries and objects with nothing but `__iter__`
        are given; how often each is read is counted.""",
        source="signature of write_streams_to_file: stream_strings and filepaths are Iterable[str]",
    ),
    _rule(
        ("STR-16", "MUST", "core", "static"),
        "Done means written: when the coroutine returns, the text is in the file.",
        why="""The host reads, ships or deletes the file as soon as the coroutine returns. Text
        that a task of the loop is still going to write comes too late.""",
        how="""In the step of the loop in which the coroutine returned, without another one in
        between, a short and a long file are read. Where files are not written on the loop's
        thread, it may not return while a named pipe has no reader, however many hours go by on
        the loop's clock.""",
    ),
    _rule(
        ("STR-17", "MUST", "core", "static"),
        "A file that cannot be written raises, and the other streams are still written.",
        why="""An error that nobody raises is a missing log that nobody misses until it is
        needed; and one bad path must not cost the other stream.""",
        how="""Of three paths, each in turn is a folder, or lies below a file; the call must
        raise, and the two others must hold their texts.""",
    ),
    # ---- TIM: time limits ----------------------------------------------------------------------
    _rule(
        ("TIM-01", "MUST", "resilient", "run"),
        "With a negative limit a task may take as long as it likes.",
        why="""-1 is the documented default. `asyncio.timeout(-1)` fires at once, and a
        comparison with the time that has passed is true from the beginning: every task of every
        user who set nothing would fail.""",
        how="""A year goes by on a loop whose clock is virtual, where the methods are coroutine
        functions and wait for nothing else; and real tasks are held for longer than the tiniest
        limit would last. None may be stopped; a negative limit other than -1 may be refused.""",
    ),
    _rule(
        ("TIM-02", "MUST", "resilient", "run stop"),
        """A task over its limit is reported as timed out, by a TimeoutError or the status
        FAILED and never as COMPLETED, however long it would have gone on.""",
        why="""Covalent stores `time_limit` and never reads it. A user who limits a task to an
        hour, so as not to pay for the night, pays for the night; a documented setting that does
        nothing is worse than none.""",
        how="""A task is held by the suite, which alone could let it go: only the limit can end
        it. A limit that was over before the task had begun is doubled, and tried again. Where a
        virtual clock ends tasks, a limit of an hour must end one of two hours.""",
    ),
    _rule(
        ("TIM-03", "MUST", "resilient", "run stop shared-files"),
        "Its work has really stopped: it makes no progress after the outcome is known.",
        why="""A timed-out job that computes on blocks the licence, the GPU and the files that
        the retry is going to write. The user has been told that it is over.""",
        how="""Tasks that are held, spin, or ignore SIGTERM are ended by their limit, and then
        asked to answer over their line to the suite, a connection or files in a shared folder: a
        dead process cannot.""",
        source="decision of the contract: the time-out is reported only once the work is dead",
    ),
    _rule(
        ("TIM-04", "MUST", "resilient", "run stop"),
        "A task within its limit is untouched, result and output.",
        why="""A limit taken for milliseconds, or counted from the submission, stops tasks that
        were in time; one that stops capturing loses their output.""",
        how="""A short task runs with a limit of an hour; its status, its result and, where it is
        captured, its output are looked at. Where a clock can be virtual, a task of 54 minutes may
        not be stopped either.""",
    ),
    _rule(
        ("TIM-05", "MUST", "resilient", "run stop"),
        "`teardown` ran, and the instance runs the next task.",
        why="""After a time-out the machine is still there, and the client may be in the middle
        of a sentence. The next task gets both.""",
        how="""A held task is ended by its limit; the history must hold a `teardown` that came
        to its end, and the next task on the same instance must complete.""",
    ),
    _rule(
        ("TIM-06", "MUST", "resilient", "run stop"),
        """A task that never yields (pure CPU, blocking sleep) is limited all the same, and the
        host's loop stays responsive meanwhile.""",
        why="""asyncio's own timeout cannot interrupt a task that computes or sleeps on the
        loop's thread: just the tasks for which limits are made are never stopped, and all
        others wait with them.""",
        how="""A task is led through its steps by the event loop, which has to answer while the
        limit is watched. Then one spins and one is in a blocking call, and each must end by its
        limit.""",
    ),
    _rule(
        ("TIM-07", "MUST", "resilient", "run"),
        "The limit counts each attempt anew, and neither `setup` nor `teardown`.",
        why="""A queue that is full for ten minutes, or a machine that starts slowly, is no
        fault of the task; and a second attempt with what the first has left of the limit is no
        second chance.""",
        how="""On a virtual clock `setup` and `teardown` take twice the limit, and three attempts
        nine tenths of it each. Elsewhere, in real time, `setup` and `teardown` take longer than
        the limit and so do six attempts together, of a fifth of it each; the limit is doubled
        while a single attempt takes too much of it. None may be stopped.""",
        source="decision of the contract: seconds, each attempt anew, `run` alone",
    ),
    _rule(
        ("TIM-08", "MUST", "resilient", "run"),
        "A `TimeoutError` that the task itself raises is passed on as that error.",
        why="""A task's own `TimeoutError` (a server did not answer) has another cure than the
        limit. Reported as the limit, it makes the user raise the limit.""",
        how="""Tasks without a limit, and with one of an hour, raise `TimeoutError` with a
        message; the caller must see that message, and no `TaskTimeoutError`.""",
        source="decision of the contract: a TimeoutError of the task's own is passed on as it is",
    ),
    _rule(
        ("TIM-09", "SHOULD", "hardened", "run stop local-process"),
        """The whole process group of a stopped task is gone, one that ignores SIGTERM and its
        children too.""",
        why="""Tasks start programs. SIGTERM to the worker alone leaves them running, without
        parent, on a machine that everybody believes to be free; some ignore SIGTERM.""",
        how="""The task ignores SIGTERM, and has a child that does so, too; the limit must end the
        task, and then both are asked to answer over their lines to the suite, connections or
        files in a shared folder, and neither may. Where tasks run in no other process of this
        machine, the rule is not applicable.""",
        source="decision of the contract: the time-out is reported only once the work is dead",
    ),
    # ---- RET: retries --------------------------------------------------------------------------
    _rule(
        ("RET-01", "MUST", "resilient", "run"),
        "`retries=0`: exactly one attempt.",
        why="""Tasks that book, send or pay must not happen twice because something thought it
        knew better.""",
        how="""At each attempt a failing task reports to the suite, by a connection or in a shared
        folder; with `retries=0` there must be one report.""",
    ),
    _rule(
        ("RET-02", "MUST", "resilient", "run"),
        """For every `n` and every `k <= n`, a task that fails `k` times first returns its
        result after exactly `k + 1` attempts.""",
        why="""Covalent stores `retries` and never reads it: the user who set 3 because the
        network is bad gets one attempt. An attempt too many is paid for as well.""",
        how="""For several numbers of retries and of failures, up to five (in the quick profile,
        one failure with two retries), attempts are counted by their reports to the suite, which
        tells each whether to fail.""",
    ),
    _rule(
        ("RET-03", "MUST", "resilient", "run"),
        """A task that always fails is attempted exactly `retries + 1` times and the last error
        is the one seen.""",
        why="""A task that can never succeed must end, and what the user repairs is what went
        wrong at last; the error of the first attempt is often another one.""",
        how="""A task fails at every attempt, with a message of its own each time; the attempts
        are counted, and the last message must be found, and not hidden behind the error of an
        earlier one.""",
    ),
    _rule(
        ("RET-04", "MUST", "resilient", "run"),
        "Each attempt gets the original arguments, whatever the one before did to them.",
        why="""A task that pops from its list gets an emptier one at the second attempt: it
        succeeds, with a wrong result.""",
        how="""Each attempt reports the arguments that it got, and has altered them at every depth
        before it fails; all reports must be the original.""",
        source="decision of the contract: every attempt sees the caller's original values",
    ),
    _rule(
        ("RET-05", "MUST", "resilient", "run"),
        "A cancelled task is not attempted again.",
        why="""Whoever cancels wants it to stop. A retry loop that takes the cancellation for
        one more failure starts the job again.""",
        how="""With three retries left, `run` raises `TaskCancelledError`, and then the host
        cancels an attempt that is held; no further attempt may begin.""",
        source="decision of the contract: a cancellation is never retried",
    ),
    _rule(
        ("RET-06", "MUST", "resilient", "run stop"),
        "A timed-out attempt is retried as any failed one.",
        why="""A hanging connection is the very failure for which one retries, and it shows as a
        time-out.""",
        how="""Every attempt but the last is held until its limit ends it, and the last returns;
        its result must be the outcome, and no attempt may still answer when the next has
        begun.""",
        source="decision of the contract: a time-out is a failure and is retried",
    ),
    _rule(
        ("RET-07", "SHOULD", "resilient", "run streams"),
        "The output of every attempt is kept, in order.",
        why="""Why the first attempt failed is only in its output. Overwritten by the second,
        the reason for a failure that comes and goes is never found.""",
        how="""Each of three attempts prints a line to each stream; both returned streams must
        hold all three, in order.""",
    ),
    _rule(
        ("RET-08", "MUST", "resilient", "run"),
        "`retries` and `time_limit` on the instance are what they were after any task.",
        why="""Counting down on `self.retries` is a mistake that lasts: the instance is shared,
        and the next task has no retries left.""",
        how="""On one instance tasks succeed after a failure, succeed, fail for good, are over
        their limit, and are cancelled by their host in a second attempt; both attributes are
        compared after each. The quick profile leaves out the second and the third.""",
    ),
    _rule(
        ("RET-09", "MUST", "resilient", "run"),
        """Retries are not enforced twice: attempts seen by the worker and calls of `run` both
        stay at `retries + 1`.""",
        why="""A backend that retries, under a template that retries: 3 become 16 attempts, each
        of them paid for.""",
        how="""A task always fails. Its attempts are counted twice, by their reports to the suite
        and by the calls of `run`; neither may go over `retries + 1`.""",
        source="decision of the contract: who leaves retries to a backend says so in `enforces`",
    ),
    # ---- CTX: get_dispatch_context -------------------------------------------------------------
    _rule(
        ("CTX-01", "MUST", "core", "static"),
        """The context manager yields the `DispatchInfo` it was given, and inside it is the
        active one.""",
        why="""Executors ask within this context which dispatch they work for. Covalent's own
        yields None, so that `with ... as info:` hands a plugin nothing.""",
        how="""Contexts of two dispatches are entered; what is yielded, and what is active
        inside, is compared with what was given.""",
        source='documentation of get_dispatch_context: "handles the dispatch info"',
    ),
    _rule(
        ("CTX-02", "MUST", "core", "static"),
        "Leaving restores what was active before, after an exception too.",
        why="""Without a `finally`, as in Covalent, the dispatch of a failed task stays active:
        whatever runs next in this process is booked on it.""",
        how="""The block is left normally, by an error, by `CancelledError` and by `SystemExit`;
        after each, the active dispatch is what it was before.""",
        source='documentation of get_dispatch_context: "to be used inside current context"',
    ),
    _rule(
        ("CTX-03", "MUST", "core", "static"),
        "Contexts nest.",
        why="""A workflow started within a workflow is normal. A context that sets None on
        leaving takes the outer dispatch away from the rest of its block.""",
        how="""Contexts of two instances are nested up to five deep, in orders drawn by
        hypothesis; on entering and leaving each, the active dispatch is compared.""",
        source='documentation of get_dispatch_context: "to be used inside current context"',
    ),
    _rule(
        ("CTX-04", "MUST", "resilient", "static"),
        "Contexts of concurrent asyncio tasks and of threads never see each other.",
        why="""Hosts run the tasks of many dispatches at once. Covalent keeps the active one in
        a plain attribute of one object: whoever asks sees the dispatch that was entered last,
        by anybody.""",
        how="""Two asyncio tasks, and then two threads, enter and leave nested contexts in
        turns; at each turn, each must see its own.""",
        source='documentation of get_dispatch_context: "to be used inside current context"',
    ),
    # ---- CAN: cancellation ---------------------------------------------------------------------
    _rule(
        ("CAN-01", "MUST", "resilient", "run"),
        """Cancelling the asyncio task that awaits `execute` ends in `CancelledError`, never
        swallowed, with `teardown` awaited.""",
        why="""A host that shuts down cancels its tasks and awaits them. Swallowed, the shutdown
        hangs; without `teardown` everything that was started stays.""",
        how="""The asyncio task around `execute` is cancelled while an attempt is held; it has
        to end cancelled, and the history has to hold a `teardown`.""",
        source="asyncio's documentation: CancelledError is propagated when clean-up is complete",
    ),
    _rule(
        ("CAN-02", "MUST", "resilient", "run stop shared-files"),
        "The work has really stopped.",
        why="""Cancelled in the user interface and computing on in the cluster is the most
        expensive kind of success: nobody looks at a cancelled job.""",
        how="""The cancelled task is held in a call, or spins and ignores SIGTERM; when `execute`
        is over, the task's end of its line to the suite, a connection or a locked file in a
        shared folder, must be closed, as the kernel does when it dies. Where there is neither, a
        file that the task appends to must not grow any more.""",
        source="documentation of cancel; as with a time-out: told only once the work is dead",
    ),
    _rule(
        ("CAN-03", "MUST", "resilient", "run"),
        "`TaskCancelledError` from `run` gives status CANCELLED, and `teardown` runs.",
        why="""A job that somebody cancelled in the cluster's own tools is neither failed nor
        complete. Told as a failure, it is tried again or wakes somebody up.""",
        how="""`run` is replaced by one that raises `TaskCancelledError`; the status must be
        CANCELLED, and `teardown` in the history.""",
        source="decision of the contract: TaskCancelledError becomes the status CANCELLED",
    ),
    _rule(
        ("CAN-04", "MUST", "resilient", "run cancel"),
        "`cancel()` returns a bool; True only where the task will not run on.",
        why="""A host frees the slot on True. A published Dask plugin returns True whatever
        became of the job, and the user is told that it has stopped.""",
        how="""A held task is cancelled without a handle, and with the one that the host was
        given; one whose attempt has just failed by itself, where tasks run outside of the host's
        process, likewise. The answer must be a bool; after True the task must be dead, not
        attempted again, and `execute` over.""",
        source='documentation of cancel: "False by default"',
    ),
    _rule(
        ("CAN-05", "MUST", "hardened", "run"),
        """Cancelled at any suspension point of `execute`, each in turn: `setup` not begun or
        `teardown` awaited exactly once, and nothing leaks.""",
        why="""Cancellations come when they like: between `setup` and the `try`, in the middle
        of writing a log. The gap of one line leaks a machine once a month, and nobody can
        reproduce it.""",
        how="""`execute` is cancelled before its first step and at each of its suspension points
        in turn (evenly spread ones, where the profile tries fewer): with methods that only wait
        and a first attempt that fails, and with the executor's own methods and a real task. After
        each, brackets and asyncio tasks are counted, and no attempt of a cancelled task may
        outlive a later task.""",
        source="asyncio's documentation: CancelledError is propagated when clean-up is complete",
    ),
    _rule(
        ("CAN-06", "SHOULD", "hardened", "run"),
        "A second cancellation during `teardown` does not cut it short.",
        why="""Users press the button twice, and hosts cancel again on shutdown. Clean-up that
        is cut short half-way leaves the half that costs.""",
        how="""`execute` is cancelled while it runs, and again while its `teardown` is held; the
        history must show that the `teardown` came to its end.""",
        source="asyncio's documentation: CancelledError is propagated when clean-up is complete",
    ),
    _rule(
        ("CAN-07", "MUST", "resilient", "run"),
        "Cancelled during `setup`: `run` is never called, `teardown` is.",
        why="""A `setup` that waits for a machine is what gets cancelled most. The machine comes
        all the same: nobody uses it, and without `teardown` nobody gives it back.""",
        how="""`setup` is held and cancelled; the history must show no `run` and a `teardown`
        that came to its end, and `execute` must end in `CancelledError`.""",
        source="decision of the contract: what a half-made setup acquired must not leak",
    ),
    # ---- CNC: concurrency ----------------------------------------------------------------------
    _rule(
        ("CNC-01", "MUST", "resilient", "run"),
        "Tasks at once on one instance never mix results, output, metadata or errors.",
        why="""A host gives one instance to all nodes of a workflow. A published Slurm plugin
        keeps the names of a task's files on `self`: of two tasks at once, one removes the files
        of the other.""",
        how="""Four tasks, two of which fail, are held until all have begun, where the executor
        does not queue them, and end in the opposite order; result, error, output and metadata
        of each must be its own.""",
        source="""decision of the contract: one instance runs many tasks at once; per-task state
        never lives on `self`""",
    ),
    _rule(
        ("CNC-02", "MUST", "resilient", "run"),
        "Likewise on several instances of the class.",
        why="""Two configurations of one class are two users, or two clusters. What is kept on
        the class or in the module is shared by both.""",
        how="As for CNC-01, with each of the four tasks on an instance of its own.",
        source="""decision of the contract: one instance runs many tasks at once; per-task state
        never lives on `self`""",
    ),
    _rule(
        ("CNC-03", "MUST", "resilient", "run"),
        "`setup`, `run`, `teardown` never block the host's event loop.",
        why="""One blocking `connect` in a `setup` stops every task of the host, its heartbeat
        and its web pages. A published SSH plugin pickles and writes its files on the loop.""",
        how="""While tasks succeed, fail and are cancelled, the well-known blocking calls
        (sleeping, waiting for a process, a connection, another thread) depend on a turn of the
        event loop. On its own thread that is a deadlock, and the verdict.""",
        source="asyncio's documentation: blocking code should not be called directly",
    ),
    _rule(
        ("CNC-04", "MUST", "resilient", "run"),
        "A second event loop in the same process works after the first is closed.",
        why="""Tests, notebooks and command lines call `asyncio.run` again and again. A client
        kept in the module, as in a published Dask plugin, belongs to the first loop and fails
        in the second.""",
        how="""Three tasks at once run on a fresh event loop, which is closed, and three more on a
        second one, on the same instance. Where the first loop fails already, a fresh process does
        the same.""",
    ),
    _rule(
        ("CNC-05", "MUST", "hardened", "run"),
        """For any interleaving of succeeding, failing, timed-out and cancelled tasks on two
        instances (a stateful hypothesis machine against a model), every outcome is the model's.""",
        why="""Single checks show single mistakes. What hosts meet are the pairs: a time-out on
        one instance while another task of it is cancelled.""",
        how="""A stateful hypothesis machine starts, fails, times out and cancels tasks on two
        instances, of which one has a time limit, in any order; outcomes and histories are
        compared with those of a model that shares no code with any executor.""",
        source="""decision of the contract: one instance runs many tasks at once; per-task state
        never lives on `self`""",
    ),
    # ---- HYG: what is left behind --------------------------------------------------------------
    _rule(
        ("HYG-01", "MUST", "hardened", "run"),
        "No asyncio task is left running after `execute`.",
        why="""A poller that is left running asks the cluster for a job that is over, for ever;
        asyncio destroys it with a warning that nobody can place.""",
        how="""Three tasks of each ending run: they succeed, fail, are cancelled or, except in the
        quick profile, are stopped by their limit; then the asyncio tasks of the loop are looked
        at. Where every one of the three leaves some, that is a leak; what the first alone leaves
        may be a client.""",
    ),
    _rule(
        ("HYG-02", "MUST", "hardened", "run"),
        "Threads, child processes and file descriptors do not grow with the number of tasks.",
        why="""One descriptor or thread for each task is nothing in a test and the end of a host
        after a week: "Too many open files". A published SSH plugin leaves its connection open
        after each task that failed.""",
        how="""After a warm-up, tasks that succeed, fail, are cancelled or, except in the quick
        profile, are stopped by their limit run, and what the process holds is compared. Where it
        grew, twelve more of one ending run, two in each step; what comes with each step and stays
        is the leak.""",
    ),
    _rule(
        ("HYG-03", "MUST", "hardened", "run"),
        "The host's working directory, environment and `sys.stdout`/`sys.stderr` are as before.",
        why="""A `chdir` for one task moves the relative paths of all others, and an environment
        variable set for one user is read by the next one's task.""",
        how="""Working directory, environment, both streams and functions of the standard library
        are compared after a task that succeeds, fails, is cancelled or, except in the quick
        profile, is stopped by its limit, and after two at once of which the first to begin is the
        first to end.""",
    ),
    _rule(
        ("HYG-04", "SHOULD", "hardened", "run"),
        """No file of a finished task, failed ones included, stays in `cache_dir` or the
        temporary directory.""",
        why="""Pickled functions and results pile up until the disk is full, or somebody reads
        them. A published SSH plugin cleans up only after tasks that did not fail on the way.""",
        how="""`cache_dir` and the folder for temporary files are listed after three tasks that
        succeed, fail, are cancelled or, in the thorough profile, are stopped by their limit;
        where both the second and the third leave something, that is a finding.""",
    ),
    # ---- SEC: what is let in -------------------------------------------------------------------
    _rule(
        ("SEC-01", "MUST", "hardened", "static"),
        "`from_dict` runs and imports nothing that its argument names.",
        why="""A host rehydrates records that users sent. An import by a name from the record
        runs the code of whoever wrote it, in the host.""",
        how="""Dictionaries that name modules, files, code and pickles of a bait are rehydrated
        under an audit hook, which hears every import, opening or execution of it. To refuse
        them is right, and so is to keep them as the text that they are.""",
    ),
    _rule(
        ("SEC-02", "SHOULD", "hardened", "static"),
        """`to_dict` holds no plain-text secret (attributes named like password, secret, token,
        key), unless declared public.""",
        why="""The dictionary lands in the host's database, in its logs and on its web pages. A
        password in it is known to everybody who may look at a workflow.""",
        how="""Each attribute whose name speaks of a secret, and not of where to find one, is
        given one, which must not be found in `to_dict`. What the class names in its attribute
        `public` is let through.""",
    ),
    _rule(
        ("SEC-03", "MUST", "hardened", "static"),
        """A dispatch id or node id taken from outside never reaches a shell or leaves its
        directory.""",
        why="""Published SSH and Slurm plugins build shell commands from dispatch ids, unquoted:
        `mkdir -p` and `rm` with whatever stands there.""",
        how="""`write_streams_to_file` and real tasks are given ids with separators, quotes,
        `..`, roots and commands. A file outside of its folder, a command that was run, or one
        with an id unquoted in it is a finding.""",
    ),
    _rule(
        ("SEC-04", "SHOULD", "hardened", "static"),
        "`from_dict` refuses names that shadow methods or are dunder names.",
        why="""`{"run": ...}` or `{"__class__": ...}` in a record replaces a method by a string:
        the executor fails later and elsewhere, or does something else.""",
        how="""`from_dict` is given names of methods and dunder names as attributes; the
        instance may take none of them, be it that it raises or drops them.""",
    ),
    _rule(
        ("SEC-05", "SHOULD", "hardened", "run"),
        """Files that carry a task's data are readable by their owner alone and have names
        nobody can foresee.""",
        why="""A pickle is code: who may write the file that a task is read from runs as that
        user. A published SSH plugin calls it `function_<dispatch>_<node>.pkl`, in a folder that
        others may share.""",
        how="""While a task is held, the files in `cache_dir` and in the temporary folder that
        hold its data are found; their modes are read, and their names compared with those of
        the same task run again.""",
    ),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.id: rule for rule in _CATALOGUE})
