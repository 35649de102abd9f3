"""SEC: what is let in."""

from __future__ import annotations

from ..rule import Chapter

CHAPTER = Chapter(
    "SEC", "what is let in", source="hosts rehydrate dictionaries that they did not write"
)

RULES = (
    CHAPTER.rule(
        ("SEC-01", "MUST", "hardened", "static"),
        "`from_dict` runs and imports nothing that its argument names.",
        why="""A host rehydrates records that users sent. An import by a name from the record
        runs the code of whoever wrote it, in the host.""",
        how="""Dictionaries that name modules, files, code and pickles of a bait are rehydrated
        under an audit hook, which hears every import, opening or execution of it. To refuse
        them is right, and so is to keep them as the text that they are.""",
    ),
    CHAPTER.rule(
        ("SEC-02", "SHOULD", "hardened", "static"),
        """`to_dict` holds no plain-text secret (attributes named like password, secret, token,
        key), unless declared public.""",
        why="""The dictionary lands in the host's database, in its logs and on its web pages. A
        password in it is known to everybody who may look at a workflow.""",
        how="""Each attribute whose name speaks of a secret, and not of where to find one, is
        given one, and so is each such part of an attribute, which must not be found in `to_dict`.
        What the class names in its attribute
        `public` is let through.""",
    ),
    CHAPTER.rule(
        ("SEC-03", "MUST", "hardened", "static"),
        """A dispatch id or node id taken from outside never reaches a shell or leaves its
        directory.""",
        why="""Published SSH and Slurm plugins build shell commands from dispatch ids, unquoted:
        `mkdir -p` and `rm` with whatever stands there.""",
        how="""`write_streams_to_file` and real tasks, half of which fail, are given ids with
        separators, quotes, `..`, roots and commands, which show wherever the shell stands that runs
        them. A file outside of its folder, a command that was run, or one with an id unquoted in it
        is a finding, the shell's first.""",
    ),
    CHAPTER.rule(
        ("SEC-04", "SHOULD", "hardened", "static"),
        "`from_dict` refuses names that shadow methods or are dunder names.",
        why="""`{"run": ...}` or `{"__class__": ...}` in a record replaces a method by a string:
        the executor fails later and elsewhere, or does something else.""",
        how="""`from_dict` is given names of methods and dunder names as attributes; the
        instance may take none of them, be it that it raises or drops them.""",
    ),
    CHAPTER.rule(
        ("SEC-05", "SHOULD", "hardened", "run"),
        """Files that carry a task's data are readable by their owner alone and have names
        nobody can foresee.""",
        why="""A pickle is code: who may write the file that a task is read from runs as that
        user. A published SSH plugin calls it `function_<dispatch>_<node>.pkl`, in a folder that
        others may share.""",
        how="""While two tasks are held that differ in their ids alone, and two more that are given
        a mebibyte, the files that hold their data are found: in `cache_dir`, in the temporary
        folder and the working directory, at the other places that are usual for such files, as
        /tmp, /var/tmp, the home folder and ~/.cache, and wherever the host's process makes one.
        Their modes are read, and their names compared, but for the ids and what can be computed
        from them.""",
    ),
)
