"""`python -m pytest_asyncexec.conformance.plan [quick|default|thorough]`: print the tasks."""

from __future__ import annotations

import sys

from .array import STRENGTH, rows, table


def main(arguments: list[str]) -> int:
    """Print the tasks of a profile, one in each line; 2 for a profile that does not exist."""
    profile = arguments[0] if arguments else "default"
    if len(arguments) > 1 or profile not in STRENGTH:
        known = ", ".join(STRENGTH)
        print(
            f"plan: there is no profile {' '.join(arguments)!r}.\n  Known are {known}.",
            file=sys.stderr,
        )
        return 2
    strength = STRENGTH[profile]  # type: ignore[index]
    print(table(strength))
    print(f"{len(rows(strength))} tasks, in which every {strength} values meet that can.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
