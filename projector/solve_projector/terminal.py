"""How does a command talk to people and to machines? Settings, event loop, tables, JSON and progress, in one way."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Self

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from solve_projector.settings import ProjectorSettings
from solve_runtime.errors import SolveCountsError
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.logs import configure_logs

WIDTH_OF_A_FILE = 160
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def load_settings() -> tuple[KafkaConnection, ProjectorSettings]:
    """From the environment, with the logs set up as it says."""
    connection, settings = KafkaConnection(), ProjectorSettings()
    configure_logs(settings.log_level, settings.log_format)
    return connection, settings


def run_command(app: Callable[[], object], name: str) -> None:
    """Runs a command line; an error is one line on standard error and a non-zero exit."""
    try:
        app()
    except SolveCountsError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(1)
    except ValidationError as error:
        said = "; ".join(
            ": ".join(filter(None, (".".join(map(str, p["loc"])), p["msg"]))) for p in error.errors(include_input=False)
        )
        print(f"{name}: settings: {said}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def run_async(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs to the end, on the fast loop where there is one."""
    try:
        import uvloop
    except ImportError:  # not built for this platform
        return asyncio.run(work)
    return uvloop.run(work)


def console_of_output() -> Console:
    """Standard output; wide where it is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH_OF_A_FILE)


def print_json(value: Any, *, ascii_only: bool = False) -> None:
    """One line of JSON; `ascii_only` for what strangers wrote, which may hold surrogates or steer a terminal."""
    print(json.dumps(value, default=_plain, ensure_ascii=ascii_only), flush=True)


def readable(content: bytes | str) -> str:
    r"""Text that is safe in a terminal: control and invisible characters escaped, bytes that are no UTF-8 as \xNN."""
    text = content.decode("utf-8", "backslashreplace") if isinstance(content, bytes) else content
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def _plain(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


class PhaseBars:
    """A bar for each phase of the work, on a terminal's standard error; nothing elsewhere."""

    def __init__(self, *, wanted: bool = True) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console) if wanted and console.is_terminal else None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if self._progress:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Moves a phase's bar, which begins with the first call."""
        if self._progress is None:
            return
        if phase not in self._tasks:
            self._tasks[phase] = self._progress.add_task(phase, total=total)
        self._progress.update(self._tasks[phase], completed=done, total=total)
