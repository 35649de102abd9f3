"""A badge for a README: the level of conformant executors, or the verdict on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..contract.verdict import of_all
from ..evidence.record import TargetRecord
from .templates import render

LABEL = "executor contract"
NO_LEVEL = "no level"

#: For each message its colour among those of shields.io, and on our own picture, under white text.
COLOURS: Mapping[str, tuple[str, str]] = {
    "hardened": ("brightgreen", "#14642a"),
    "resilient": ("green", "#33661a"),
    "core": ("yellowgreen", "#5a5f0c"),
    NO_LEVEL: ("lightgrey", "#5b6470"),
    "incomplete": ("orange", "#8a4b00"),
    "nonconformant": ("red", "#b0201c"),
}

_LABEL_COLOUR = "#33393f"
# A letter of 11 px, and the space on either side of a text; `textLength` makes it fit.
_LETTER, _SPACE = 6.4, 6


@dataclass(frozen=True, slots=True)
class Badge:
    """Two short texts side by side, the second on a colour."""

    label: str
    message: str
    colour: str
    error: bool = False


def badge_of(targets: Sequence[TargetRecord], contract: str) -> Badge:
    """The badge of the executors together: of several the worst counts.

    Args:
        targets: who was judged.
        contract: the version by which.
    """
    label = f"{LABEL} {contract}"
    if len(targets) > 1:
        label += f" ({len(targets)})"
    worst, lowest = of_all([target.verdict for target in targets])
    if worst != "conformant":
        return Badge(label, worst, COLOURS[worst][0], error=True)
    message = lowest or NO_LEVEL
    return Badge(label, message, COLOURS[message][0])


def endpoint(badge: Badge) -> dict[str, object]:
    """What the endpoint badge of shields.io reads."""
    return {
        "schemaVersion": 1,
        "label": badge.label,
        "message": badge.message,
        "color": badge.colour,
        "isError": badge.error,
    }


def svg(badge: Badge) -> str:
    """The badge as a picture of its own."""
    label, message = (round(len(text) * _LETTER) for text in (badge.label, badge.message))
    return render(
        "badge.svg.j2",
        badge=badge,
        label=label,
        message=message,
        space=_SPACE,
        label_colour=_LABEL_COLOUR,
        message_colour=COLOURS[badge.message][1],
    )
