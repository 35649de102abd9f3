"""Commands that this process hands to a shell, seen in its audit events."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

_SHELLS = re.compile(r"(ba|da|z|k|mk|a|fi|c|tc|pw)?sh(\.exe)?|(cmd|powershell)(\.exe)?", re.I)
_COMMAND_FOLLOWS = re.compile(r"-[a-z]*c|-command|/c", re.IGNORECASE)

#: Where in the arguments of an event the words of a command are.
_WORDS = {"subprocess.Popen": 1, "os.exec": 1, "os.posix_spawn": 1, "os.spawn": 2}


def commands(event: str, args: tuple[Any, ...]) -> Iterator[str]:
    """The commands that an audit event hands to a shell, here or at the other end of an ssh."""
    if event == "os.system":
        yield _text(args[0])
    elif event in _WORDS:
        words = args[_WORDS[event]]
        if isinstance(words, str | bytes):
            # On Windows, a command line; elsewhere the name of a program, and no shell's.
            yield from [_text(words)] if os.name == "nt" and "cmd" in _text(words) else []
        else:
            yield from _of_words([_text(word) for word in words])


def _of_words(words: list[str]) -> Iterator[str]:
    names = [os.path.basename(word) for word in words]
    if names and names[0] in ("ssh", "ssh.exe"):
        yield " ".join(words[1:])
    for name, option, command in zip(names, words[1:], words[2:], strict=False):
        if _SHELLS.fullmatch(name) and _COMMAND_FOLLOWS.fullmatch(option):
            yield command


def is_bare(text: str, command: str) -> bool:
    """Whether a command holds this text where a shell would read it, and not only quoted.

    Single quotes keep everything from a POSIX shell but themselves: a text that has one is
    found as it is only where nobody has quoted it.
    """
    start = command.find(text)
    while start >= 0:
        if "'" in text or not command[:start].count("'") % 2:
            return True
        start = command.find(text, start + 1)
    return False


def _text(word: Any) -> str:
    return os.fsdecode(word) if isinstance(word, bytes | os.PathLike) else str(word)
