"""Compares the tables with the log in one snapshot, in which the log's tail is read up to the tables' offsets.

Staging then stands at the same point of the log as the tables, so that every difference is drift. Rows that others
commit meanwhile are invisible in the snapshot; the tail is copied inside it, because its own rows are not.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from solve_projector.errors import ReplayInterrupted
from solve_projector.log.scan import LogScan
from solve_projector.replay.applied_offsets import AppliedOffsets
from solve_projector.replay.report import UPDATES_IN_REPORT, Report, Update
from solve_projector.replay.staging import copy_rows, decode_rows
from solve_projector.store.postgresql import Connection
from solve_runtime.sql import queries

STAGING_SQL = queries("solve_projector.replay", "staging")
COMPARISON_SQL = queries("solve_projector.replay", "comparison")

UPDATES_AT_ONCE = 1_000
NAMES_SHOWN = 1_000
COMPARISONS = ("compare_rows", "compare_solves", "compare_removals", "compare_problems", "compare_users")
STEPS = len(COMPARISONS) + 2


@dataclass(frozen=True, slots=True)
class DeadLetterDrift:
    """Dead letters by (partition, offset)."""

    missing: list[tuple[int, int]]
    extra: list[tuple[int, int]]


async def read_tail(connection: Connection, scan: LogScan, staged: Mapping[int, int], to: Mapping[int, int]) -> int:
    """Copies the log between what is staged and `to` into staging; the number of records."""
    number = 0
    ranges = {partition: (staged.get(partition, 0), end) for partition, end in to.items()}
    async for records in scan.read(ranges):
        number += len(records)
        await copy_rows(connection, decode_rows(records))
    return number


async def compare(
    connection: Connection,
    scan: LogScan,
    read_applied_offsets: Callable[[], Awaitable[AppliedOffsets]],
    staged: Mapping[int, int],
    report: Report,
    on_progress: Callable[[int, int], None],
) -> tuple[AppliedOffsets, DeadLetterDrift]:
    """Fills the drift tables and the report's figures, in one repeatable-read transaction.

    An audit of some partitions leaves out differences that other partitions may explain.
    Raises ReplayInterrupted if PostgreSQL went back below what is staged.
    """
    async with connection.transaction(isolation="repeatable_read"):
        applied = await read_applied_offsets()
        if any(applied.offsets.get(p, 0) < at for p, at in staged.items()):
            raise ReplayInterrupted("PostgreSQL's offsets went back during the replay; run it again")
        report.records_read += await read_tail(connection, scan, staged, applied.offsets)
        on_progress(1, STEPS)
        await connection.execute(STAGING_SQL["fold"])
        if report.partitions:
            await connection.execute(COMPARISON_SQL["take_facts_from_the_tables"])
        await connection.execute(STAGING_SQL["count"])
        for done, statements in enumerate(COMPARISONS, 2):
            on_progress(done, STEPS)
            await connection.execute(COMPARISON_SQL[statements])
        await compare_search_keys(connection, report)
        if report.partitions:
            await connection.execute(
                "DELETE FROM solve_replay_row_drift WHERE live_partition <> ALL ($1::integer[])", report.partitions
            )
            await connection.execute(COMPARISON_SQL["leave_other_users_out"], report.partitions)
            await connection.execute(COMPARISON_SQL["leave_other_solves_out"], report.partitions)
            await connection.execute(COMPARISON_SQL["leave_later_registrations_out"])
        dead_letters = await _dead_letters(connection, scan.topic, applied)
        await _summarise(connection, report, dead_letters)
        on_progress(STEPS, STEPS)
    report.offsets = dict(applied.offsets)
    report.offsets_moved = applied.moved
    return applied, dead_letters


async def _dead_letters(connection: Connection, topic: str, applied: AppliedOffsets) -> DeadLetterDrift:
    rows = await connection.fetch(
        COMPARISON_SQL["compare_dead_letters"], topic, list(applied.offsets), list(applied.offsets.values())
    )
    found: dict[str, list[tuple[int, int]]] = {"missing": [], "extra": []}
    for row in rows:
        found[row["kind"]].append((row["partition"], row["offset"]))
    return DeadLetterDrift(**found)


async def _summarise(connection: Connection, report: Report, dead_letters: DeadLetterDrift) -> None:
    for parked, kind, number in await connection.fetch(
        "SELECT parked, kind, count(*) FROM solve_replay_row_drift GROUP BY parked, kind ORDER BY parked, kind"
    ):
        (report.parked_events if parked else report.verdicts)[kind] = number
    report.solves = await _drift_by_kind(connection, "solve")
    report.removals = await _drift_by_kind(connection, "removal")
    report.problems = await _drift_by_kind(connection, "problem")
    report.users_waiting = await connection.fetchval("SELECT count(*) FROM solve_replay_waiting")
    report.dead_letters = {"missing": len(dead_letters.missing), "extra": len(dead_letters.extra)}
    await summarise_users(connection, report)


async def compare_search_keys(connection: Connection, report: Report) -> None:
    """Fills the drift table of search keys, which depend on the users that there are, and the report's figures."""
    await connection.execute(COMPARISON_SQL["compare_search_keys"])
    report.search_keys = await _drift_by_kind(connection, "key")


async def _drift_by_kind(connection: Connection, name: str) -> dict[str, int]:
    rows = await connection.fetch(
        f"SELECT kind, count(*) FROM solve_replay_{name}_drift GROUP BY kind ORDER BY kind"  # noqa: S608 - our own name
    )
    return {row["kind"]: row["count"] for row in rows}


async def summarise_users(connection: Connection, report: Report) -> None:
    """Fills the report's figures about users from the drift table."""
    report.total_users = await connection.fetchval("SELECT count(*) FROM solve_replay_known")
    report.users_updated = await connection.fetchval("SELECT count(*) FROM solve_replay_user_drift WHERE updated")
    report.users_renamed_or_created = await connection.fetchval(
        "SELECT count(*) FROM solve_replay_user_drift WHERE NOT updated OR missing"
    )
    report.updates = [update async for update in updates(connection, UPDATES_IN_REPORT)]
    report.users_never_registered = [
        row[0]
        for row in await connection.fetch(
            "SELECT user_id FROM users LEFT JOIN solve_replay_names AS names USING (user_id) "
            "WHERE users.origin = 'log' AND names.user_id IS NULL ORDER BY user_id LIMIT $1",
            NAMES_SHOWN,
        )
    ]


async def updates(connection: Connection, limit: int | None = None) -> AsyncIterator[Update]:
    """Users whose count was wrong, by id, in bounded memory."""
    async with connection.transaction():
        cursor = await connection.cursor(
            "SELECT user_id, coalesce(old_count, 0), new_count, old_last_solved_at, new_last_solved_at "
            "FROM solve_replay_user_drift WHERE updated ORDER BY user_id LIMIT $1",
            limit,
        )
        while rows := await cursor.fetch(UPDATES_AT_ONCE):
            for row in rows:
                yield Update(*row)
