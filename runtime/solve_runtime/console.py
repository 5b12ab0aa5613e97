"""The command line that all programs share: options, JSON, lines, tables, progress bars, one place for errors.

Results go to standard output, everything else to standard error. A failure is one line and a non-zero exit; a traceback
is left for bugs alone. Whatever is printed goes through here (ruff holds it), and is text: never read as markup, and
without a character that could steer a terminal.
"""

import asyncio
import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from types import TracebackType
from typing import Annotated, Any, NoReturn, Self, TextIO, TypeVar, cast

import typer
from pydantic import ValidationError
from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from solve_runtime.errors import SettingsRefused, SolveCountsError
from solve_runtime.settings import settings_problems
from solve_runtime.standard_streams import open_closed_streams
from solve_runtime.tasks import first_cause, run_on_fast_loop
from solve_runtime.text import ascii_json, isolated, readable, readable_cell

DISTRIBUTION = "solve-counts"
OWN_PACKAGES = "solve_"
WIDTH_OF_A_FILE = 160
FOLDED_CHARS = 8  # a folded column is not narrower
INTERRUPTED_EXIT = 130  # as a shell reports SIGINT
OPTIONS: dict[str, Any] = {
    "no_args_is_help": True,
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
}
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
# what a command line is refused with; the base of typer's errors has no public name
USAGE_ERROR: type[Any] = [one for one in typer.BadParameter.__mro__ if hasattr(one, "show")][-1]
Advance = Callable[[int], None]
Cell = str | Text
Item = TypeVar("Item")


def _print_version(wanted: bool) -> None:
    if wanted:
        print_lines(f"{DISTRIBUTION} {version(DISTRIBUTION)}")
        sys.exit()


def _version_option(
    _: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    return


def command_line(text: str) -> typer.Typer:
    """A program's commands, to be added; it knows `--version`."""
    commands = typer.Typer(**OPTIONS, help=text)
    commands.callback()(_version_option)
    return commands


def command_group(text: str) -> typer.Typer:
    """Commands below one word of a program, to be added."""
    return typer.Typer(**OPTIONS, help=text)


@dataclass(frozen=True, slots=True)
class Program:
    """A program that is installed. Its module is imported when it runs, because an extra may be missing.

    The module has the commands as `app`; its `explain`, if any, puts a driver's error into words or returns None, and
    its `on_usage_error`, if any, gets what a command line was refused with, once that is printed.
    """

    name: str
    module: str
    extra: str | None = None
    interrupted: str = "interrupted"

    def run(self) -> NoReturn:
        """Runs the command line of this process, and exits."""
        open_closed_streams()
        _print_version(sys.argv[1:] == ["--version"])  # also where the extra is missing
        try:
            status = import_module(self.module).app(prog_name=self.name, standalone_mode=False)
        except USAGE_ERROR as error:  # it quotes arguments
            said = io.StringIO()
            error.show(said)
            print_lines(*said.getvalue().rstrip("\n").split("\n"), to_errors=True)
            if on_usage_error := getattr(sys.modules[self.module], "on_usage_error", None):
                on_usage_error(error)
            sys.exit(error.exit_code)
        except typer.Abort:
            self._fail("aborted", 1)
        except asyncio.CancelledError:
            self._fail(self.interrupted, INTERRUPTED_EXIT)
        except Exception as error:
            cause = first_cause(error)
            if isinstance(cause, ValidationError):
                self._fail("; ".join(settings_problems(cause)), 2)
            explained = self._explanation(cause)
            if explained is None:
                sys.excepthook = _print_bug
                raise
            self._fail(explained, 2 if isinstance(cause, SettingsRefused) else 1)
        sys.exit(status)

    def _explanation(self, error: BaseException) -> str | None:
        if isinstance(error, SolveCountsError):
            return str(error)
        if isinstance(error, ModuleNotFoundError) and self.extra and not (error.name or "").startswith(OWN_PACKAGES):
            return f"needs the extra `{self.extra}`; install it: pip install '{DISTRIBUTION}[{self.extra}]'"
        explain = getattr(sys.modules.get(self.module), "explain", None)
        if explain and (said := explain(error)):
            return str(said)
        if isinstance(error, OSError) and error.strerror:
            return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        return None

    def _fail(self, said: str, status: int) -> NoReturn:
        print_lines(f"{self.name}: {' '.join(said.split())}", to_errors=True)
        sys.exit(status)


def _print_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The interpreter's own traceback, of text that is safe: a message may quote anything."""
    lines = "".join(traceback.format_exception(kind, error, trace)).rstrip("\n").split("\n")
    print_lines(*lines, to_errors=True)


def run_async(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Runs to the end, on the fast loop where it is installed. SIGTERM and Ctrl-C cancel: raises CancelledError."""

    async def cancelled_by_signals() -> Any:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        _on_signals(task.cancel)
        return await work()

    return run_on_fast_loop(cancelled_by_signals())


def stopping_event() -> asyncio.Event:
    """Set by SIGTERM and Ctrl-C, for work of which they are the ordinary end."""
    stopping = asyncio.Event()
    _on_signals(stopping.set)
    return stopping


def _on_signals(react: Callable[[], object]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, react)


def print_json(value: Any, *, to_errors: bool = False) -> None:
    """One line of JSON in ASCII: text may hold surrogates, or characters that steer a terminal."""
    print_json_line(json.dumps(value, default=_plain, ensure_ascii=False), to_errors=to_errors)
    (sys.stderr if to_errors else sys.stdout).flush()


def print_json_line(line: str, *, to_errors: bool = False) -> None:
    """A line that is JSON already."""
    print(ascii_json(line), file=sys.stderr if to_errors else sys.stdout)


def print_lines(*lines: str, to_errors: bool = False) -> None:
    """Lines for people; a line break within one is escaped, so that a name makes none."""
    stream = sys.stderr if to_errors else sys.stdout
    for line in lines:
        print(isolated(readable(line)), file=stream)
    stream.flush()


def say(found: dict[str, Any], text: str, as_json: bool) -> None:
    """A command's result: for scripts, or in words."""
    if as_json:
        print_json(found)
    else:
        print_lines(text)


def _plain(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


class _IsolatingStream:
    """A stream that words from right to left are written to in isolates."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes the text."""
        return self._stream.write(isolated(text))


class _Terminal(Console):
    """Every `str` is text: no markup, no codes of emoji, nothing that steers the terminal."""

    def __init__(self, **options: Any) -> None:
        stream = sys.stderr if options.get("stderr") else sys.stdout
        file = cast("TextIO", _IsolatingStream(stream))  # rich lays out first: it may fold a word
        super().__init__(markup=False, emoji=False, highlight=False, file=file, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """What rich calls for each `str`, to measure it and to print it."""
        return super().render_str(readable_cell(text), **options)


def output_width() -> int | None:
    """The columns of the terminal that standard output is, or of COLUMNS; None in a file."""
    console = _Terminal()
    return console.width if console.is_terminal or os.environ.get("COLUMNS") else None


def table(*headings: str | Column) -> Table:
    """A table without rules, whose columns fold where they are too narrow, except for those made by `whole`."""
    columns = [Column(one, overflow="fold") if isinstance(one, str) else one for one in headings]
    return Table(*columns, box=None, pad_edge=False)


def whole(heading: str) -> Column:
    """A column of what people copy, such as ids: never folded or cut."""
    return Column(heading, no_wrap=True)


def styled(text: str, style: str) -> Cell:
    """A cell or a line in a colour of ours."""
    return Text(readable_cell(text), style=style)


def print_table(shown: Table) -> None:
    """Prints it as wide as the terminal, or wider where a `whole` column needs that: the terminal then folds it."""
    console = _Terminal()
    needed = sum(_width(column) if column.no_wrap else FOLDED_CHARS for column in shown.columns)
    console.width = max(output_width() or WIDTH_OF_A_FILE, needed + len(shown.columns))
    console.print(shown)


def _width(column: Column) -> int:
    return max(cell_len(readable_cell(str(one))) for one in (column.header, column.footer, *column.cells))


def table_width(shown: Table) -> int:
    """How many columns it takes when nothing is cut or folded."""
    console = _Terminal(width=10_000)
    return Measurement.get(console, console.options, shown).maximum


@contextmanager
def full_screen() -> Iterator[Callable[..., None]]:
    """The whole terminal; yields a function that draws lines and tables, in place of what was there."""
    with Live(console=_Terminal(), screen=True, auto_refresh=False) as live:
        yield lambda *shown: live.update(Group(*shown), refresh=True)


class Bars:
    """A bar for each phase of the work, on a terminal's standard error; nothing elsewhere."""

    def __init__(self, *, wanted: bool = True) -> None:
        console = _Terminal(stderr=True)
        described = TextColumn("{task.description}", markup=False)
        columns = (described, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, disable=not (wanted and console.is_terminal))
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Moves a phase's bar, which begins with the first call; a total of 0 is unknown."""
        if self._progress.disable:  # rich would count all the same, once an event
            return
        if phase not in self._tasks:
            self._tasks[phase] = self._progress.add_task(readable(phase))
        self._progress.update(self._tasks[phase], completed=done, total=total or None)


@contextmanager
def progress_bar(phase: str, total: int) -> Iterator[Advance]:
    """One bar; yields a function that takes how much more is done."""
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        bars(phase, done, total)

    with Bars() as bars:
        bars(phase, 0, total)
        yield advance


def counted(items: Iterable[Item], bar: Advance) -> Iterator[Item]:
    """The items; the bar moves by one when the next is asked for."""
    for item in items:
        yield item
        bar(1)
