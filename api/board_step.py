"""Does the board in Redis keep up? Asked once a second beside the requests, so that no request has to.

A board is some milliseconds behind by nature. It is out of step where it lacks what PostgreSQL had at the look before:
a second is far more than a write takes.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg
import structlog

from projector.database import DATABASE_ERRORS
from projector.endings import end, going_on
from projector.errors import LeaderboardUnavailable
from projector.leaderboard import Leaderboard
from projector.statements import statement

LOOK_S = 1.0

log = structlog.get_logger()


class BoardStep:
    """Whether readers can rely on Redis, and since which moment it has everything."""

    def __init__(self, pool: asyncpg.Pool, board: Leaderboard, topic: str) -> None:
        self._pool = pool
        self._board = board
        self._topic = topic
        self._offsets: dict[int, int] = {}
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
                rows = await connection.fetch(statement("read_offsets"), self._topic)
                epoch = await connection.fetchval("SELECT epoch FROM leaderboard_epoch")
            offsets = {row["partition"]: row["next_offset"] for row in rows}
            state = await self._board.state(epoch)
        except LeaderboardUnavailable as error:
            self.lost(error)
            return
        except DATABASE_ERRORS as error:
            # without PostgreSQL nobody can say; every page needs it anyway
            log.debug("PostgreSQL could not be asked", action="board_unknown", error=str(error))
            return
        in_step = state.current == epoch and all(
            state.watermarks.get(partition, 0) >= offset for partition, offset in self._offsets.items()
        )
        if in_step != self.in_step:
            said = "from Redis" if in_step else "from PostgreSQL: Redis is behind"
            log.info(f"the board is read {said}", action="board_source", in_step=in_step)
        if in_step:  # Redis has what PostgreSQL had when the look before began
            self.as_of = self._looked_at
        self._offsets, self._looked_at, self.in_step = offsets, began, in_step

    async def _look_again_and_again(self) -> None:
        while going_on():
            await self.look()
            await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def watching_step(pool: asyncpg.Pool, board: Leaderboard, topic: str) -> AsyncIterator[BoardStep]:
    """Looks until it is closed."""
    step = BoardStep(pool, board, topic)
    task = asyncio.create_task(step._look_again_and_again())
    try:
        yield step
    finally:
        await end([task])
