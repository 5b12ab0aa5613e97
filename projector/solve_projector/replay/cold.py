"""Loads everything at once into an empty database, in one transaction that holds the offset rows.

A projector that is started meanwhile waits (`live/start_offsets.py` says so) and goes on from where this ended.
A crash leaves nothing: the transaction never commits.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress

import asyncpg

from solve_projector.domain.batch import Fingerprint
from solve_projector.log.state import LogState
from solve_projector.replay.comparison import compare_search_keys, summarise_users
from solve_projector.replay.report import Report
from solve_projector.store.counts import advance_offsets
from solve_projector.store.erasure import erase_letters
from solve_projector.store.locks import Lock, unlock, wait_lock
from solve_projector.store.postgresql import Connection
from solve_projector.store.session import require_own_session
from solve_runtime.sql import queries

OFFSETS_SQL = queries("solve_projector.store", "offsets")
STAGING_SQL = queries("solve_projector.replay", "staging")
COMPARISON_SQL = queries("solve_projector.replay", "comparison")
COLD_SQL = queries("solve_projector.replay", "cold")
REPAIR_SQL = queries("solve_projector.replay", "repair")

HEARTBEAT_S = 5.0


async def is_cold(connection: Connection, topic: str) -> bool:
    """Whether nothing was ever applied: no verdict, and no offset above 0."""
    return bool(
        await connection.fetchval(
            "SELECT NOT EXISTS (SELECT FROM verdicts) "
            "AND NOT EXISTS (SELECT FROM partition_offsets WHERE topic = $1 AND next_offset > 0)",
            topic,
        )
    )


async def lock_cold(connection: Connection, state: LogState) -> bool:
    """Locks the offset rows in a transaction of the caller's; False if a projector has started to apply the log."""
    rows = await connection.fetch(OFFSETS_SQL["lock_offsets"], state.topic, list(state.ends))
    require_own_session(row["mark"] for row in rows)
    return await is_cold(connection, state.topic)


@asynccontextmanager
async def rebuild_announced(connection: Connection, state: LogState) -> AsyncIterator[None]:
    """Makes projectors wait, and gives every partition an offset row to lock."""
    await wait_lock(connection, Lock.COLD_REBUILD)
    try:
        await connection.execute(OFFSETS_SQL["add_partitions"], state.topic, sorted(state.ends))
        yield
    finally:
        with suppress(asyncpg.InterfaceError):  # a lost connection has lost its locks as well
            await unlock(connection, Lock.COLD_REBUILD)


@asynccontextmanager
async def heartbeat(connection: Connection) -> AsyncIterator[None]:
    """Keeps the transaction from counting as idle while workers fill staging for it; it ends with this process."""

    # an event, not a cancellation: a cancelled statement ends its transaction
    done = asyncio.Event()

    async def beat() -> None:
        while not done.is_set():
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await done.wait()
            except TimeoutError:
                await connection.fetchval("SELECT 1")

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        done.set()
        # the next statement meets the same error
        await asyncio.wait([beating], timeout=HEARTBEAT_S)
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


async def audit(
    connection: Connection, offsets: Mapping[int, int], report: Report, on_progress: Callable[[int, int], None]
) -> None:
    """Folds staging and reports what a rebuild would change."""
    await connection.execute(STAGING_SQL["fold"])
    await connection.execute(STAGING_SQL["count"])
    on_progress(1, 2)
    await connection.execute(COMPARISON_SQL["compare_problems"])
    await connection.execute(COMPARISON_SQL["compare_users"])
    await summarise_users(connection, report)
    await compare_search_keys(connection, report)
    report.verdicts["missing"] = await connection.fetchval(
        "SELECT count(*) FROM solve_replay_standing JOIN solve_replay_known USING (user_id)"
    )
    report.solves["missing"] = await connection.fetchval(
        "SELECT count(*) FROM solve_replay_solves JOIN solve_replay_known USING (user_id)"
    )
    report.problems["missing"] = await connection.fetchval("SELECT count(*) FROM solve_replay_problems")
    report.removals["missing"] = await connection.fetchval("SELECT count(*) FROM solve_replay_removed")
    report.offsets = dict(offsets)
    on_progress(2, 2)


async def load(
    connection: Connection,
    state: LogState,
    fingerprints: Mapping[int, Fingerprint],
    report: Report,
    on_progress: Callable[[int, int], None],
) -> None:
    """Folds staging, writes all tables and moves the offsets; the caller holds the offset rows, and commits."""
    await audit(connection, state.ends, report, lambda done, _total: on_progress(done, 3))
    await connection.execute(COLD_SQL["load_cold"])
    await _repair_search_keys(connection, report)
    await connection.execute(COLD_SQL["clear_dead_letters"], state.topic)
    await connection.execute(REPAIR_SQL["insert_dead_letters"], state.topic)
    named = await connection.fetch("SELECT DISTINCT unnest(user_ids) FROM solve_replay_rejected")
    await erase_letters(connection, [row[0] for row in named], at_most=None)
    await advance_offsets(connection, state.topic, state.ends, fingerprints)
    on_progress(3, 3)


async def _repair_search_keys(connection: Connection, report: Report) -> None:
    """Triggers have written those of all users who are new by now."""
    await compare_search_keys(connection, report)
    rows = await connection.fetch("SELECT DISTINCT user_id FROM solve_replay_key_drift")
    for statement in ("delete_extra_search_keys", "add_missing_search_keys"):
        await connection.execute(REPAIR_SQL[statement], [row[0] for row in rows])
