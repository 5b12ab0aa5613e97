"""Where are the tables not what the log says? One snapshot, in which the log's tail is read up to its offsets.

Staging then speaks of the same point of the log as the tables, so that every difference is drift. Rows that others
commit meanwhile are invisible in the snapshot; the tail is copied inside of it, because its own rows are not.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from solve_projector.errors import ReplayInterrupted
from solve_projector.log.scan import LogScan
from solve_projector.replay.report import UPDATES_IN_REPORT, Report, Update
from solve_projector.replay.staging import copy_rows, stage
from solve_projector.replay.targets import Targets
from solve_projector.store.postgresql import Connection
from solve_runtime.sql import queries

STAGING_SQL = queries("solve_projector.replay", "staging")
COMPARISON_SQL = queries("solve_projector.replay", "comparison")

UPDATES_AT_ONCE = 1_000
NAMES_SHOWN = 1_000


@dataclass(frozen=True, slots=True)
class LetterDrift:
    """Dead letters by (partition, offset)."""

    missing: list[tuple[int, int]]
    extra: list[tuple[int, int]]


async def read_tail(connection: Connection, scan: LogScan, staged: Mapping[int, int], to: Mapping[int, int]) -> int:
    """Copies the log between what is staged and `to` into staging; how many records."""
    number = 0
    ranges = {partition: (staged.get(partition, 0), end) for partition, end in to.items()}
    async for records in scan.read(ranges):
        number += len(records)
        await copy_rows(connection, stage(records))
    return number


async def compare(
    connection: Connection,
    scan: LogScan,
    read_targets: Callable[[], Awaitable[Targets]],
    staged: Mapping[int, int],
    report: Report,
    on_step: Callable[[int, int], None],
) -> tuple[Targets, LetterDrift]:
    """Fills the drift tables and the report's figures, in one repeatable-read transaction.

    Of an audit of some partitions, differences that other partitions may explain are left out.
    Raises ReplayInterrupted where PostgreSQL went back behind what is staged.
    """
    async with connection.transaction(isolation="repeatable_read"):
        targets = await read_targets()
        if any(targets.offsets.get(p, 0) < at for p, at in staged.items()):
            raise ReplayInterrupted("PostgreSQL's offsets went back during the replay; run it again")
        report.records_read += await read_tail(connection, scan, staged, targets.offsets)
        on_step(1, 4)
        await connection.execute(STAGING_SQL["fold"])
        on_step(2, 4)
        await connection.execute(COMPARISON_SQL["compare_rows"])
        on_step(3, 4)
        await connection.execute(COMPARISON_SQL["compare_users"])
        if report.partitions:
            await connection.execute(
                "DELETE FROM solve_replay_row_drift WHERE live_partition <> ALL ($1::integer[])", report.partitions
            )
            await connection.execute(COMPARISON_SQL["leave_others_out"], report.partitions)
        letters = await _letters(connection, scan.topic, targets)
        await _summarise(connection, report, letters)
        on_step(4, 4)
    report.offsets = dict(targets.offsets)
    report.offsets_moved = targets.moved
    return targets, letters


async def _letters(connection: Connection, topic: str, targets: Targets) -> LetterDrift:
    rows = await connection.fetch(
        COMPARISON_SQL["compare_letters"], topic, list(targets.offsets), list(targets.offsets.values())
    )
    found: dict[str, list[tuple[int, int]]] = {"missing": [], "extra": []}
    for row in rows:
        found[row["kind"]].append((row["partition"], row["offset"]))
    return LetterDrift(**found)


async def _summarise(connection: Connection, report: Report, letters: LetterDrift) -> None:
    for parked, kind, number in await connection.fetch(
        "SELECT parked, kind, count(*) FROM solve_replay_row_drift GROUP BY parked, kind ORDER BY parked, kind"
    ):
        (report.parked_events if parked else report.verdicts)[kind] = number
    report.dead_letters = {"missing": len(letters.missing), "extra": len(letters.extra)}
    await summarise_users(connection, report)


async def summarise_users(connection: Connection, report: Report) -> None:
    """The report's figures of users, from the drift table."""
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
    """The users whose number was wrong, by id, in bounded memory."""
    async with connection.transaction():
        cursor = await connection.cursor(
            "SELECT user_id, username, coalesce(old_count, 0), new_count, old_last_solved_at, new_last_solved_at "
            "FROM solve_replay_user_drift WHERE updated ORDER BY user_id LIMIT $1",
            limit,
        )
        while rows := await cursor.fetch(UPDATES_AT_ONCE):
            for row in rows:
                yield Update(*row)
