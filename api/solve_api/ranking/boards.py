"""Reads boards: all time from Redis, or from PostgreSQL while Redis is unavailable or stale; periods from PostgreSQL.

Every source gives the same order.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import asyncpg
import structlog

from solve_api.batches import Batches
from solve_api.ranking.bodies import Source
from solve_api.ranking.freshness import Freshness
from solve_api.ranking.period_boards import PeriodBoard, PeriodBoards
from solve_projector.domain.ranking import BoardPage, Mode, PageRequest, RankKey
from solve_projector.errors import LeaderboardUnavailable
from solve_projector.leaderboard.board import Leaderboard
from solve_runtime.sql import queries

BOARD_SQL = queries("solve_api.ranking", "board")
NAMES_SQL = "SELECT user_id, username FROM users WHERE user_id = ANY ($1::text[])"
PAGES_MAX = 32  # in one round trip: Redis does nothing else meanwhile
AT_ONCE = 2

log = structlog.get_logger()


class Sourced(NamedTuple):
    """What was read, from where, and the time before which every committed solve is included."""

    reading: BoardPage
    source: Source
    as_of: datetime


class Boards:
    """All boards of one API."""

    def __init__(self, pool: asyncpg.Pool, board: Leaderboard, freshness: Freshness) -> None:
        self._pool = pool
        self._board = board
        self._freshness = freshness
        self._pages: Batches[tuple[PageRequest, Sequence[str]], BoardPage | None] = Batches(
            board.read_all, largest=PAGES_MAX, at_once=AT_ONCE
        )
        self._users: Batches[Collection[str], Mapping[str, str]] = Batches(
            self._read_names, largest=PAGES_MAX, at_once=AT_ONCE
        )
        self.periods = PeriodBoards(pool)

    async def read(self, request: PageRequest, user_ids: Sequence[str], period: PeriodBoard | None) -> Sourced:
        """A page of the board of a period, or of all time. Raises asyncpg's errors."""
        if period:
            return Sourced(period.read(request, user_ids), "postgresql", period.as_of)
        await self._freshness.look()
        as_of = self._freshness.as_of
        if (reading := await self._read_redis(request, user_ids)) is not None:
            return Sourced(reading, "redis", as_of)
        as_of = datetime.now(UTC)
        return Sourced(await _read_postgresql(self._pool, request, user_ids), "postgresql", as_of)

    async def rank_of(self, user_id: str, problems_solved: int) -> int | None:
        """The rank of a user with this count, from PostgreSQL if Redis has another count for the user."""
        await self._freshness.look()
        reading = await self._read_redis(PageRequest(0), [user_id])
        place = reading.places.get(user_id) if reading else None
        if place and place[1].problems_solved == problems_solved:
            return place[0]
        async with self._pool.acquire() as connection:
            place = (await _places(connection, [user_id])).get(user_id)
        return place[0] if place else None

    async def names_of(self, user_ids: Collection[str]) -> Mapping[str, str]:
        """The names of these users, perhaps among others; without those whom PostgreSQL lacks."""
        return await self._users.ask(user_ids)

    async def _read_names(self, asked: Sequence[Collection[str]]) -> Sequence[Mapping[str, str]]:
        rows = await self._pool.fetch(NAMES_SQL, list(set().union(*asked)))
        return [{row[0]: row[1] for row in rows}] * len(asked)

    async def _read_redis(self, request: PageRequest, user_ids: Sequence[str]) -> BoardPage | None:
        """None if Redis is unavailable or stale."""
        if self._freshness.in_sync:
            try:
                return await self._pages.ask((request, user_ids))
            except LeaderboardUnavailable as error:
                self._freshness.lost(error)
        return None


async def _read_postgresql(pool: asyncpg.Pool, request: PageRequest, user_ids: Sequence[str]) -> BoardPage:
    """The same page as from Redis, in one snapshot."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        places = await _places(connection, user_ids)
        total = await connection.fetchval("SELECT count(*) FROM users WHERE problems_solved > 0")
        begin, limit = await _begin(connection, request)
        rows = await connection.fetch(BOARD_SQL["board_rows"], begin, limit) if limit else []
    return BoardPage(total, begin, [RankKey(*row) for row in rows], places)


async def _begin(connection: asyncpg.pool.PoolConnectionProxy, request: PageRequest) -> tuple[int, int]:
    """The index of the first row, and the number of rows at most."""
    user_id = request.position.user_id
    if request.mode is Mode.AFTER:
        before = await _standing_before(connection, request.position)
        there = (await _places(connection, [user_id])).get(user_id)
        return before + int(there is not None and there[1] == request.position), request.limit
    if request.mode is Mode.BEFORE:
        last = await _standing_before(connection, request.position)
        begin = max(0, last - request.limit)
        return begin, last - begin
    if request.mode is Mode.AROUND and (place := (await _places(connection, [user_id])).get(user_id)):
        return max(0, place[0] - 1 - request.limit // 2), request.limit
    return 0, request.limit


async def _standing_before(connection: asyncpg.pool.PoolConnectionProxy, position: RankKey) -> int:
    second = datetime.fromtimestamp(position.seconds, UTC).replace(tzinfo=None)
    count: int = await connection.fetchval(
        BOARD_SQL["board_before"], position.problems_solved, second, position.user_id
    )
    return count


async def _places(
    connection: asyncpg.pool.PoolConnectionProxy, user_ids: Sequence[str]
) -> dict[str, tuple[int, RankKey]]:
    if not user_ids:
        return {}
    rows = await connection.fetch(BOARD_SQL["board_places"], list(user_ids))
    return {row[2]: (row[3], RankKey(row[0], row[1], row[2])) for row in rows}
