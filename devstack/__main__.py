"""The commands `python -m devstack up | env | status | down | run -- COMMAND`."""

import os
import shlex
import signal
import stat
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from devstack.errors import StackError
from devstack.stack import Stack

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Kafka, PostgreSQL and Valkey on this machine, without Docker.",
)
Folder = Annotated[Path, typer.Option("--folder", help="Where data, logs and the process ids are.")]
DEFAULT_FOLDER = Path(".devstack")


@app.command()
def up(
    folder: Folder = DEFAULT_FOLDER,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the data of the last run first.")] = False,
) -> None:
    """Start the three servers, wait until they answer, and print the environment lines.

    Example: python -m devstack up > .env
    """
    stack = Stack(folder, outlive_owner=True)
    if all(server.running() for server in stack.servers):
        print(f"devstack: already running in {folder}", file=sys.stderr)
    else:
        if fresh:
            stack.clear()
            stack = Stack(folder, outlive_owner=True)
        stack.start()
    _print_environment(stack)


@app.command()
def down(folder: Folder = DEFAULT_FOLDER) -> None:
    """Stop the servers; the data stays.

    Example: python -m devstack down
    """
    stack = Stack(folder)
    if not any(server.running() for server in stack.servers):
        print(f"devstack: nothing runs in {folder}", file=sys.stderr)
        return
    stack.stop()


@app.command()
def env(folder: Folder = DEFAULT_FOLDER) -> None:
    """Print the environment lines again.

    Example: export $(python -m devstack env)
    """
    stack = Stack(folder)
    if stopped := [server.name for server in stack.servers if not server.running()]:
        raise StackError(f"{', '.join(stopped)} not running in {folder}; start with: python -m devstack up")
    _print_environment(stack)


@app.command()
def status(folder: Folder = DEFAULT_FOLDER) -> None:
    """Say what runs, where, and where its log is. Exits with 1 where something does not.

    Example: python -m devstack status
    """
    servers = Stack(folder).servers
    for server in servers:
        state = f"process {server.pid}, port {server.port}" if server.running() else "not running"
        print(f"{server.name}: {state}, log {server.log_file}")
    if not all(server.running() for server in servers):
        raise typer.Exit(1)


@app.command()
def run(
    command: Annotated[list[str], typer.Argument(help="After --, the command and its arguments.")],
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Keep the data here; without it, a temporary folder.")
    ] = None,
    shared_buffers: Annotated[
        str | None, typer.Option(help="PostgreSQL's own setting, for a large database: 1GB, say.")
    ] = None,
) -> None:
    """Start the servers, run a command with their environment, stop them, and exit with its status.

    Example: python -m devstack run -- solve-projector run --once
    """
    if folder is not None:
        raise typer.Exit(_run_in(folder, command, shared_buffers))
    with tempfile.TemporaryDirectory(prefix="devstack-") as temporary:
        raise typer.Exit(_run_in(Path(temporary), command, shared_buffers))


def _run_in(folder: Path, command: list[str], shared_buffers: str | None) -> int:
    stack = Stack(folder)
    stack.postgres.shared_buffers = shared_buffers or stack.postgres.shared_buffers
    with stack:
        try:
            child = subprocess.Popen(command, env=os.environ | stack.environment())
        except OSError as error:
            raise StackError(f"cannot run {shlex.join(command)}: {error.strerror or error}") from error
        # a Ctrl-C reaches the command by itself, from the terminal; a SIGTERM reaches only us
        signal.signal(signal.SIGTERM, lambda number, _frame: child.send_signal(number))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        status = child.wait()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return status if status >= 0 else 128 - status


def _print_environment(stack: Stack) -> None:
    with suppress(OSError):  # another user's file
        if stat.S_ISREG(os.fstat(1).st_mode):  # `> .env`, which the shell makes for everybody to read
            os.fchmod(1, 0o600)
    for name, value in stack.environment().items():
        print(f"{name}={value}")


def main() -> None:
    """Runs the command; an error is one line on standard error and a non-zero exit."""
    # a SIGTERM while servers are starting stops them too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        app()
    except StackError as error:
        text = "".join(one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in str(error))
        print(f"devstack: {text}", file=sys.stderr)  # it may quote a server's log
        sys.exit(1)


if __name__ == "__main__":
    main()
