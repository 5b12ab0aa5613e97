"""Does the board in Redis keep up? Asked once a second beside the requests, so that no request has to.

A board is some milliseconds behind by nature. It is out of step where it lacks what PostgreSQL had at the look before:
a second is far more than a write takes. That is what lies below an offset, and what was left in the outbox, for which
no offset stands (a repair, a retried dead letter).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import NamedTuple

import asyncpg
import structlog

from solve_projector.errors import LeaderboardUnavailable
from solve_projector.leaderboard.board import BoardState, Leaderboard
from solve_projector.store.postgresql import DATABASE_ERRORS
from solve_runtime.sql import queries
from solve_runtime.tasks import cancel_and_wait, cancelled

FRESHNESS_SQL = queries("solve_api.ranking", "freshness")
OFFSETS_SQL = queries("solve_projector.store", "offsets")

LOOK_S = 1.0

log = structlog.get_logger()


class _Written(NamedTuple):
    """What PostgreSQL had at a look: next offsets, the newest row of the outbox, and whether anybody was ranked."""

    offsets: Mapping[int, int]
    outbox_id: int
    ranked: bool


class BoardStep:
    """Whether readers can rely on Redis, and since which moment it has everything."""

    def __init__(self, pool: asyncpg.Pool, board: Leaderboard, topic: str) -> None:
        self._pool = pool
        self._board = board
        self._topic = topic
        self._before: _Written | None = None
        self._looked_at = datetime.now(UTC)
        self.in_step = False
        self.as_of = self._looked_at

    def lost(self, error: LeaderboardUnavailable) -> None:
        """A request found Redis away: PostgreSQL answers until a look finds it in step again."""
        if self.in_step:
            log.warning("the board is read from PostgreSQL", action="board_away", error=str(error))
        self.in_step = False

    async def look(self) -> None:
        """One look. Raises nothing: a server that is away is an answer."""
        began = datetime.now(UTC)
        try:
            async with self._pool.acquire() as connection:
                rows = await connection.fetch(OFFSETS_SQL["read_offsets"], self._topic)
                ((oldest, newest),) = await connection.fetch(FRESHNESS_SQL["outbox_ends"])
                ranked = await connection.fetchval("SELECT EXISTS (SELECT FROM users WHERE problems_solved > 0)")
                epoch = await connection.fetchval("SELECT epoch FROM leaderboard_epoch")
            written = _Written({row["partition"]: row["next_offset"] for row in rows}, newest or 0, ranked)
            state = await self._board.state(epoch)
        except LeaderboardUnavailable as error:
            self.lost(error)
            return
        except DATABASE_ERRORS as error:
            # without PostgreSQL nobody can say; every page needs it anyway
            log.debug("PostgreSQL could not be asked", action="board_unknown", error=str(error))
            return
        # the first look has none before it: then all that PostgreSQL had when it began must be there
        before = self._before or written
        drained = oldest is None or oldest > before.outbox_id
        # the sorted set alone can be evicted or deleted, and leave watermarks that say it is whole
        there = state.members > 0 or not before.ranked
        in_step = state.current == epoch and there and drained and _has(state, before.offsets)
        if in_step != self.in_step:
            said = "from Redis" if in_step else "from PostgreSQL: Redis is behind"
            log.info(f"the board is read {said}", action="board_source", in_step=in_step)
        if in_step:  # Redis has what PostgreSQL had when the look before began
            self.as_of = self._looked_at if self._before else began
        self._before, self._looked_at, self.in_step = written, began, in_step

    async def _look_again_and_again(self) -> None:
        while not cancelled():
            await self.look()
            await asyncio.sleep(LOOK_S)


def _has(state: BoardState, offsets: Mapping[int, int]) -> bool:
    return all(state.watermarks.get(partition, 0) >= offset for partition, offset in offsets.items())


@asynccontextmanager
async def watching_step(pool: asyncpg.Pool, board: Leaderboard, topic: str) -> AsyncIterator[BoardStep]:
    """Looks until it is closed."""
    step = BoardStep(pool, board, topic)
    task = asyncio.create_task(step._look_again_and_again())
    try:
        yield step
    finally:
        await cancel_and_wait([task])
