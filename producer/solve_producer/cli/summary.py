"""The summary that a command of the producer prints at its end."""

import sys
from typing import Any

from solve_runtime.console import print_json

BAD_LINES_SHOWN = 20


def show_bad_lines(bad: list[str]) -> None:
    """The first of them, on standard error."""
    for line in bad[:BAD_LINES_SHOWN]:
        print(line, file=sys.stderr)
    if len(bad) > BAD_LINES_SHOWN:
        print(f"… and {len(bad) - BAD_LINES_SHOWN} more", file=sys.stderr)


def print_summary(counts: dict[str, Any], as_json: bool) -> None:
    """One line, for people or for scripts."""
    if as_json:
        print_json(counts)
    else:
        print(", ".join(f"{name} {value}" for name, value in counts.items()))
