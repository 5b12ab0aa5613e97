"""What can an operator type to prove and to rebuild? The commands `replay` and `sync-leaderboard`."""

import asyncio
import signal
from collections.abc import Coroutine
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from solve_projector.errors import SettingsError
from solve_projector.leaderboard.audit import compare_board, one_rebuild, rebuild_board
from solve_projector.leaderboard.board import open_leaderboard
from solve_projector.replay.history import By, Explanation, as_of_dict, counts_as_of, explain_user
from solve_projector.replay.replaying import ReplayOptions, replay
from solve_projector.replay.report import Report
from solve_projector.store.postgresql import open_pool
from solve_projector.terminal import Json, PhaseBars, console_of_output, load_settings, print_json, run_async

DRIFT = 3
ROWS_SHOWN = 50


def replay_command(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="An audit: change nothing, exit with 0 or, where there is drift, with 3.")
    ] = False,
    as_of: Annotated[
        str | None, typer.Option(metavar="TIME", help="Report the counts of that time (RFC 3339).")
    ] = None,
    by: Annotated[str, typer.Option(help="What has to lie before --as-of: judged or submitted.")] = "judged",
    user: Annotated[str | None, typer.Option(metavar="ID", help="Explain one user's number; changes nothing.")] = None,
    partitions: Annotated[str, typer.Option(metavar="0,3,…", help="Audit these alone; needs --dry-run.")] = "",
    workers: Annotated[int, typer.Option(min=0, max=256, help="Reading processes; 0: one a core.")] = 0,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all updates as CSV, or NDJSON if the name says so.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Rebuild every count from the log, while projection goes on, and say what was wrong. Safe to interrupt and repeat.

    Example: solve-projector replay

    Example: solve-projector replay --dry-run --json

    Example: solve-projector replay --as-of 2026-05-01T12:00:00Z --by submitted

    Example: solve-projector replay --user 47020
    """
    chosen = _numbers(partitions)
    options = ReplayOptions(dry_run or bool(as_of or user), workers, chosen, report)
    if as_of:
        _as_of(options, _moment(as_of), _by(by), as_json)
    elif user is not None:
        _explain(options, user, as_json)
    else:
        _replay(options, as_json)


def sync_leaderboard_command(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compare, change nothing; exit with 3 where they differ.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build the leaderboard in Redis anew from PostgreSQL, beside the one that people see, while everything runs.

    Example: solve-projector sync-leaderboard --dry-run
    """
    connection, settings = load_settings()

    async def work() -> Any:
        async with open_pool(settings) as pool, open_leaderboard(settings, connection.topic) as board:
            pause_s = settings.leaderboard_check_interval_s
            if dry_run:
                return await compare_board(pool, board, pause_s)
            async with one_rebuild(pool):
                return await rebuild_board(pool, board, connection.topic, pause_s)

    found = run_async(_until_terminated(work()))
    if as_json:
        print_json({"dry_run": dry_run, **asdict(found)})
    else:
        said = "would be" if dry_run else "were"
        print(f"members that {said} added: {found.added}, changed: {found.changed}, removed: {found.removed}")
    if dry_run and found:
        raise typer.Exit(DRIFT)


def _replay(options: ReplayOptions, as_json: bool) -> None:
    connection, settings = load_settings()
    with PhaseBars() as bars:
        report = run_async(_until_terminated(replay(connection, settings, options, bars)))
    if as_json:
        print_json(report.as_dict())
    else:
        _show(report)
    if report.users_refused:
        raise typer.Exit(1)
    if options.dry_run and report.drifted:
        raise typer.Exit(DRIFT)


def _as_of(options: ReplayOptions, moment: datetime, by: By, as_json: bool) -> None:
    connection, settings = load_settings()
    with PhaseBars() as bars:
        counts = run_async(_until_terminated(counts_as_of(connection, settings, options, moment, by, bars)))
    if as_json:
        print_json(as_of_dict(moment, by, counts))
        return
    table = Table("user", "name", "solved", "last solve (UTC)", box=None)
    for one in counts[:ROWS_SHOWN]:
        table.add_row(one.user_id, one.username, str(one.problems_solved), _time(one.last_solved_at))
    console_of_output().print(table)
    total = sum(one.problems_solved for one in counts)
    print(f"{total} problems solved by {len(counts)} users, {by} by {moment.isoformat()}")


def _explain(options: ReplayOptions, user_id: str, as_json: bool) -> None:
    connection, settings = load_settings()
    with PhaseBars() as bars:
        said: Explanation = run_async(_until_terminated(explain_user(connection, settings, options, user_id, bars)))
    if as_json:
        print_json(said.as_dict())
    else:
        table = Table(
            "problem", "submission", "verdict", "submitted (UTC)", "judged (UTC)", "place in the log", box=None
        )
        for row in said.verdicts:
            verdict = "counts" if row["counts"] else "solved, not first" if row["solved"] else "revoked"
            place = f"{row['topic']} {row['partition']}:{row['offset']}"
            table.add_row(
                row["problem_id"],
                row["submission_id"],
                verdict,
                _time(row["submitted_at"]),
                _time(row["judged_at"]),
                place,
            )
        console_of_output().print(table)
        print(
            f"{said.user_id} ({said.username}): the log says {said.solved.problems_solved} problems solved, PostgreSQL "
            f"{said.postgresql.problems_solved}; {'they differ' if said.drifted else 'no drift'}"
        )
    if said.drifted:
        raise typer.Exit(DRIFT)


def _show(report: Report) -> None:
    console = console_of_output()
    if report.updates:
        table = Table(
            "user", "name", "old count", "new count", "old last solve (UTC)", "new last solve (UTC)", box=None
        )
        for one in report.updates[:ROWS_SHOWN]:
            table.add_row(
                one.user_id, one.username, str(one.old_count), str(one.new_count),
                _time(one.old_last_solved_at), _time(one.new_last_solved_at),
            )  # fmt: skip
        console.print(table)
        if report.users_updated > ROWS_SHOWN:
            print(f"… and {report.users_updated - ROWS_SHOWN} more; --report FILE writes all of them")
    for name in ("verdicts", "parked_events", "dead_letters"):
        if kinds := {kind: number for kind, number in getattr(report, name).items() if number}:
            print(f"{name.replace('_', ' ')}: " + ", ".join(f"{number} {kind}" for kind, number in kinds.items()))
    for title, found in (
        ("users whose name or row differed", report.users_renamed_or_created),
        ("users of origin log whom the log never registered (kept)", ", ".join(report.users_never_registered)),
        ("users whom PostgreSQL refuses", ", ".join(report.users_refused)),
        ("offsets moved by hand", report.offsets_moved),
        ("leaderboard", report.leaderboard or report.leaderboard_problem),
    ):
        if found:
            print(f"{title}: {found}")
    said = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in report.seconds.items())
    print(f"{report.message} ({report.records_read} records; {said})")


async def _until_terminated(work: Coroutine[Any, Any, Any]) -> Any:
    """SIGTERM ends it like Ctrl-C."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _numbers(text: str) -> frozenset[int]:
    try:
        return frozenset(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise SettingsError(f"--partitions {text!r} is no list of numbers; write --partitions 0,3") from None


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"--as-of {text!r} is no time; write --as-of 2026-05-01T12:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _by(text: str) -> By:
    if text == "judged":
        return "judged"
    if text == "submitted":
        return "submitted"
    raise SettingsError(f"--by {text!r} is neither judged nor submitted")


def _time(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}" if value else ""
