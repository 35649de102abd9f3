"""`verify CERT`: whether a certificate holds, and whether it is one to accept."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..contract.rule import LEVELS, Level
from ..contract.wording import printable
from ..evidence.artifact import ArtifactError
from ..evidence.certificate import UNSIGNED
from ..evidence.environment import Environment
from ..evidence.verification import Found, NoCertificate, find, refused, tampering, verdict_at
from ..evidence.wheel import Wheel, open_wheel
from . import Commands, command, told

_EXAMPLES = """\
examples:
  python -m pytest_asyncexec verify report/MyExecutor.intoto.json
  python -m pytest_asyncexec verify report/MyExecutor.intoto.json --level hardened
  python -m pytest_asyncexec verify MyExecutor.intoto.json --artifact mypkg-1.0-py3-none-any.whl

exit status: 0 it holds, and the executor is conformant (at the level demanded); 1 it is refused:
changed, incomplete, of another wheel, nonconformant, below the level; 2 there is nothing that
could be verified: no such file, no certificate, a contract that this version does not know.
"""


def add_to(commands: Commands[Any]) -> None:
    """Add the command to the command line."""
    parser = command(
        commands,
        "verify",
        short="see whether a certificate holds",
        description="See whether a certificate is whole and unchanged, and says that the executor "
        "is conformant. Signatures are not checked: that is for the tool that signed.",
        examples=_EXAMPLES,
    )
    parser.add_argument(
        "certificate",
        metavar="CERT",
        type=Path,
        help="what --asyncexec-report=DIR wrote: DIR/NAME.intoto.json, bare or signed (a DSSE "
        "envelope or a sigstore bundle)",
    )
    parser.add_argument("--artifact", metavar="WHEEL", type=Path, help="what it has to speak of")
    parser.add_argument(
        "--level", choices=LEVELS, help="the level that is demanded; else any that it claims"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Verify, say what was found, and return the exit status."""
    level: Level | None = arguments.level
    try:
        found = find(arguments.certificate)
        wheel = None if arguments.artifact is None else open_wheel(arguments.artifact)
    except (NoCertificate, ArtifactError) as error:
        return told(error)
    here = Environment.here()
    wrong = tampering(found, here)
    changed = bool(wrong)
    wrong = wrong or refused(found, level, wheel)
    lines = _refused(arguments.certificate, wrong, changed=changed)
    for line in lines if wrong else _accepted(found, level, wheel, here):
        # What stands in a certificate was written by somebody else.
        print(printable(line).replace("\n", "\\n"))
    return 1 if wrong else 0


def _refused(path: Path, wrong: Sequence[str], *, changed: bool) -> list[str]:
    lines = [f"refused: {path}", *(f"  {problem}" for problem in wrong)]
    if changed:
        lines.append("  It is not as it was made: get it again, or judge the executor again.")
    return lines


def _accepted(
    found: Found, level: Level | None, wheel: Wheel | None, here: Environment
) -> list[str]:
    certificate, verdict = found.certificate, verdict_at(found, level)
    extension = certificate.extension
    lines = [
        f"holds: {extension['target']} is conformant to executor contract "
        f"{extension['contract']}, level {verdict.level}"
    ]
    for subject in extension["subject"]:
        for algorithm, digest in subject["digest"].items():
            same = wheel is not None and digest == wheel.artifact.digest["sha256"]
            compared = ", the wheel given" if same else ""
            lines.append(f"  judged  {subject.get('name', '')} {algorithm}:{digest}{compared}")
    lines.append(f"  class   {extension['executor']}")
    lines.append(
        f"  by      pytest-asyncexec {extension['kit']['version']}, profile "
        f"{extension['profile']}, Python {extension['python']}, {extension['platform']}, "
        f"{extension['finished']}"
    )
    counts = [f"{number} {what.replace('_', ' ')}" for what, number in verdict.counts.items()]
    lines.append(f"  rules   {', '.join(counts)}")
    for outcome in verdict.of("failed", "waived"):
        word = outcome.outcome if outcome.outcome == "waived" else "broken"
        tail = f": {outcome.waiver}" if outcome.waiver else ""
        lines.append(f"  {word}  {outcome.rule_id} {outcome.rule.obligation}{tail}")
    if extension["kit"]["version"] != here.kit:
        lines.append(f"  The digest of that kit was not compared: this is {here.kit}.")
    if wheel is None:
        lines.append("  Not compared with any wheel: --artifact WHEEL does that.")
    lines.append(f"  {_on_signatures(found.signatures)}")
    return lines


def _on_signatures(signatures: int | None) -> str:
    if signatures is None:
        return UNSIGNED
    if not signatures:
        return "It is in an envelope without signatures: nothing shows who made it."
    return (
        f"It is in an envelope with {signatures} signature{'s' if signatures > 1 else ''}, which "
        "this command does not check: the tool that signed it does."
    )
