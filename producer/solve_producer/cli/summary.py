"""The summary that a command of the producer prints at its end."""

from typing import Any

from solve_runtime.console import print_json, print_lines

BAD_LINES_SHOWN = 20


def show_bad_lines(bad: list[str]) -> None:
    """The first of them, on standard error."""
    for line in bad[:BAD_LINES_SHOWN]:
        print_lines(line, to_errors=True)
    if len(bad) > BAD_LINES_SHOWN:
        print_lines(f"… and {len(bad) - BAD_LINES_SHOWN} more", to_errors=True)


def print_summary(counts: dict[str, Any], as_json: bool, *, dry_run: bool = False) -> None:
    """One line, for people without what is None, or for scripts; of a dry run on standard error, beside the events."""
    if as_json:
        print_json(counts, to_errors=dry_run)
    else:
        said = ", ".join(f"{name} {value}" for name, value in counts.items() if value is not None)
        print_lines(f"would be: {said}" if dry_run else said, to_errors=dry_run)
