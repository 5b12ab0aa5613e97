"""The command `replay`: prove the counts, repair them, or explain them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from solve_projector.cli.leaderboard import in_words
from solve_projector.cli.options import load_settings
from solve_projector.cli.users import losing_sentence
from solve_projector.errors import SettingsError
from solve_projector.replay.history import Explanation, as_of_dict, counts_as_of, explain_user
from solve_projector.replay.replaying import AsOf, By, ReplayOptions, replay
from solve_projector.replay.report import Report
from solve_runtime.console import Bars, Json, print_json, print_lines, print_table, run_async, table, whole

DRIFT = 3
ROWS_SHOWN = 50


def replay_command(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="An audit: change nothing; exit with 3 if there is drift.")
    ] = False,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Report the counts as of a time (RFC 3339); with --user one user's.",
        ),
    ] = None,
    by: Annotated[By, typer.Option(help="Which time counts for --as-of.")] = "judged",
    user: Annotated[
        str | None, typer.Option(metavar="USER_ID", help="Explain the count of one user; changes nothing.")
    ] = None,
    partitions: Annotated[
        str, typer.Option(metavar="0,3,…", help="Audit only these partitions; needs --dry-run.")
    ] = "",
    workers: Annotated[int, typer.Option(min=0, max=256, help="Processes that read the log; 0: one a core.")] = 0,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write every update to a file: NDJSON if its name ends so, else CSV."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Rebuild every count from the log, and repair drift.

    Projectors keep running meanwhile. Safe to interrupt and to repeat; nothing half done is ever visible. Exits with 1
    if PostgreSQL refuses a repair.

    Example: solve-projector replay

    Example: solve-projector replay --dry-run --json

    Example: solve-projector replay --as-of 2026-05-01T12:00:00Z --by submitted

    Example: solve-projector replay --user 47020

    Example: solve-projector replay --user 47020 --as-of 2026-05-01T12:00:00Z
    """
    chosen = _numbers(partitions)
    moment = AsOf(_moment(as_of), by) if as_of else None
    options = ReplayOptions(dry_run or bool(as_of or user), workers, chosen, report, moment)
    if user is not None:
        _explain(options, user, as_json)
    elif moment:
        _as_of(options, moment, as_json)
    else:
        _replay(options, as_json)


def _replay(options: ReplayOptions, as_json: bool) -> None:
    connection, settings = load_settings()
    with Bars() as bars:
        report = run_async(lambda: replay(connection, settings, options, bars))
    if as_json:
        print_json(report.as_dict())
    else:
        _show(report)
    if report.users_refused:
        raise typer.Exit(1)
    if options.dry_run and report.drifted:
        raise typer.Exit(DRIFT)


def _as_of(options: ReplayOptions, as_of: AsOf, as_json: bool) -> None:
    connection, settings = load_settings()
    with Bars() as bars:
        counts = run_async(lambda: counts_as_of(connection, settings, options, bars))
    if as_json:
        print_json(as_of_dict(as_of, counts))
        return
    shown = table(whole("user"), "name", "solved", whole("last solve (UTC)"))
    for one in counts[:ROWS_SHOWN]:
        shown.add_row(one.user_id, one.username or "", str(one.problems_solved), _time(one.last_solved_at))
    print_table(shown)
    if len(counts) > ROWS_SHOWN:
        print_lines(f"… and {len(counts) - ROWS_SHOWN} more users; --json prints all of them")
    total = sum(one.problems_solved for one in counts)
    print_lines(f"{total} problems solved by {len(counts)} users, {as_of.by} by {as_of.moment.isoformat()}")


def _explain(options: ReplayOptions, user_id: str, as_json: bool) -> None:
    connection, settings = load_settings()
    with Bars() as bars:
        said: Explanation = run_async(lambda: explain_user(connection, settings, options, user_id, bars))
    if as_json:
        print_json(said.as_dict())
    else:
        print_table(_verdicts(said))
        for lost in said.losing:
            print_lines(losing_sentence(lost))
        print_lines(
            f"{said.user_id} ({said.username}): {said.solved.problems_solved} problems solved in {_where(said)}"
        )
    if said.drifted:
        raise typer.Exit(DRIFT)


def _where(said: Explanation) -> str:
    if said.postgresql is None:
        return "the log by then"
    compared = "they differ" if said.drifted else "waits for a recount" if said.waiting else "no drift"
    return f"the log, {said.postgresql.problems_solved} in PostgreSQL; {compared}"


def _verdicts(said: Explanation) -> Table:
    submitted, judged = whole("submitted (UTC)"), whole("judged (UTC)")
    sources = ["source"] if any(row["source"] for row in said.verdicts) else []
    shown = table("problem", "submission", "verdict", submitted, judged, "topic partition:offset", *sources)
    for row in said.verdicts:
        shown.add_row(
            row["problem_id"],
            row["submission_id"],
            _what_became_of(row),
            _time(row["submitted_at"]),
            _time(row["judged_at"]),
            f"{row['topic']} {row['partition']}:{row['offset']}",
            *(row[name] for name in sources),
        )
    return shown


def _what_became_of(verdict: Mapping[str, Any]) -> str:
    if verdict["counts"]:
        return "counts"
    if not verdict["solved"]:
        return "revoked"
    return "solved, problem withdrawn" if verdict["withdrawn"] else "solved, not first"


def _show(report: Report) -> None:
    if report.updates:
        print_table(_updates(report))
        if report.users_updated > ROWS_SHOWN:
            print_lines(f"… and {report.users_updated - ROWS_SHOWN} more; --report FILE writes all of them")
    for name in ("verdicts", "solves", "removals", "problems", "search_keys", "parked_events", "dead_letters"):
        if kinds := {kind: number for kind, number in getattr(report, name).items() if number}:
            print_lines(f"{name.replace('_', ' ')}: " + ", ".join(f"{number} {kind}" for kind, number in kinds.items()))
    if report.users_renamed_or_created:
        print_lines(f"users whose name or row differed: {report.users_renamed_or_created}")
    for title, user_ids in (
        ("users that the log never registered, kept", report.users_never_registered),
        ("users that PostgreSQL refuses to repair", report.users_refused),
    ):
        if user_ids:
            print_lines(f"{title}: {', '.join(user_ids)}")
    if report.users_waiting:
        print_lines(f"not compared: {report.users_waiting} users wait to be counted anew, after a fact about a problem")
    _show_repairs(report)
    for sentence in report.open_transactions:
        print_lines(f"not read: {sentence}")
    phases = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in report.seconds.items())
    print_lines(f"{report.message} ({report.records_read} records; {phases})")


def _show_repairs(report: Report) -> None:
    would_be = "would be " if report.dry_run else ""
    for moved in report.offsets_moved:
        print_lines(
            f"partition {moved['partition']}: offset {moved['found']} was moved by hand; "
            f"{would_be}restored to {moved['restored']}"
        )
    if report.leaderboard_problem:
        print_lines(f"leaderboard: {report.leaderboard_problem}")
    elif report.leaderboard:
        print_lines(in_words(report.leaderboard, would_be))


def _updates(report: Report) -> Table:
    old, new = whole("old last solve (UTC)"), whole("new last solve (UTC)")
    shown = table(whole("user"), "old count", "new count", old, new)
    for one in report.updates[:ROWS_SHOWN]:
        shown.add_row(
            one.user_id, str(one.old_count), str(one.new_count),
            _time(one.old_last_solved_at), _time(one.new_last_solved_at),
        )  # fmt: skip
    return shown


def _numbers(text: str) -> frozenset[int]:
    try:
        return frozenset(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise SettingsError(f"--partitions {text} is not a list of numbers; write --partitions 0,3") from None


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"--as-of {text} is not a time; write --as-of 2026-05-01T12:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _time(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}" if value else ""
