"""Reads boards: all time from Redis, or from PostgreSQL while Redis is unavailable or stale; periods from PostgreSQL.

Every source gives the same order. A period is computed at most every few seconds.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from time import monotonic
from typing import NamedTuple

import asyncpg
import structlog

from solve_api.database import ACQUIRE_TIMEOUT_S
from solve_api.ranking.bodies import Source
from solve_api.ranking.freshness import Freshness
from solve_api.ranking.periods import TimeRange
from solve_projector.domain.ranking import BoardPage, Mode, PageRequest, RankKey
from solve_projector.errors import LeaderboardUnavailable
from solve_projector.leaderboard.board import Leaderboard
from solve_runtime.sql import queries

BOARD_SQL = queries("solve_api.ranking", "board")

PERIOD_FRESH_S = 2.0
PERIODS_CACHED = 12
PERIODS_SHARE = 4  # one connection in four may compute periods

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
        self._periods: OrderedDict[TimeRange, _PeriodBoard] = OrderedDict()
        # a period reads many verdicts: periods in many time zones must leave connections for small requests
        self._turns = asyncio.Semaphore(max(1, pool.get_max_size() // PERIODS_SHARE))

    async def read(self, request: PageRequest, user_ids: Sequence[str], period: TimeRange | None) -> Sourced:
        """A page of the board of a period, or of all time. Raises asyncpg's errors."""
        if period:
            return await self._period(period).read(self._pool, request, user_ids)
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

    async def _read_redis(self, request: PageRequest, user_ids: Sequence[str]) -> BoardPage | None:
        """None if Redis is unavailable or stale."""
        if self._freshness.in_sync:
            try:
                return await self._board.read(request, user_ids)
            except LeaderboardUnavailable as error:
                self._freshness.lost(error)
        return None

    def _period(self, period: TimeRange) -> "_PeriodBoard":
        board = self._periods.setdefault(period, _PeriodBoard(period, self._turns))
        self._periods.move_to_end(period)
        while len(self._periods) > PERIODS_CACHED:
            self._periods.popitem(last=False)
        return board


@dataclass(slots=True)
class _Computed:
    rows: list[tuple[int, int, str]]  # counts negated, so that rows sort in the order of the board
    index: dict[str, int]
    as_of: datetime
    until_s: float


class _PeriodBoard:
    """The board of one period, computed once for all requests within a few seconds."""

    def __init__(self, period: TimeRange, turns: asyncio.Semaphore) -> None:
        self._period = period
        self._turns = turns
        self._computing: asyncio.Task[_Computed] | None = None

    async def read(self, pool: asyncpg.Pool, request: PageRequest, user_ids: Sequence[str]) -> Sourced:
        computed = await self._fresh(pool)
        rows, index = computed.rows, computed.index
        limit = request.limit
        solved, seconds, user_id = request.position
        begin = 0
        if request.mode is Mode.AFTER:
            begin = bisect_right(rows, (-solved, seconds, user_id))
        elif request.mode is Mode.BEFORE:
            last = bisect_left(rows, (-solved, seconds, user_id))
            begin = max(0, last - limit)
            limit = last - begin
        elif request.mode is Mode.AROUND and user_id in index:
            begin = max(0, index[user_id] - limit // 2)
        reading = BoardPage(
            len(rows),
            begin,
            [_position(row) for row in rows[begin : begin + limit]],
            {one: (index[one] + 1, _position(rows[index[one]])) for one in user_ids if one in index},
        )
        return Sourced(reading, "postgresql", computed.as_of)

    async def _fresh(self, pool: asyncpg.Pool) -> _Computed:
        """The latest result. Requests that arrive during a computation share its result or error."""
        task = self._computing
        if task is None or (task.done() and not _is_fresh(task)):
            task = self._computing = asyncio.create_task(self._compute_in_turn(pool))
            task.add_done_callback(_retrieve)
        return await asyncio.shield(task)

    async def _compute_in_turn(self, pool: asyncpg.Pool) -> _Computed:
        async with asyncio.timeout(ACQUIRE_TIMEOUT_S):  # as long as for a connection
            await self._turns.acquire()
        try:
            return await self._compute(pool)
        finally:
            self._turns.release()

    async def _compute(self, pool: asyncpg.Pool) -> _Computed:
        as_of = datetime.now(UTC)
        found = await pool.fetch(BOARD_SQL["period_board"], self._period.begins_at, self._period.ends_at)
        rows = [(-row[0], row[1], row[2]) for row in found]
        index = {user_id: at for at, user_id in enumerate(map(itemgetter(2), rows))}
        return _Computed(rows, index, as_of, monotonic() + PERIOD_FRESH_S)


def _retrieve(task: asyncio.Task[_Computed]) -> None:
    """Retrieves the error, even if every request has gone."""
    _ = task.cancelled() or task.exception()


def _is_fresh(task: asyncio.Task[_Computed]) -> bool:
    return not task.cancelled() and not task.exception() and monotonic() <= task.result().until_s


def _position(row: tuple[int, int, str]) -> RankKey:
    return RankKey(-row[0], row[1], row[2])


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
