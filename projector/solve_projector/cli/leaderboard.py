"""The command `sync-leaderboard`."""

from dataclasses import asdict
from typing import Annotated

import typer

from solve_projector.cli.options import load_settings, open_stores
from solve_projector.leaderboard.audit import BoardDifference, compare_board, one_rebuild, rebuild_board
from solve_runtime.console import Json, run_async, say

DRIFT = 3


def sync_leaderboard_command(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compare and change nothing; exit with 3 if they differ.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Rebuild the leaderboard in Redis from PostgreSQL.

    It is built beside the one that readers see, and takes its place when it is complete. Projectors keep running.

    Example: solve-projector sync-leaderboard --dry-run
    """
    connection, settings = load_settings()

    async def work() -> BoardDifference:
        async with open_stores(connection, settings) as (pool, board):
            pause_s = settings.leaderboard_check_interval_s
            if dry_run:
                return await compare_board(pool, board, pause_s)
            async with one_rebuild(pool):
                return await rebuild_board(pool, board, connection.topic, pause_s)

    found = run_async(work)
    say({"dry_run": dry_run, **asdict(found)}, in_words(found, "would be " if dry_run else ""), as_json)
    if dry_run and found:
        raise typer.Exit(DRIFT)


def in_words(found: BoardDifference, verb: str = "") -> str:
    """What differed, for people."""
    if not found:
        return "leaderboard: no difference"
    return f"leaderboard: {found.added} users {verb}added, {found.changed} {verb}changed, {found.removed} {verb}removed"
