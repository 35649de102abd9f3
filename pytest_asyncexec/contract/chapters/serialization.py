"""SER: to_dict and from_dict."""

from __future__ import annotations

from ..rule import Chapter

CHAPTER = Chapter(
    "SER",
    "to_dict and from_dict",
    source='documentation of to_dict and from_dict: "JSON-serializable", "rehydrate"',
)

RULES = (
    CHAPTER.rule(
        ("SER-01", "MUST", "core", "static"),
        "`to_dict()` of a fresh executor is strict JSON (`allow_nan=False`, string keys).",
        why="""The host stores this dictionary in its database as JSON. A `Path` kept as it
        came, as a published Slurm plugin does with `cache_dir`, makes the workflow impossible
        to submit.""",
        how="""Every value of the dictionary is looked at, at any depth, and what JSON does not
        have is named with its place; the keys `type` and `short_name` must be there.""",
        source='documentation of to_dict: "JSON-serializable dictionary representation of self"',
    ),
    CHAPTER.rule(
        ("SER-02", "MUST", "core", "run"),
        """It is strict JSON again after tasks have succeeded, failed and been cancelled, and
        equal to what it was before.""",
        why="""Covalent's base class keeps the queues and streams of the last task on `self`,
        and so in this dictionary: an executor that has run once cannot be written down again,
        nor used in a second workflow.""",
        how="""Every instance on which tasks of the plan succeed, fail, are late and are cancelled
        is looked at before and after them: the dictionary must be strict JSON, and the same. What
        differs is told with the fewest conditions of one task that leaves it behind.""",
        source='documentation of to_dict: "JSON-serializable dictionary representation of self"',
    ),
    CHAPTER.rule(
        ("SER-03", "MUST", "core", "static"),
        "It shares nothing mutable with the executor: changing either leaves the other alone.",
        why="""A host edits the dictionary for its records (it masks a key, adds a label). Where
        that is the executor's own list, as after `__dict__.copy()`, the next task runs with the
        edited settings.""",
        how="""Mutable objects of the dictionary and of the executor are compared by identity;
        then each is changed, and the other looked at; once more after more was read than the
        constructor makes.""",
    ),
    CHAPTER.rule(
        ("SER-04", "MUST", "core", "static"),
        "`from_dict` returns the very instance.",
        why="""Hosts write `executor = Executor().from_dict(stored)`. A `from_dict` without a
        return leaves them with None, and the failure is reported far from its cause.""",
        how="What `from_dict` returns is compared with the instance by `is`.",
        source='documentation of from_dict: "Returns: self"',
    ),
    CHAPTER.rule(
        ("SER-05", "MUST", "core", "static"),
        """For any JSON-representable attribute values, through JSON text and into a fresh
        instance, `to_dict()` comes back equal.""",
        why="""Every task is run by an executor that went through JSON. A setting that is lost
        or converted on the way is a setting that the user gave and the task never saw.""",
        how="""What an executor has written down is given back as it is, and with one attribute at
        a time replaced by a value of its kind, falsy ones first and then drawn by hypothesis (a
        dictionary keeps its keys); the dictionaries are compared, and a value may be refused
        politely. Documented attributes that
        are set on an executor must come back, too.""",
        source='documentation of from_dict: "Rehydrate a dictionary representation"',
    ),
    CHAPTER.rule(
        ("SER-06", "MUST", "core", "static"),
        "`from_dict` copies deeply and changes nothing of its argument.",
        why="""The host goes on using the dictionary, for the next instance and for its records.
        If the executor holds parts of it, two executors made from one record change each other.""",
        how="""The argument, as it was written down and with one thing different at a time (a name
        that nobody knows, one that is missing, another value, a list that is not sorted), is
        compared with a copy from before, also where it is refused; then everything in it is
        changed, and `to_dict` of the executor must stay as it was.""",
    ),
    CHAPTER.rule(
        ("SER-07", "MUST", "core", "static"),
        "Instance attributes present in the dictionary are overwritten.",
        why="""An attribute that keeps the constructor's value runs tasks with a default that
        nobody chose: with another account, another queue, no limit.""",
        how="""Each attribute whose name does not speak of a secret is given another value, a
        falsy one and its first one, of a dictionary one key at a time; the dictionary and the
        attribute must show it, unless the value is refused politely.""",
        source='documentation of from_dict: "Instance attributes will be overwritten"',
    ),
    CHAPTER.rule(
        ("SER-08", "SHOULD", "core", "static"),
        """An attribute missing from the dictionary (an older plugin wrote it) keeps the
        constructor's value.""",
        why="""Workflows outlive plugin versions. `self.__dict__ = stored` drops every attribute
        that a newer version has added, and yesterday's workflow ends in an `AttributeError`.""",
        how="""Each attribute in turn is left out of the dictionary, and must afterwards be what
        the constructor gave it.""",
    ),
    CHAPTER.rule(
        ("SER-09", "MUST", "core", "run"),
        "An executor rehydrated in a fresh process from JSON text is equal and runs tasks.",
        why="""That is what a host does: the user's process writes the executor down, and
        another one, later and elsewhere, runs its tasks. A private attribute that only the
        constructor makes is missing there.""",
        how="""A new interpreter gets the name of the target and the JSON text, and builds and
        rehydrates an executor; its `to_dict` must be the same, and a task must complete.""",
        source='documentation of from_dict: "Rehydrate a dictionary representation"',
    ),
    CHAPTER.rule(
        ("SER-10", "MUST", "core", "static"),
        """A malformed dictionary is refused with an error that names what is wrong, and the
        instance is unchanged.""",
        why="""A record that was cut off or mixed up must stop there and say so. Taken in part,
        it gives an executor that is half of each and fails in the middle of somebody's task.""",
        how="""No dictionary at all, no `attributes`, attributes of another type, and names that
        are no strings, drawn by hypothesis, each the one thing that is wrong in a dictionary which
        an executor has taken: it must raise, name the part, and leave `to_dict` and the attributes
        as they were.""",
    ),
    CHAPTER.rule(
        ("SER-11", "SHOULD", "core", "static"),
        "A dictionary of another executor class is refused.",
        why="""Two executors swapped in a host's records would run tasks with the settings of
        the other: its address, its credentials. Only `type` tells them apart.""",
        how="""A dictionary with the right attributes and the `type` of another class, in the
        same notation, must be refused.""",
    ),
    CHAPTER.rule(
        ("SER-12", "SHOULD", "core", "static"),
        "`type` names an importable class and holds no file path.",
        why="""Covalent's own executors name a class in `/home/.../site-packages/...`: on the
        next machine nothing has that path, and the record tells strangers who you are.""",
        how="""The name in `type` is imported, and must be the class of the executor or one that
        it derives from.""",
    ),
    CHAPTER.rule(
        ("SER-13", "SHOULD", "core", "static"),
        """`copy.deepcopy` and a cloudpickle round trip give an equal executor, fresh and after
        tasks.""",
        why="""Hosts copy executors for each node and send them to workers. A lock, a queue or a
        process pool among the attributes makes the first copy fail, often only after the first
        task.""",
        how="""`copy.deepcopy` and a cloudpickle round trip are made of a fresh executor and of
        every one that has run tasks of the plan; `to_dict` of copy and original must be equal.""",
    ),
)
