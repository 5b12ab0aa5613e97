"""How does an empty database get everything at once? One transaction that holds the offset rows from its beginning.

A projector that is started meanwhile waits (`positions.py` says so) and goes on from where this ended.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress

import asyncpg

from solve_projector.domain.batch import Fingerprint
from solve_projector.log.state import LogState
from solve_projector.replay.comparison import summarise_users
from solve_projector.replay.report import Report
from solve_projector.store.locks import Lock, unlock, wait_lock
from solve_projector.store.postgresql import Connection
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
    """Locks the offset rows in a transaction of the caller's; False where somebody has begun to apply meanwhile."""
    await connection.fetch(OFFSETS_SQL["lock_offsets"], state.topic, list(state.ends))
    return await is_cold(connection, state.topic)


@asynccontextmanager
async def rebuild_announced(connection: Connection, state: LogState) -> AsyncIterator[None]:
    """Tells projectors to wait, and gives every partition an offset row to lock."""
    await wait_lock(connection, Lock.COLD_REBUILD)
    try:
        await connection.execute(OFFSETS_SQL["add_partitions"], state.topic, sorted(state.ends))
        yield
    finally:
        with suppress(asyncpg.InterfaceError):  # a lost connection has lost its locks as well
            await unlock(connection, Lock.COLD_REBUILD)


@asynccontextmanager
async def heartbeat(connection: Connection) -> AsyncIterator[None]:
    """Keeps the transaction from counting as idle while other processes work for it; it is dead when we are."""

    # told, not cancelled: a statement that is cancelled ends the transaction that it is in
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
        # what it met, the statement that follows meets as well
        await asyncio.wait([beating], timeout=HEARTBEAT_S)
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


async def audit(
    connection: Connection, offsets: Mapping[int, int], report: Report, on_step: Callable[[int, int], None]
) -> None:
    """Folds staging and notes what a rebuild would change for whom."""
    await connection.execute(STAGING_SQL["fold"])
    on_step(1, 2)
    await connection.execute(COMPARISON_SQL["compare_users"])
    await summarise_users(connection, report)
    report.verdicts["missing"] = await connection.fetchval(
        "SELECT count(*) FROM solve_replay_standing JOIN solve_replay_known USING (user_id)"
    )
    report.offsets = dict(offsets)
    on_step(2, 2)


async def load(
    connection: Connection,
    state: LogState,
    marks: Mapping[int, Fingerprint],
    report: Report,
    on_step: Callable[[int, int], None],
) -> None:
    """Folds staging, writes all tables and moves the offsets; the caller holds the offset rows, and commits."""
    await audit(connection, state.ends, report, lambda done, _total: on_step(done, 3))
    await connection.execute(COLD_SQL["load_cold"])
    await connection.execute(COLD_SQL["clear_letters"], state.topic)
    await connection.execute(REPAIR_SQL["insert_letters"], state.topic)
    nothing = (None, None, None, None)
    moved = [(partition, end, *marks.get(partition, nothing)) for partition, end in state.ends.items()]
    await connection.execute(OFFSETS_SQL["advance_offsets"], state.topic, *zip(*moved, strict=True))
    on_step(3, 3)
