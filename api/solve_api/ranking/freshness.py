"""Checks once a second whether the board in Redis is in sync with PostgreSQL, so that no request has to.

While nobody reads boards it rests; the first reader afterwards waits for a check.

A board always lags by some milliseconds. It is stale if it lacks what PostgreSQL had at the previous check, since a
write takes far less than a second. That covers what lies below an offset, and what is still in the outbox, which no
offset covers (a repair, a retried dead letter).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import NamedTuple

import asyncpg
import structlog

from solve_api.attention import Attention
from solve_projector.errors import LeaderboardUnavailable
from solve_projector.leaderboard.board import Leaderboard
from solve_projector.store.postgresql import DATABASE_ERRORS
from solve_runtime.sql import queries
from solve_runtime.tasks import cancelled, in_background

FRESHNESS_SQL = queries("solve_api.ranking", "freshness")
OFFSETS_SQL = queries("solve_projector.store", "offsets")

CHECK_INTERVAL_S = 1.0
ON_ITS_WAY_S = 0.2

log = structlog.get_logger()


class _Written(NamedTuple):
    """What PostgreSQL had at a check: next offsets, the newest outbox row, and whether anybody was ranked."""

    offsets: Mapping[int, int]
    outbox_id: int
    ranked: bool


class Freshness:
    """Whether readers can rely on Redis, and up to which time it is complete."""

    def __init__(self, pool: asyncpg.Pool, board: Leaderboard, topic: str) -> None:
        self._pool = pool
        self._board = board
        self._topic = topic
        self._previous: _Written | None = None
        self._checked_at = datetime.now(UTC)
        self.attention = Attention()
        self._waking = asyncio.Lock()
        self._has_checked = False
        self.checks = 0
        self.in_sync = False
        self.as_of = self._checked_at
        self.seen = b""
        self._missing = 0  # members of the board, at the last check that found it whole

    async def look(self) -> None:
        """Notes that somebody reads boards; at first and after a rest, checks before that reader goes on."""
        async with self._waking:
            if self.attention.look() or not self._has_checked:
                await self.check()

    def lost(self, error: LeaderboardUnavailable) -> None:
        """Switches to PostgreSQL after a request found Redis unavailable, until a check finds it in sync again."""
        if self.in_sync:
            log.warning(
                "Redis is unavailable; the board is read from PostgreSQL", action="board_unavailable", error=str(error)
            )
        self.in_sync = False

    async def check(self) -> None:
        """Checks once. Raises nothing: an unavailable server is a result."""
        try:
            await self._check()
        finally:
            self._has_checked = True

    async def _check(self) -> None:
        started = datetime.now(UTC)
        self.checks += 1
        try:
            async with self._pool.acquire() as connection:
                rows = await connection.fetch(OFFSETS_SQL["read_offsets"], self._topic)
                ((oldest, newest),) = await connection.fetch(FRESHNESS_SQL["outbox_ends"])
                ranked = await connection.fetchval(FRESHNESS_SQL["is_anybody_ranked"])
                epoch = await connection.fetchval("SELECT epoch FROM leaderboard_epoch")
            written = _Written({row["partition"]: row["next_offset"] for row in rows}, newest or 0, ranked)
            state = await self._board.state(epoch)
            whole = state.missing <= self._missing or await self._has_everybody(epoch)
        except LeaderboardUnavailable as error:
            self.lost(error)
            return
        except DATABASE_ERRORS as error:
            # without PostgreSQL this cannot be known, and no page works anyway
            log.debug("PostgreSQL is unavailable", action="board_unknown", error=str(error))
            return
        # at the first check, Redis must have all that PostgreSQL had when it started
        previous = self._previous or written
        drained = oldest is None or oldest > previous.outbox_id
        # the sorted set alone can be evicted or deleted, leaving watermarks that call it complete, and then grow again
        present = whole and (state.members > 0 or not previous.ranked)
        complete = all(state.watermarks.get(one, 0) >= offset for one, offset in previous.offsets.items())
        in_sync = state.current == epoch and present and drained and complete
        if in_sync != self.in_sync:
            source = "from Redis" if in_sync else "from PostgreSQL: Redis is stale"
            log.info(f"the board is read {source}", action="board_source", in_sync=in_sync)
        if in_sync:  # Redis has what PostgreSQL had when the previous check started
            self.as_of = self._checked_at if self._previous else started
            self.seen, self._missing = self._board.seen(epoch, previous.offsets, state.missing), state.missing
        self._previous, self._checked_at, self.in_sync = written, started, in_sync

    async def _has_everybody(self, epoch: int) -> bool:
        """Whether Redis has all users, though not all who joined the board: somebody else may have removed one.

        A write that is on its way is waited for.
        """
        ranked: int = await self._pool.fetchval(FRESHNESS_SQL["count_ranked"])
        if (await self._board.state(epoch)).members >= ranked:
            return True
        await asyncio.sleep(ON_ITS_WAY_S)
        return (await self._board.state(epoch)).members >= ranked

    async def watch(self) -> None:
        """Checks until cancelled, except while nobody looks."""
        while not cancelled():
            await self.attention.rest(self.forget)
            await self.check()
            await asyncio.sleep(CHECK_INTERVAL_S)

    def forget(self) -> None:
        """Drops what was found: nobody checks for a while, so that readers cannot rely on Redis."""
        self._previous, self.in_sync = None, False


@asynccontextmanager
async def watching_freshness(pool: asyncpg.Pool, board: Leaderboard, topic: str) -> AsyncIterator[Freshness]:
    """Checks in the background until closed."""
    freshness = Freshness(pool, board, topic)
    async with in_background(freshness.watch, on_failure=freshness.forget):
        yield freshness
