"""Reads boards: all time from Redis; periods, and all time while Redis is unavailable or stale, kept by PostgreSQL.

Every source gives the same order.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from solve_api.batches import Batches
from solve_api.errors import BoardNotReady
from solve_api.profiles.profile import Rank
from solve_api.ranking.board_builds import ALL_TIME
from solve_api.ranking.bodies import Source
from solve_api.ranking.freshness import Freshness
from solve_api.ranking.kept_boards import OURSELVES, KeptBoards
from solve_api.ranking.periods import TimeRange
from solve_projector.domain.ranking import BoardPage, Mode, PageRequest, RankKey
from solve_projector.errors import LeaderboardUnavailable
from solve_projector.leaderboard.board import Leaderboard

PATIENCE_S = 2.0  # for a board that was never built
PROFILE_PATIENCE_S = 0.3
# a user who is not listed has no name on boards
NAMES_SQL = """
    SELECT user_id, CASE WHEN listed THEN username END
    FROM users
    WHERE user_id = ANY ($1::text[]) AND NOT removed
"""
PAGES_MAX = 32  # in one round trip: Redis does nothing else meanwhile
AT_ONCE = 2


class Sourced(NamedTuple):
    """What was read, from where, and the time before which every committed solve is included."""

    reading: BoardPage
    source: Source
    as_of: datetime


class Boards:
    """All boards of one API."""

    def __init__(self, pool: asyncpg.Pool, board: Leaderboard, freshness: Freshness, kept: KeptBoards) -> None:
        self._board = board
        self._freshness = freshness
        self.kept = kept
        self._pool = pool
        self._pages: Batches[tuple[PageRequest, Sequence[str]], BoardPage | None] = Batches(
            self._read_pages, largest=PAGES_MAX, at_once=AT_ONCE
        )
        self._users: Batches[Collection[str], Mapping[str, str | None]] = Batches(
            self._read_names, largest=PAGES_MAX, at_once=AT_ONCE
        )

    async def read(
        self, request: PageRequest, user_ids: Sequence[str], period: TimeRange | None, patience_s: float = PATIENCE_S
    ) -> Sourced:
        """A page of the board of a period, or of all time. Raises BoardNotReady and asyncpg's errors."""
        if period is None:
            await self._freshness.look()
            as_of = self._freshness.as_of
            if (reading := await self._read_redis(request, user_ids)) is not None:
                return Sourced(reading, "redis", as_of)
            period = ALL_TIME
            await self.require(period, OURSELVES, patience_s)
        found = await self.kept.read(period, request, user_ids)
        if found is None:  # dropped, or lost in a crash of PostgreSQL
            await self.require(period, OURSELVES, patience_s)
            found = await self.kept.read(period, request, user_ids)
        if found is None:
            raise not_ready()
        return Sourced(found.reading, "postgresql", found.as_of)

    async def require(self, period: TimeRange, client: str, patience_s: float = PATIENCE_S) -> None:
        """Waits for the first build of a board. Raises BoardNotReady, TooManyRequests and asyncpg's errors."""
        if not await self.kept.ready(period, client, patience_s):
            raise not_ready()

    async def rank_of(self, key: RankKey) -> Rank | None:
        """The rank of a user who stands so now, among the others as they stood; None while that is being computed."""
        try:
            before_all_equal = key._replace(user_id="")
            found = await self.read(
                PageRequest(0, Mode.AFTER, before_all_equal), [key.user_id], None, PROFILE_PATIENCE_S
            )
        except BoardNotReady:
            return None
        there = found.reading.places.get(key.user_id)
        better = found.reading.begin - int(there is not None and there[0] <= found.reading.begin)
        return Rank(better + 1, found.as_of)

    async def names_of(self, user_ids: Collection[str]) -> Mapping[str, str | None]:
        """What these users are called, perhaps among others; without those whom PostgreSQL lacks.

        None: is not listed, and an older board may have them still.
        """
        return await self._users.ask(user_ids)

    async def _read_names(self, asked: Sequence[Collection[str]]) -> Sequence[Mapping[str, str | None]]:
        rows = await self._pool.fetch(NAMES_SQL, list(set().union(*asked)))
        return [{row[0]: row[1] for row in rows}] * len(asked)

    async def _read_pages(self, asked: Sequence[tuple[PageRequest, Sequence[str]]]) -> Sequence[BoardPage | None]:
        return await self._board.read_all(asked, self._freshness.seen)

    async def _read_redis(self, request: PageRequest, user_ids: Sequence[str]) -> BoardPage | None:
        """None if Redis is unavailable or stale, or has lost what the last check found."""
        if self._freshness.in_sync:
            try:
                return await self._pages.ask((request, user_ids))
            except LeaderboardUnavailable as error:
                self._freshness.lost(error)
        return None


def not_ready() -> BoardNotReady:
    """What a board that is being computed for the first time answers."""
    return BoardNotReady(f"this leaderboard is being computed; try again in {BoardNotReady.retry_after_s} seconds")
