"""CTX: get_dispatch_context."""

from __future__ import annotations

from ..rule import Chapter

CHAPTER = Chapter("CTX", "get_dispatch_context", source="documentation of get_dispatch_context")

RULES = (
    CHAPTER.rule(
        ("CTX-01", "MUST", "core", "static"),
        """The context manager yields the `DispatchInfo` it was given, and inside it is the
        active one.""",
        why="""Executors ask within this context which dispatch they work for. Covalent's own
        yields None, so that `with ... as info:` hands a plugin nothing.""",
        how="""Contexts of two dispatches are entered; what is yielded, and what is active
        inside, is compared with what was given.""",
        source='documentation of get_dispatch_context: "handles the dispatch info"',
    ),
    CHAPTER.rule(
        ("CTX-02", "MUST", "core", "static"),
        "Leaving restores what was active before, after an exception too.",
        why="""Without a `finally`, as in Covalent, the dispatch of a failed task stays active:
        whatever runs next in this process is booked on it.""",
        how="""The block is left normally, by an error, by `CancelledError` and by `SystemExit`;
        after each, the active dispatch is what it was before.""",
        source='documentation of get_dispatch_context: "to be used inside current context"',
    ),
    CHAPTER.rule(
        ("CTX-03", "MUST", "core", "static"),
        "Contexts nest.",
        why="""A workflow started within a workflow is normal. A context that sets None on
        leaving takes the outer dispatch away from the rest of its block.""",
        how="""Contexts of two instances are nested up to five deep, in orders drawn by
        hypothesis; on entering and leaving each, the active dispatch is compared.""",
        source='documentation of get_dispatch_context: "to be used inside current context"',
    ),
    CHAPTER.rule(
        ("CTX-04", "MUST", "resilient", "static"),
        "Contexts of concurrent asyncio tasks and of threads never see each other.",
        why="""Hosts run the tasks of many dispatches at once. Covalent keeps the active one in
        a plain attribute of one object: whoever asks sees the dispatch that was entered last,
        by anybody.""",
        how="""Two asyncio tasks, and then two threads, enter and leave nested contexts in
        turns; at each turn, each must see its own.""",
        source='documentation of get_dispatch_context: "to be used inside current context"',
    ),
)
