"""Builds one board inside PostgreSQL, in one transaction under a lock that all processes share.

The next build waits so many times as long as the last one took, whoever built it, so that all of them together cost a
bounded share of one core. A process that is killed leaves the last board, and the lock to another.
"""

import asyncio
from datetime import UTC, datetime
from typing import NamedTuple

import asyncpg

from solve_api.ranking.periods import TimeRange
from solve_projector.store.locks import Lock, try_lock_transaction
from solve_projector.store.postgresql import Connection
from solve_runtime.sql import queries

KEPT_SQL = queries("solve_api.ranking", "kept_boards")

ALL_TIME = TimeRange(datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))

KEPT_MAX = 64
DROPPED_AFTER_S = 300.0
STATEMENT_TIMEOUT_S = 120.0
PAUSE_OF_FIRST = 1.0
PAUSE_OF_NEXT = 9.0
BUSY_S = 0.1  # until the lock of another process is asked for again


class Kept(NamedTuple):
    """How a kept board stands: how old it is, and how long it was computed."""

    age_s: float
    cost_s: float


async def kept_of(connection: Connection, boards: list[TimeRange]) -> dict[TimeRange, Kept]:
    """Those of these boards that are kept."""
    rows = await connection.fetch(KEPT_SQL["boards_of"], *zip(*boards, strict=True))
    return {TimeRange(row[0], row[1]): Kept(row[2], row[3]) for row in rows}


async def pause_before_next(connection: Connection) -> float:
    """How many seconds it is until a board may be built again."""
    ((_, wait_s, _),) = await connection.fetch(KEPT_SQL["next_build"], PAUSE_OF_NEXT)
    return max(0.0, float(wait_s))


async def build_first(pool: asyncpg.Pool, board: TimeRange) -> Kept:
    """Builds a board that is not kept, after whatever is being built. Raises asyncpg's errors."""
    while True:
        async with pool.acquire() as connection, connection.transaction():
            if found := (await kept_of(connection, [board])).get(board):
                return found
            wait_s = BUSY_S
            if await try_lock_transaction(connection, Lock.KEPT_BOARD):
                if found := (await kept_of(connection, [board])).get(board):
                    return found
                ((generation, wait_s, now),) = await connection.fetch(KEPT_SQL["next_build"], PAUSE_OF_FIRST)
                if wait_s <= 0:
                    return await _build(connection, board, generation, now)
        await asyncio.sleep(wait_s)


async def build_next(pool: asyncpg.Pool, board: TimeRange) -> Kept | None:
    """Builds a board again; None if that has to wait, or another process builds. Raises asyncpg's errors."""
    async with pool.acquire() as connection, connection.transaction():
        if not await try_lock_transaction(connection, Lock.KEPT_BOARD):
            return None
        ((generation, wait_s, now),) = await connection.fetch(KEPT_SQL["next_build"], PAUSE_OF_NEXT)
        return await _build(connection, board, generation, now) if wait_s <= 0 else None


async def _build(connection: Connection, board: TimeRange, generation: int, computed_at: datetime) -> Kept:
    await connection.execute(KEPT_SQL["prepare_build"], str(int(STATEMENT_TIMEOUT_S * 1000)))
    total = await connection.fetchval(
        KEPT_SQL["build_board"], *board, board == ALL_TIME, generation, timeout=STATEMENT_TIMEOUT_S + 5
    )
    (row,) = await connection.fetch(
        KEPT_SQL["show_board"], *board, generation, total, computed_at, DROPPED_AFTER_S, KEPT_MAX
    )
    return Kept(*row)
