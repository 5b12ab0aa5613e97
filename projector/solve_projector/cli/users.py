"""The commands `top` and `user`: PostgreSQL and Redis, side by side."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any

import asyncpg
import typer
from rich.table import Table

from solve_projector.cli.options import load_settings, open_stores
from solve_projector.leaderboard.board import Leaderboard
from solve_projector.operations.user_record import Place, top_places, user_record
from solve_runtime.console import Json, print_json, print_lines, print_table, run_async, table, whole


def top(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many users.")] = 10,
    as_json: Json = False,
) -> None:
    """Show the first users, in both stores.

    PostgreSQL says who they are; the column Redis says whether Redis has the same of each: "same", what it has
    instead, or "absent".

    Example: solve-projector top -n 20
    """
    places, problem = _ask(lambda pool, board: top_places(pool, board, limit))
    if as_json:
        print_json([asdict(place) | {"agrees": place.agrees} for place in places])
    elif places:
        print_table(_board(places, asked=problem is None))
    else:
        print_lines("nobody has solved a problem yet")
    if problem:
        print_lines(f"the column Redis is unknown: {problem}", to_errors=True)


def user(user_id: Annotated[str, typer.Argument(metavar="USER_ID")], as_json: Json = False) -> None:
    """Show one user, in both stores.

    Also every verdict of theirs, with its partition and offset in the log, and the source that its event names.

    Example: solve-projector user 47020
    """
    record = _ask(lambda pool, board: user_record(pool, board, user_id))
    if as_json:
        print_json(record)
        return
    row, cached = record["postgresql"], record["redis"]
    print_lines(f"{row['user_id']}  {row['username']}  (registered by the {row['origin']})")
    hidden = "removed, " if row["removed"] else "" if row["listed"] else "not listed, "
    print_lines(f"PostgreSQL: {hidden}{_solved(row)}")
    print_lines(f"Redis:      {record['redis_problem'] or (_solved(cached) if cached else 'not on the board')}")
    if record["parked_events"]:
        print_lines(f"{record['parked_events']} parked events wait for the next sweep")
    if record["verdicts"]:
        print_table(_verdicts(record["verdicts"]))
    for lost in record["losing_verdicts"]:
        print_lines(losing_sentence(lost))


def losing_sentence(lost: dict[str, Any]) -> str:
    """Of a verdict that came later in the log than the one that stands, and was judged earlier."""
    kind = "solved" if lost["solved"] else "revoked"
    return (
        f"submission {lost['submission_id']} of {lost['problem_id']}: {kind} at "
        f"{lost['source_partition']}:{lost['source_offset']}, judged {lost['judged_at'].isoformat()}, loses to "
        f"the verdict at {lost['standing_partition']}:{lost['standing_offset']}, judged "
        f"{lost['standing_judged_at'].isoformat()}; if it should count, check the judges' clocks"
    )


def _ask(question: Callable[[asyncpg.Pool, Leaderboard], Awaitable[Any]]) -> Any:
    connection, settings = load_settings()

    async def work() -> Any:
        async with open_stores(connection, settings) as (pool, board):
            return await question(pool, board)

    return run_async(work)


def _solved(row: dict[str, Any]) -> str:
    if not row["problems_solved"]:
        return "0 problems solved, not ranked"
    last = f"{row['last_solved_at']:%Y-%m-%d %H:%M:%S}Z"
    problems = "problem" if row["problems_solved"] == 1 else "problems"
    rank = f"rank {row['rank']}" if row["rank"] else "not ranked"
    return f"{row['problems_solved']} {problems} solved, {rank}, last solve {last}"


def _board(places: list[Place], *, asked: bool) -> Table:
    shown = table("rank", whole("user"), "name", "solved", whole("last solve (UTC)"), "Redis")
    for place in places:
        shown.add_row(
            str(place.rank),
            place.user_id,
            place.username,
            str(place.problems_solved),
            f"{place.last_solved_at:%Y-%m-%d %H:%M:%S}",
            _in_redis(place) if asked else "unknown",
        )
    return shown


def _in_redis(place: Place) -> str:
    if place.agrees:
        return "same"
    if place.redis is None:
        return "absent"
    return (
        f"differs: rank {place.redis.rank}, {place.redis.problems_solved} solved, "
        f"{place.redis.last_solved_at:%Y-%m-%d %H:%M:%S}"
    )


def _what_was_decided(verdict: dict[str, Any]) -> str:
    if not verdict["solved"]:
        return f"revoked {verdict['reason']}".strip()
    return "solved, problem withdrawn" if verdict["withdrawn"] else "solved"


def _verdicts(verdicts: list[dict[str, Any]]) -> Table:
    ids = whole("problem"), whole("submission")
    sources = ["source"] if any(row["source"] for row in verdicts) else []
    shown = table(*ids, "verdict", "revision", "submitted (UTC)", "judged (UTC)", whole("place"), *sources)
    for row in verdicts:
        shown.add_row(
            row["problem_id"],
            row["submission_id"],
            _what_was_decided(row),
            str(row["revision"]),
            f"{row['submitted_at']:%Y-%m-%d %H:%M:%S}" if row["submitted_at"] else "",
            f"{row['judged_at']:%Y-%m-%d %H:%M:%S}",
            f"{row['source_partition']}:{row['source_offset']}",
            *(row[name] for name in sources),
        )
    return shown
