"""The command lines of all three programs: their help, their order, and one line for every failure."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple

import pytest
import typer
from typer.testing import CliRunner

from solve_api.cli.main import app as api
from solve_producer.cli.main import app as producer
from solve_projector.cli.main import app as projector
from tests.world import World

PROGRAMS = {"solve-producer": producer, "solve-projector": projector, "solve-api": api}
# Every command that needs the tables.
ON_TABLES = [
    "solve-projector run --once",
    "solve-projector top",
    "solve-projector top --json",
    "solve-projector user u",
    "solve-projector lag",
    "solve-projector lag --json",
    "solve-projector lag --watch",
    "solve-projector lag --serve --port 0",
    "solve-projector lag --fail-over 60s",
    "solve-projector replay",
    "solve-projector replay --dry-run",
    "solve-projector replay --as-of 2026-05-01T12:00:00Z",
    "solve-projector replay --user u",
    "solve-projector sync-leaderboard",
    "solve-projector sync-leaderboard --dry-run",
    "solve-projector dead-letters list",
    "solve-projector dead-letters list --parked",
    "solve-projector dead-letters show 1",
    "solve-projector dead-letters retry --all",
    "solve-projector dead-letters discard 1 --why x --by ada",
    "solve-projector dead-letters acknowledge u --by ada",
    "solve-api serve --port 0",
    "solve-api admin list",
    "solve-api admin tokens",
    "solve-api admin activity",
    "solve-api admin create ada",
    "solve-api admin disable ada",
    "solve-api admin token ada --label x --scope read",
]
ON_THE_LOG = [
    "solve-projector run --once",
    "solve-projector lag",
    "solve-projector lag --json",
    "solve-projector replay",
    "solve-projector replay --dry-run --json",
    "solve-projector replay --user u",
    "solve-projector copy-log --to nobody-made-this-either",
    "solve-producer publish -",
    "solve-producer simulate -n 1",
]
# One process for many commands: they start in a tenth of the time.
RUNNER = """
import contextlib, io, json, os, sys, traceback
import solve_api.__main__, solve_producer.__main__, solve_projector.__main__
import solve_projector.store.postgresql

solve_projector.store.postgresql.LOCK_TIMEOUT_MS = 300
programs = {f"solve-{name}": sys.modules[f"solve_{name}.__main__"].program for name in ("api", "producer", "projector")}
done, environment, found = [], dict(os.environ), sys.argv[1]
for argv, changes in json.load(sys.stdin):
    os.environ.clear()
    os.environ.update(environment | changes)
    out, err = io.StringIO(), io.StringIO()
    sys.argv = argv
    sys.stdin = io.TextIOWrapper(io.BytesIO(
        b'{"type":"user.registered.v1","user_id":"u","username":"u","registered_at":"2026-01-01T00:00:00Z"}\\n'
        if argv[0] == "solve-producer" else b"correct horse battery staple\\n"
    ))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            programs[argv[0]].run()
        except SystemExit as end:
            status = end.code or 0
        except BaseException:
            status = traceback.format_exc()
    done.append([" ".join(argv), status, out.getvalue(), err.getvalue()])
with open(found, "w") as file:  # a pipe may be left non-blocking, and takes a part of it
    json.dump(done, file)
"""


class Done(NamedTuple):
    """How a command ended."""

    command: str
    status: int | str
    out: str
    err: str


async def done(world: World, commands: Sequence[str], **changes: str) -> list[Done]:
    """Runs commands in one process of their own."""
    environment = world.environment | {"SOLVE_LOG_LEVEL": "ERROR"} | changes
    return await asyncio.to_thread(run_all, environment, [(command, {}) for command in commands])


def run_all(
    environment: Mapping[str, str],
    commands: Sequence[tuple[str | Sequence[str], Mapping[str, str]]],
    folder: Path | None = None,
) -> list[Done]:
    """Runs commands, one text or a list of words, in one process; each with its own changes of the environment."""
    words = [(command.split() if isinstance(command, str) else command, changes) for command, changes in commands]
    with NamedTemporaryFile() as found:
        finished = subprocess.run(
            [sys.executable, "-c", RUNNER, found.name],
            input=json.dumps(words).encode(),
            capture_output=True,
            env=dict(environment),
            cwd=folder,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr.decode()
        return [Done(*one) for one in json.load(found)]


def wrong(found: Sequence[Done], says: str) -> list[Done]:
    """Those that did not end with status 1 and one line that says this."""
    return [
        one
        for one in found
        if one.status != 1
        or len(one.err.splitlines()) != 1
        or not one.err.startswith(f"{one.command.split()[0]}: ")
        or not re.search(says, one.err)
        or one.out
    ]


def commands_of(app: typer.Typer, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group of a program, as words."""
    yield words
    for command in app.registered_commands:
        assert command.callback
        yield (*words, command.name or command.callback.__name__.replace("_", "-"))
    for group in app.registered_groups:
        assert group.typer_instance
        yield from commands_of(group.typer_instance, (*words, group.name or ""))


def shown(program: str, *words: str) -> str:
    found = CliRunner().invoke(PROGRAMS[program], [*words], prog_name=program, env={"COLUMNS": "80"})
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_help_fits_80_columns_and_cuts_no_summary(program: str) -> None:
    for words in commands_of(PROGRAMS[program]):
        text = shown(program, *words, "--help")
        assert text.startswith(f"Usage: {' '.join((program, *words))} ")
        assert [line for line in text.splitlines() if line.endswith("...") and not line.startswith("Usage")] == [], (
            words
        )
        assert [line for line in text.splitlines() if len(line) > 80] == [], words


def test_the_projectors_commands_stand_in_the_order_in_which_an_operator_needs_them() -> None:
    text = shown("solve-projector", "--help")
    listed = re.findall(r"^  ([a-z-]+)  ", text[text.index("Commands:") :], re.MULTILINE)
    assert listed == ["setup", "run", "top", "user", "lag", "replay", "sync-leaderboard", "copy-log", "dead-letters"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_says_its_version(program: str) -> None:
    said = subprocess.run([Path(sys.executable).with_name(program), "--version"], capture_output=True, check=True)
    assert re.fullmatch(r"solve-counts \d+\.\d+\.\d+\n", said.stdout.decode())
    assert "--version" in shown(program, "--help")


async def test_before_setup_every_command_says_so_in_one_line(world: World) -> None:
    found = await done(world, ON_TABLES, SOLVE_DATABASE_SCHEMA="nothing_yet")
    assert wrong(found, "schema nothing_yet has no tables .*solve-projector setup") == []


async def test_tables_of_another_version_are_refused_by_every_command(world: World) -> None:
    async with world.database() as connection:
        await connection.execute("UPDATE solve_counts_migration SET version_num = '0001'")
        assert wrong(await done(world, ON_TABLES), "at revision 0001 .*solve-projector setup") == []
        await connection.execute("UPDATE solve_counts_migration SET version_num = '9999'")
        assert wrong(await done(world, [*ON_TABLES, "solve-projector setup"]), "9999.*upgrade solve-counts") == []


async def test_tables_that_another_session_locks_are_one_line(world: World) -> None:
    async with world.database() as connection, connection.transaction():
        await connection.execute("LOCK TABLE solve_counts_migration, partition_offsets, users, admins, admin_tokens")
        blocked = ["solve-projector run", "solve-projector top", "solve-projector replay", "solve-api admin list"]
        assert wrong(await done(world, blocked, SOLVE_START_TIMEOUT_S="1"), "lock timeout.*another session") == []
    async with world.database() as connection, connection.transaction():
        await connection.execute("LOCK TABLE partition_offsets")  # met later: the version is read, the offsets are not
        later = ["solve-projector run", "solve-projector run --once", "solve-projector replay --dry-run"]
        assert wrong(await done(world, later, SOLVE_START_TIMEOUT_S="1"), "lock timeout") == []


async def test_a_topic_that_is_missing_is_one_line(world: World) -> None:
    found = await done(world, ON_THE_LOG, SOLVE_TOPIC="nobody-made-this")
    assert wrong(found, "topic nobody-made-this does not exist") == []


async def test_settings_that_cannot_be_are_named_in_plain_words(world: World) -> None:
    changes = {
        "SOLVE_BATCH_MAX_RECORDS": "many",
        "SOLVE_DATABASE_SCHEMA": "Our Schema",
        "SOLVE_LOG_LEVEL": "loud",
        "SOLVE_METRICS_PORT": "70000",
        "SOLVE_LEADERBOARD_PREFIX": "{}",
    }
    (refused,) = await done(world, ["solve-projector top"], **changes)
    assert refused.status == 2
    assert refused.err == (
        "solve-projector: SOLVE_DATABASE_SCHEMA must be 1 to 63 lower-case letters, digits or _, not beginning with "
        "a digit; SOLVE_LEADERBOARD_PREFIX must be 1 to 64 letters, digits, dots, _ or -; SOLVE_BATCH_MAX_RECORDS must "
        "be a whole number; SOLVE_METRICS_PORT must be at most 65535; SOLVE_LOG_LEVEL must be one of DEBUG, INFO, "
        "WARNING, ERROR, CRITICAL\n"
    )
