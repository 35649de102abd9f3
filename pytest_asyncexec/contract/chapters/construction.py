"""CON: construction and interface."""

from __future__ import annotations

from ..rule import Chapter

CHAPTER = Chapter(
    "CON",
    "construction and interface",
    source="documented attributes and signatures of AsyncBaseExecutor",
)

RULES = (
    CHAPTER.rule(
        ("CON-01", "MUST", "core", "static"),
        """The class (or factory) builds an instance without raising, printing, opening a
        socket, changing the environment or the working directory.""",
        why="""A host builds executors only to read them: in its web server, its scheduler, for
        every node of a workflow. A constructor that connects or changes the process does so in
        all of these places, and without a backend nothing can even be configured.""",
        how="""Two executors are built, and one more with each documented argument by itself, under
        an audit hook that notes sockets, changes of the environment and of the working directory;
        what is printed is captured.""",
    ),
    CHAPTER.rule(
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
    CHAPTER.rule(
        ("CON-03", "MUST", "core", "static"),
        """Every constructor parameter with an attribute of the same name keeps the value it was
        given, falsy values too (`0`, `""`, `False`).""",
        why="""`value or default` takes 0 for no value: in a published Slurm plugin
        `poll_freq=0` silently becomes the configured interval. A user who switches something
        off finds it still on.""",
        how="""One constructor argument at a time is given a falsy value of its kind and another
        one, and the attribute of its name is read. A value that is refused is not lost.""",
    ),
    CHAPTER.rule(
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
    CHAPTER.rule(
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
        may_need="cancel",
    ),
    CHAPTER.rule(
        ("CON-06", "SHOULD", "core", "static"),
        "An unknown keyword argument is refused with `TypeError`.",
        why="""A misspelt setting that is taken without a word is a setting that does nothing:
        with `retires=3` a user believes in retries until the first failure at night.""",
        how="The constructor is given the argument `retires=3` (sic), and must raise `TypeError`.",
    ),
    CHAPTER.rule(
        ("CON-07", "SHOULD", "core", "static settings"),
        """`time_limit` and `retries` outside their domain are refused with `ValueError` or
        `TypeError`.""",
        why="""A limit of `"60"` or NaN compares with nothing, and `retries=-1` may mean no
        attempt at all. Said at construction it is a typing mistake; found later it is a lost
        night.""",
        how="""`time_limit` is given NaN, `True`, a string and a list, `retries` -1, `True`, a
        fraction and a string; each must be refused. Whether None is refused is the executor's
        choice.""",
    ),
    CHAPTER.rule(
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
    CHAPTER.rule(
        ("CON-09", "SHOULD", "core", "static"),
        "Building an instance touches no file.",
        why="""Executors are built on machines where no task will ever run: a laptop, a web
        server with a read-only home. A published Slurm plugin makes its cache folder there, or
        cannot be built.""",
        how="""Executors are built under an audit hook: as always, with an empty home, and with
        each path argument in turn in a folder that does not exist. Files made, changed or removed
        are named; reading is fine.""",
    ),
)
