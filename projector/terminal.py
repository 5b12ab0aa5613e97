"""How does a command run its work and print what came of it? Shared by the modules that define commands."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Annotated, Any

import typer
from rich.console import Console

WIDTH_OF_A_FILE = 160
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs a command's work to its end."""
    try:
        import uvloop
    except ImportError:  # not built for this platform
        return asyncio.run(work)
    return uvloop.run(work)


def console() -> Console:
    """Standard output; of a width of its own where it is no terminal."""
    found = Console()
    return found if found.is_terminal else Console(width=WIDTH_OF_A_FILE)


def print_json(value: Any, *, ascii_only: bool = False) -> None:
    """One line of JSON; `ascii_only` for what strangers wrote, which may hold surrogates or steer a terminal."""
    print(json.dumps(value, default=str, ensure_ascii=ascii_only))


def readable(content: bytes | str) -> str:
    r"""Text that is safe in a terminal: control and invisible characters escaped, bytes that are no UTF-8 as \xNN."""
    text = content.decode("utf-8", "backslashreplace") if isinstance(content, bytes) else content
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
