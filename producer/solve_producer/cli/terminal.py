"""How does a command of the producer run its work and print what came of it?"""

import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

OPTIONS: dict[str, Any] = {
    "no_args_is_help": True,
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
}
BAD_LINES_SHOWN = 20
Json = Annotated[bool, typer.Option("--json", help="Print the summary as JSON for machines.")]


def run_async(work: Callable[[], Awaitable[Any]]) -> Any:
    """Runs to the end; SIGTERM ends it like Ctrl-C, with what is in flight delivered by the client's exit."""

    async def watched() -> Any:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work()

    return asyncio.run(watched())


def show_bad_lines(bad: list[str]) -> None:
    """The first of them, on standard error."""
    for line in bad[:BAD_LINES_SHOWN]:
        print(line, file=sys.stderr)
    if len(bad) > BAD_LINES_SHOWN:
        print(f"… and {len(bad) - BAD_LINES_SHOWN} more", file=sys.stderr)


def print_summary(counts: dict[str, Any], as_json: bool) -> None:
    """One line, for people or for machines."""
    print(json.dumps(counts) if as_json else ", ".join(f"{name} {value}" for name, value in counts.items()))
