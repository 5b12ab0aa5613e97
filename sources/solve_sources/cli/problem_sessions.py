"""The command `import problem-sessions`: publishes a platform's history."""

import asyncio
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from solve_producer.cli.publishing import connected_producer
from solve_producer.cli.source_option import checked_source
from solve_producer.cli.summary import print_summary, show_bad_lines
from solve_runtime.console import Json, print_json_line, print_lines, progress_bar, run_async
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.settings import read_together
from solve_schemas.events import Event
from solve_schemas.record import encode_line
from solve_sources.errors import SourceUnusable, TooMuchTakenBack
from solve_sources.tables.mapping import Sessions, Users, moment_of, read_mapping, zone_of
from solve_sources.tables.sessions import MADE_ID, TimeRules
from solve_sources.tables.settings import SourceSettings, require_clients

if TYPE_CHECKING:
    from solve_sources.tables.problem_sessions import Import, Imported


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
    source: Annotated[
        str | None,
        typer.Option(
            callback=checked_source,
            help="The name under which the table is counted; by default where it is and its name.",
        ),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="It is not all of the table: what it does not name stays.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Take back more than a tenth of what was counted.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the events as NDJSON and publish nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Publish a platform's own table of attempts.

    Run it again, or continue after a key: nothing counts twice. What was counted from the table before, and is gone or
    not completed now, is taken back, unless a key to continue after, or invalid rows, leave something out.

    The platform's address (PostgreSQL, MySQL or MariaDB) comes from SOURCE_DATABASE_URL; use a role that may only read.

    Example: solve-producer import problem-sessions --submission-column submission_id --timezone Europe/Berlin

    Example: solve-producer import problem-sessions --table app.attempts --completed-column accepted --after 120000

    Example: solve-producer import problem-sessions --mapping attempts.toml --dry-run
    """
    require_clients()
    from solve_sources.tables.problem_sessions import Import, Imported

    sessions = Sessions(
        table, key_column, user_column, problem_column, completed_column, completed_at_column,
        submission_column, language_column, contest_column, revision_column, query,
    )  # fmt: skip
    users = Users(users_table, users_id_column, users_name_column, users_registered_column, users_query)
    zone, default = zone_of(timezone, "--timezone"), moment_of(default_time, "--default-time") if default_time else None
    times = TimeRules(zone, default)
    wanted = Import(
        sessions, None if no_users else users, times, after, skip_invalid, partial=partial, agreed=yes or dry_run
    )
    if mapping:
        wanted = _mapped(mapping, wanted, no_users)
    if not wanted.sessions.submission_id and not wanted.sessions.query:
        _report_made_ids()
    done = Imported()
    refusal = run_async(lambda: _import(wanted, source, done, dry_run=dry_run))
    show_bad_lines(done.bad_rows)
    counts = {name: value for name, value in asdict(done).items() if name != "bad_rows"}
    _report_other_source(done)
    print_summary(counts, as_json, dry_run=dry_run)
    if refusal and not yes:
        raise refusal
    if done.invalid:
        raise typer.Exit(1)


def _mapped(file: Path, given: "Import", no_users: bool) -> "Import":
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


def _report_other_source(done: "Imported") -> None:
    if done.of_others:
        print_lines(
            f"solve-producer: {done.of_others} of these solves are counted as {done.other_source or 'no source'}; "
            "what is gone there is taken back only by an import with that --source",
            to_errors=True,
        )


async def _import(wanted: "Import", source: str | None, done: "Imported", *, dry_run: bool) -> TooMuchTakenBack | None:
    """Returns what a dry run is to be refused with, once it has shown everything."""
    from solve_projector.settings import ProjectorSettings
    from solve_sources.reconciliation.counted import open_counted
    from solve_sources.reconciliation.reconciling import refusal_of
    from solve_sources.tables.problem_sessions import import_sessions, source_of, where_to_go_on

    connection, settings, origin = read_together(KafkaConnection.of_program, ProjectorSettings, SourceSettings)
    name = source or source_of(wanted, origin)
    async with (
        open_counted(connection, settings, name) as counted,
        connected_producer(connection, name) as producer,
    ):
        with progress_bar("importing", 0) as bar:

            async def publish(events: list[Event]) -> None:
                await producer.publish(events)
                bar(len(events))

            try:
                await import_sessions(wanted, origin, counted, _show if dry_run else publish, done)
            except asyncio.CancelledError:
                print_lines(f"solve-producer: {where_to_go_on(done)}", to_errors=True)
                raise
        ledger = counted.ledger
        return refusal_of(done.taken_back, ledger.solved_of_source() + done.taken_back, name) if dry_run else None


async def _show(events: list[Event]) -> None:
    for event in events:
        print_json_line(encode_line(event))
    await asyncio.sleep(0)
