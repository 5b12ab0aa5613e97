"""What can an operator type? Thin commands over functions that tests call too; the one place that prints errors."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from solve_projector.cli.dead_letters import dead_letter_commands
from solve_projector.cli.lag import lag_command
from solve_projector.cli.replay import replay_command, sync_leaderboard_command
from solve_projector.leaderboard.board import open_leaderboard
from solve_projector.live.process import OnProgress, open_projector, run_projector
from solve_projector.operations.setup import provision
from solve_projector.operations.user_record import Place, user_record
from solve_projector.operations.user_record import top as top_places
from solve_projector.settings import ProjectorSettings
from solve_projector.store.postgresql import open_pool
from solve_projector.terminal import (
    Json,
    PhaseBars,
    console_of_output,
    load_settings,
    print_json,
    run_async,
    run_command,
)
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.topic import PARTITIONS

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Folds the log of judge events into PostgreSQL and a Redis leaderboard.\n\n"
    "Settings come from the environment or .env: KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL, REDIS_URL and more.",
)
app.command("replay")(replay_command)
app.command("lag")(lag_command)
app.command("sync-leaderboard")(sync_leaderboard_command)
app.add_typer(dead_letter_commands, name="dead-letters")


@app.command()
def setup(
    partitions: Annotated[int, typer.Option(min=1, max=10_000, help="Of a topic that is created now.")] = PARTITIONS,
    replication_factor: Annotated[int, typer.Option(min=-1, max=32, help="-1: the broker's default.")] = -1,
    as_json: Json = False,
) -> None:
    """Make the tables and the topic. Safe to run again, and when two start at once.

    Example: solve-projector setup --partitions 24 --replication-factor 3
    """
    connection, settings = load_settings()
    done = run_async(provision(connection, settings, partitions, replication_factor))
    if as_json:
        print_json(asdict(done))
    else:
        made = "created" if done.topic_created else "exists with safe settings"
        print(f"tables at revision {done.revision}; topic {done.topic} {made}, {done.partitions} partitions")


@app.command()
def run(
    once: Annotated[
        bool, typer.Option("--once", help="Stop when everything that is in the log now is in PostgreSQL and in Redis.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Project the log. Start as many of these as there are partitions; Ctrl-C or SIGTERM finish the batch in hand.

    Example: solve-projector run --once
    """
    connection, settings = load_settings()
    with PhaseBars(wanted=once) as bars:
        totals = run_async(_project(connection, settings, once, lambda done, total: bars("projecting", done, total)))
    if as_json:
        print_json(totals)
    elif once:
        print(
            f"{totals['records']} records: {totals['verdicts']} verdicts, {totals['registered']} registrations, "
            f"{totals['parked']} parked, {totals['dead_letters']} dead letters; PostgreSQL and Redis have everything"
        )


@app.command()
def top(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000)] = 10,
    as_json: Json = False,
) -> None:
    """Print the first places of the board, as PostgreSQL and as Redis have them.

    Example: solve-projector top -n 20
    """
    places, problem = run_async(_with_stores(lambda pool, board: top_places(pool, board, limit)))
    if as_json:
        print_json([asdict(place) | {"agrees": place.agrees} for place in places])
    else:
        console_of_output().print(_board_table(places))
    if problem:
        print(f"Redis could not be asked: {problem}", file=sys.stderr)


@app.command()
def user(user_id: str, as_json: Json = False) -> None:
    """Print one user's record, as PostgreSQL and as Redis have it, with every verdict and its place in the log.

    Example: solve-projector user 47020
    """
    record = run_async(_with_stores(lambda pool, board: user_record(pool, board, user_id)))
    if as_json:
        print_json(record)
        return
    console = console_of_output()
    row, cached = record["postgresql"], record["redis"]
    console.print(f"{row['user_id']}  {row['username']}  (known by {row['origin']})", markup=False, highlight=False)
    console.print(f"PostgreSQL: {_solved(row)}", markup=False, highlight=False)
    said = record["redis_problem"] or (_solved(cached) if cached else "not on the board")
    console.print(f"Redis:      {said}", markup=False, highlight=False)
    if record["parked_events"]:
        console.print(f"{record['parked_events']} parked events wait for the next sweep", markup=False)
    if record["verdicts"]:
        console.print(_verdict_table(record["verdicts"]))


def main() -> None:
    """Runs the command; an error is one line on standard error and a non-zero exit."""
    run_command(app, "solve-projector")


async def _project(
    connection: KafkaConnection, settings: ProjectorSettings, once: bool, on_progress: OnProgress | None
) -> dict[str, Any]:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with open_projector(connection, settings) as projector:
        return asdict(await run_projector(projector, stopping, once=once, on_progress=on_progress))


async def _with_stores(ask: Callable[[Any, Any], Awaitable[Any]]) -> Any:
    connection, settings = KafkaConnection(), ProjectorSettings()
    async with open_pool(settings) as pool, open_leaderboard(settings, connection.topic) as board:
        return await ask(pool, board)


def _solved(row: dict[str, Any]) -> str:
    if not row["problems_solved"]:
        return "0 problems solved, not ranked"
    last = f"{row['last_solved_at']:%Y-%m-%d %H:%M:%S}Z"
    return f"{row['problems_solved']} problems solved, rank {row['rank']}, last solve {last}"


def _board_table(places: list[Place]) -> Table:
    table = Table(Column("rank"), "user", "name", "solved", Column("last solve (UTC)", no_wrap=True), "Redis", box=None)
    for place in places:
        redis = (
            "same"
            if place.agrees
            else f"rank {place.redis.rank}: {place.redis.problems_solved}"
            if place.redis
            else "absent"
        )
        last = f"{place.last_solved_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(str(place.rank), place.user_id, place.username, str(place.problems_solved), last, redis)
    return table


def _verdict_table(verdicts: list[dict[str, Any]]) -> Table:
    table = Table("problem", "submission", "verdict", "submitted (UTC)", "judged (UTC)", "partition:offset", box=None)
    for row in verdicts:
        submitted = f"{row['submitted_at']:%Y-%m-%d %H:%M:%S}" if row["submitted_at"] else ""
        place = f"{row['source_partition']}:{row['source_offset']}"
        verdict = "solved" if row["solved"] else f"revoked {row['reason']}".strip()
        judged = f"{row['judged_at']:%Y-%m-%d %H:%M:%S}"
        table.add_row(row["problem_id"], row["submission_id"], verdict, submitted, judged, place)
    return table


if __name__ == "__main__":
    main()
