"""The command `import problem-sessions`: publishes a platform's history."""

import asyncio
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from solve_producer.cli.publishing import connected_producer
from solve_producer.cli.summary import print_summary, show_bad_lines
from solve_runtime.console import Json, print_json_line, print_lines, progress_bar, run_async
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.settings import read_both
from solve_schemas.record import EncodedRecord
from solve_sources.errors import SourceUnusable
from solve_sources.tables.mapping import Sessions, Users, moment_of, read_mapping, zone_of
from solve_sources.tables.problem_sessions import Import, Imported, import_sessions, publisher, where_to_go_on
from solve_sources.tables.sessions import MADE_ID, TimeRules
from solve_sources.tables.settings import SourceSettings, require_clients


def import_problem_sessions(
    table: Annotated[str, typer.Option(help="The table of attempts, such as app.attempts.")] = "problem_sessions",
    key_column: Annotated[str, typer.Option(help="Unique: an integer, a uuid or text.")] = "id",
    user_column: Annotated[str, typer.Option()] = "user_id",
    problem_column: Annotated[str, typer.Option()] = "problem_id",
    completed_column: Annotated[str, typer.Option(help="Whether it was solved.")] = "completed",
    completed_at_column: Annotated[str, typer.Option()] = "completed_at",
    submission_column: Annotated[str | None, typer.Option(help="The submission id that live events will use.")] = None,
    language_column: Annotated[str | None, typer.Option()] = None,
    contest_column: Annotated[str | None, typer.Option()] = None,
    revision_column: Annotated[str | None, typer.Option(help="How often it was judged before.")] = None,
    query: Annotated[
        str | None,
        typer.Option(help="Instead: a SELECT of key, user_id, problem_id, completed, completed_at."),
    ] = None,
    users_table: Annotated[str, typer.Option()] = "users",
    users_id_column: Annotated[str, typer.Option()] = "id",
    users_name_column: Annotated[str, typer.Option()] = "username",
    users_registered_column: Annotated[str, typer.Option()] = "created_at",
    users_query: Annotated[str | None, typer.Option(help="A SELECT of key, username, registered_at.")] = None,
    no_users: Annotated[bool, typer.Option("--no-users", help="They are registered already.")] = False,
    mapping: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Instead of all above and of the times: a file that says it.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="The zone of times that have none.")] = "UTC",
    default_time: Annotated[
        str | None, typer.Option(metavar="TIME", help="The time of rows that have none (RFC 3339).")
    ] = None,
    after: Annotated[str | None, typer.Option(metavar="KEY", help="Continue after this key.")] = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Send the good rows all the same, and exit with 1.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the events as NDJSON and publish nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Publish a platform's own table of attempts.

    Run it again, or continue after a key: nothing counts twice.

    The platform's address (PostgreSQL, MySQL or MariaDB) comes from SOURCE_DATABASE_URL; use a role that may only read.

    Example: solve-producer import problem-sessions --submission-column submission_id --timezone Europe/Berlin

    Example: solve-producer import problem-sessions --table app.attempts --completed-column accepted --after 120000

    Example: solve-producer import problem-sessions --mapping attempts.toml --dry-run
    """
    require_clients()
    sessions = Sessions(
        table, key_column, user_column, problem_column, completed_column, completed_at_column,
        submission_column, language_column, contest_column, revision_column, query,
    )  # fmt: skip
    users = Users(users_table, users_id_column, users_name_column, users_registered_column, users_query)
    zone, default = zone_of(timezone, "--timezone"), moment_of(default_time, "--default-time") if default_time else None
    wanted = Import(sessions, None if no_users else users, TimeRules(zone, default), after, skip_invalid)
    if mapping:
        wanted = _mapped(mapping, wanted, no_users)
    if not wanted.sessions.submission_id and not wanted.sessions.query:
        _report_made_ids()
    done = Imported()
    run_async(lambda: _print(wanted, done) if dry_run else _publish(wanted, done))
    show_bad_lines(done.bad_rows)
    counts = {name: value for name, value in asdict(done).items() if name != "bad_rows"}
    if not dry_run:
        print_summary(counts, as_json)
    if done.invalid:
        raise typer.Exit(1)


def _mapped(file: Path, given: Import, no_users: bool) -> Import:
    """What a mapping says, with the options that say how to import it. Raises SourceUnusable where both say what."""
    if (given.sessions, given.times) != (Sessions(), TimeRules(ZoneInfo("UTC"))) or given.users not in {None, Users()}:
        raise SourceUnusable("give tables, columns and times in the --mapping, or as options, but not both")
    said = read_mapping(file)
    users = None if no_users else said.users
    return replace(given, sessions=said.attempts, users=users, times=said.times(), prefix=said.prefix)


def _report_made_ids() -> None:
    made = MADE_ID.format(key="KEY")
    print_lines(
        f"solve-producer: no --submission-column: submissions are called {made}; "
        "a later revocation has to name them so",
        to_errors=True,
    )


async def _publish(wanted: Import, done: Imported) -> None:
    connection, settings = read_both(KafkaConnection.of_program, SourceSettings)
    try:
        async with connected_producer(connection) as producer:
            with progress_bar("importing", 0) as bar:
                await import_sessions(wanted, settings, publisher(producer, bar), done)
    except asyncio.CancelledError:
        print_lines(f"solve-producer: {where_to_go_on(done)}", to_errors=True)
        raise


async def _print(wanted: Import, done: Imported) -> None:
    async def show(records: list[EncodedRecord]) -> None:
        for record in records:
            named = dict(record.headers)["ce_type"].decode()
            print_json_line(f'{{"type":"{named}",{record.value.decode()[1:]}')
        await asyncio.sleep(0)

    await import_sessions(wanted, SourceSettings(), show, done)
