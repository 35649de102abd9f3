"""A few lines of Python that run one task with some conditions, without pytest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .conditions import (
    AFTER_FAILURE,
    CANCELLATIONS,
    CANCELLED_AT_WORK,
    CANCELLED_TWICE,
    FAILURES,
    LIMITS,
    RETURNS,
    SECOND,
    SHORT,
    STOPPED,
    UNDER_HOME,
    row,
)

_RESULTS: Final = {
    "a text": '"the result"',
    "an empty text": '""',
    "an empty list": "[]",
    "an empty dict": "{}",
    "an empty tuple": "()",
    "an empty set": "set()",
    "empty bytes": 'b""',
    "a text with white space around it": '"\\n \\tthe result  \\r\\n"',
    "one list twice": "[one, one]",
    "an instance of a class of __main__": "Scale(7)",
    "a text of 1 MiB": '"x" * (1 << 20)',
    "bytes of every value": "bytes(range(256))",
    "a dict whose keys are not sorted": '{"b": 1, "a": [2]}',
    "a dict with keys of several types": '{1: "int", "1": "text"}',
    "a tuple of four": '("result", "stdout", "stderr", "FAILED")',
    "a tuple in a tuple": "(1, (2, (3,)))",
    "an exception": 'ValueError("returned, not raised")',
    "an object without a truth value": "WithoutTruth()",
    "a lone surrogate": '"\\ud800 alone"',
    "line ends of every kind": '"one\\r\\ntwo\\rthree\\n"',
    "NaN": 'float("nan")',
    "an int of 5,000 digits": "10**5000",
    "a function": "abs",
    "a set in a list": "[{1, 2}, frozenset({3})]",
    "a class": "int",
    "a text that reads as JSON": '"[0, 1]"',
    "bytes that read as a text": 'b"text\\n"',
    "bytes of 17 MiB": "os.urandom(17 << 20)",
}
_ARGUMENTS: Final = {
    "plain": '["an argument", 1]',
    "none": "[]",
    "falsy": '[0, "", [], None, False, {}]',
    "one list twice": "[one, one]",
    "with white space around them": '[" text\\n", "\\t"]',
    "of 1 MiB": '["y" * (1 << 20)]',
    "of many types": "[(1, (2,)), {3}, b'\\xff', ValueError(4), [{'key': [1]}], int, 10**4000]",
    "of 17 MiB": "[os.urandom(17 << 20)]",
}
_NAMES: Final = {
    "none": "{}",
    "named as the host's own": "dict.fromkeys(("
    "'function', 'args', 'kwargs', 'self', 'timeout', 'task_metadata', "
    "'dispatch_id', 'node_id', 'results_dir'))",
    "named as in libraries": "dict.fromkeys(("
    "'func', 'fn', 'target', 'executor', 'loop', 'context', 'name', 'key', 'workers', "
    "'resources', 'retries', 'priority', 'pure', 'env', 'cwd', 'input', 'stdout', 'stderr'))",
    "not sorted": '{"zeta": 1, "alpha": 2}',
    "not ASCII": '{"größe": 1}',
}
_TEXTS: Final = {
    "a line": '"a line\\n"',
    "a line without its end": '"no end"',
    "line ends of every kind": '"one\\r\\ntwo\\rthree\\n\\x0b\\x0c\\x1c\\x85\\u2028\\n"',
    "a line of 200 KB": '"z" * 200_000 + "\\n"',
    "1 MB of three-byte characters": '"a" + "語" * 350_000 + " 🎉"',
    "17 MB in lines": '"line\\n" * 3_500_000',
    "white space around it": '"  text \\n \\n"',
    "controls": '"\\0 \\x1b[31m \\b \\x7f \\a \\ufeff\\n"',
}
_WAYS: Final = {
    "a line to stdout alone": ['print("to stdout")'],
    "a line to stderr alone": ['print("to stderr", file=sys.stderr)'],
    "to the descriptor": ['os.write(1, b"to the descriptor\\n")', 'os.write(2, b"to stderr\\n")'],
    "by a child process": [
        'subprocess.run(["sh", "-c", "echo to stdout; echo to stderr >&2"], check=True)'
    ],
    "by C code": [
        'ctypes.CDLL(None).puts(b"to stdout")',
        "ctypes.CDLL(None).fflush(None)",
        'ctypes.CDLL(None).write(2, b"to stderr", 9)',
    ],
}
_ENDS: Final = {
    "raises an error": 'raise ValueError("why")',
    "raises an error of many lines": 'raise ValueError("first line\\nsecond line")',
    "raises an error of 100,000 characters": 'raise ValueError("m" * 100_000)',
    "raises an error of a class that cannot be unpickled": 'raise TakesTwo("why", 2)',
    "raises an error without a message": "raise ValueError",
    "raises an error with a cause and a note": 'raise ValueError("why") from KeyError("cause")',
    "raises a group of errors": 'raise ExceptionGroup("why", [ValueError("one")])',
    "raises a TimeoutError": 'raise TimeoutError("why")',
    "raises a ConnectionError": 'raise ConnectionError("why")',
    "raises an EOFError": 'raise EOFError("why")',
    "raises an error whose message is not ASCII": 'raise ValueError("grün 漢字 % {0} %s")',
    "calls sys.exit(3)": "sys.exit(3)",
    "ends its process": "os._exit(3)",
}
#: What a task does that is to be stopped, before it ends.
_GOES_ON: Final = (
    "for _ in range(60):",
    '    with open(log, "a") as file:',
    '        print("still at work", file=file)',
    "    time.sleep(1)",
)
_CLASSES: Final = {
    "Scale": ["class Scale:", "    def __init__(self, factor):", "        self.factor = factor"],
    "WithoutTruth": [
        "class WithoutTruth:",
        "    def __bool__(self):",
        '        raise ValueError("neither true nor false")',
    ],
    "TakesTwo": [
        "class TakesTwo(Exception):",
        "    def __init__(self, message, code):",
        "        super().__init__(message)",
    ],
}


def script(conditions: Mapping[str, str], *, look: str = "") -> str:
    """Lines that run a task with these conditions on `executor` and print what comes of it.

    Args:
        conditions: the unusual ones.
        look: a line that is run before the task and after it.
    """
    whole = row(**conditions)
    ends = _ENDS.get(whole["end"], f"return {_RESULTS.get(whole['result'], whole['result'])}")
    body = []
    if whole["prints"] != "nothing":
        text = _TEXTS.get(whole["prints"])
        body += _WAYS.get(whole["prints"]) or [
            f"text = {text}",
            "for stream in (sys.stdout, sys.stderr):",
            '    print(text, end="", file=stream, flush=True)',
        ]
    body += [
        'with open(log, "a") as file:',
        '    print("attempt", repr((args, kwargs))[:200], file=file)',
    ]
    if whole["fails"] != "0":
        body.append("number = len(open(log).readlines())")
        if whole["prints"] != "nothing":
            body.append(
                "print(f'[attempt {number}]'), print(f'[attempt {number}]', file=sys.stderr)"
            )
        body += [
            "for value in (*args, *kwargs.values()):",
            "    if isinstance(value, list):",
            '        value.append("changed")',
            f"if number <= {whole['fails']}:",
            f"    kind = [{', '.join(FAILURES[whole['errors']])}][number > 1]",
            '    raise kind(f"attempt {number} fails")',
        ]
    if _shows_given(whole):
        body += _SHOW_GIVEN
        if whole["end"] == RETURNS and whole["result"] == "a text":
            ends = "return given"
    if whole["end"] == CANCELLED_AT_WORK:
        body.append("signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    if whole["end"] in STOPPED:
        body += _GOES_ON
    body.append(ends)
    settings = [f"executor.retries = {whole['retries']}"] if whole["retries"] != "0" else []
    if whole["limit"] != "-1":
        limit = 2 if whole["limit"] == SHORT else LIMITS[whole["limit"]]
        settings.append(f"executor.time_limit = {limit}")
    settings += _logs(whole["logs"])
    classes = [
        line for name, code in _CLASSES.items() if f"{name}(" in ends for line in (*code, "")
    ]
    task = ["def task(log, /, *args, **kwargs):"]
    task += ["    import ctypes, os, signal, subprocess, sys, time"]
    task += ["    one = [1]"] if "one, one" in ends else []
    task += [f"    {line}" for line in body]
    return "\n".join(
        [
            "import asyncio, os, tempfile, time, traceback",
            "from asyncio import CancelledError",
            "from pytest_asyncexec.conformance.subject.host import host_for",
            "",
            *classes,
            *task,
            "",
            "async def main():",
            "    folder = tempfile.mkdtemp()",
            "    log = os.path.join(folder, 'attempts')",
            "    open(log, 'w').close()",
            *[f"    {line}" for line in settings],
            *[f"    {look}"] * bool(look),
            *_call(whole),
            *[f"    {look}"] * bool(look),
            *[f"    {line}" for line in _shown(whole)],
            "",
            "asyncio.run(main())",
        ]
    )


#: Lines of the task: what it was given, and that it changes what it can of that.
_SHOW_GIVEN: Final = (
    "given = repr((args, kwargs))",
    'given = f"{given[:300]} ({len(given):,} characters)"',
    "for value in (*args, *kwargs.values()):",
    "    for inner in (value, *(value if isinstance(value, list) else ())):",
    "        if isinstance(inner, list):",
    '            inner.append("changed by the task")',
    "        if isinstance(inner, dict):",
    '            inner["changed"] = "by the task"',
)


def _shown(whole: Mapping[str, str]) -> list[str]:
    """Lines that print what there is to see besides the outcome."""
    lines = ["print(open(log).read())"]
    if whole["end"] in STOPPED:
        lines += ["time.sleep(3)", 'print("and 3 s later:", open(log).read(), sep="\\n")']
    if whole["end"] in CANCELLATIONS:
        return lines
    lines.append("seen = running.result()")
    if whole["end"].startswith("raises") or int(whole["fails"]) > int(whole["retries"]):
        lines += [
            "if seen.error:",
            "    traceback.print_exception(seen.error)",
            'print("stderr:", seen.stderr[-2000:])',
        ]
    if whole["result"] == "one list twice":
        lines.append('print("one list:", seen.result[0] is seen.result[1])')
    if whole["prints"] != "nothing":
        lines.append('print("returned:", len(seen.stdout), "characters", ascii(seen.stdout[-60:]))')
        lines.append('print("stderr:  ", len(seen.stderr), "characters", ascii(seen.stderr[-60:]))')
    return lines


def _shows_given(whole: Mapping[str, str]) -> bool:
    return whole["arguments"] != "plain" or whole["names"] != "none"


def _logs(logs: str) -> list[str]:
    if logs == "both":
        return ['executor.log_stdout, executor.log_stderr = "out.log", "err.log"']
    if logs == "one file for both":
        return ['executor.log_stdout = executor.log_stderr = "both.log"']
    if logs == "unwritable":
        return [
            "executor.log_stdout = folder  # a folder, where a file is to be",
            'executor.log_stderr = os.path.join(log, "err.log")  # below a file',
        ]
    if logs == UNDER_HOME:
        return [
            'below = tempfile.mkdtemp(prefix=".asyncexec-", dir=os.path.expanduser("~"))',
            'executor.log_stdout = os.path.join("~", os.path.basename(below), "out.log")',
        ]
    return ['executor.log_stdout = os.path.join(folder, "out.log")'] if logs != "none" else []


def _call(whole: Mapping[str, str]) -> list[str]:
    arguments = _ARGUMENTS[whole["arguments"]]
    dispatch = {
        "named with dots and capitals": "Dispatch.2.0",
        "named with digits alone": "0012345",
    }.get(whole["dispatch"], "a-dispatch")
    lines = ["    one = [1]"] if "one" in arguments else []
    lines += [f"    args, kwargs = {arguments}, {_NAMES[whole['names']]}"]
    call = [
        f"    os.makedirs(os.path.join(folder, {dispatch!r}), exist_ok=True)",
        "    running = asyncio.ensure_future(host_for(executor).execute(",
        "        executor, task, [log, *args], kwargs,",
        f"        dispatch_id={dispatch!r}, node_id={whole['node']}, results_dir=folder,",
        "    ))",
    ]
    if whole["end"] in CANCELLATIONS:
        call += ["    await asyncio.sleep(2)", "    running.cancel()"]
    if whole["end"] == CANCELLED_TWICE:
        call += ["    await asyncio.sleep(0)", "    running.cancel()"]
    call += [
        "    await asyncio.wait([running])",
        "    error = CancelledError if running.cancelled() else running.exception()",
        "    print(repr(error) if error else running.result())",
    ]
    if _shows_given(whole):
        call.insert(0, '    print("host before:", f"{(args, kwargs)}"[:300])')
        call.append('    print("host after: ", f"{(args, kwargs)}"[:300])')
    if whole["turn"] == AFTER_FAILURE:
        lines += [
            "    try:",
            "        print(await host_for(executor).execute(executor, int, ['no number']))",
            "    except Exception as error:",
            "        print(repr(error))",
        ]
    return lines + call * (2 if whole["turn"] == SECOND else 1)
