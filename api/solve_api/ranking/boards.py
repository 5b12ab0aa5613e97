"""Who stands where? The board of all time from Redis, or from PostgreSQL where Redis is away or behind; periods from
PostgreSQL, computed at most every few seconds. Each answers the same questions in the same order.
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

from solve_api.http.caching import Rendered
from solve_api.models.public import Source
from solve_api.ranking.freshness import BoardStep
from solve_api.ranking.periods import Window
from solve_api.ranking.single_flight import Together
from solve_projector.domain.ranking import BoardPage, Mode, PageRequest, RankKey
from solve_projector.errors import LeaderboardUnavailable
from solve_projector.leaderboard.board import Leaderboard
from solve_projector.store.postgresql import PAGES_WAIT_S
from solve_runtime.sql import queries

BOARD_SQL = queries("solve_api.ranking", "board")

PERIOD_FRESH_S = 2.0
PERIODS_KEPT = 12
PERIODS_SHARE = 4  # of the connections, one in so many may compute periods

log = structlog.get_logger()


class Sourced(NamedTuple):
    """A reading, where it came from, and the moment up to which every committed solve is in it."""

    reading: BoardPage
    source: Source
    as_of: datetime


class Boards:
    """All boards of one API. `together` is how pages of them are asked for."""

    def __init__(self, pool: asyncpg.Pool, board: Leaderboard, step: BoardStep) -> None:
        self._pool = pool
        self._board = board
        self._step = step
        self.together: Together[tuple[Rendered, Source]] = Together()
        self._periods: OrderedDict[Window, _PeriodBoard] = OrderedDict()
        # each reads many verdicts: time zones enough for all connections must leave some to whoever asks for little
        self._turns = asyncio.Semaphore(max(1, pool.get_max_size() // PERIODS_SHARE))

    async def read(self, stretch: PageRequest, user_ids: Sequence[str], window: Window | None) -> Sourced:
        """A stretch of the board of a window, or of all time. Raises asyncpg's errors."""
        if window:
            return await self._period(window).read(self._pool, stretch, user_ids)
        if self._step.in_step:
            as_of = self._step.as_of
            try:
                reading = await self._board.read(stretch, user_ids)
            except LeaderboardUnavailable as error:
                self._step.lost(error)
            else:
                if reading is not None:
                    return Sourced(reading, "redis", as_of)
        as_of = datetime.now(UTC)
        return Sourced(await _read_postgresql(self._pool, stretch, user_ids), "postgresql", as_of)

    async def rank_of(self, user_id: str, problems_solved: int) -> int | None:
        """The rank of who has solved so many; from PostgreSQL where Redis does not say the same of them."""
        if self._step.in_step:
            try:
                reading = await self._board.read(PageRequest(0), [user_id])
            except LeaderboardUnavailable as error:
                self._step.lost(error)
            else:
                place = reading.places.get(user_id) if reading else None
                if place and place[1].problems_solved == problems_solved:
                    return place[0]
        async with self._pool.acquire() as connection:
            place = (await _places(connection, [user_id])).get(user_id)
        return place[0] if place else None

    def _period(self, window: Window) -> "_PeriodBoard":
        board = self._periods.setdefault(window, _PeriodBoard(window, self._turns))
        self._periods.move_to_end(window)
        while len(self._periods) > PERIODS_KEPT:
            self._periods.popitem(last=False)
        return board


@dataclass(slots=True)
class _Computed:
    rows: list[tuple[int, int, str]]  # problems counted below zero, so that they sort in the board's order
    index: dict[str, int]
    as_of: datetime
    until_s: float


class _PeriodBoard:
    """One window's board, computed for all who ask within a few seconds."""

    def __init__(self, window: Window, turns: asyncio.Semaphore) -> None:
        self._window = window
        self._turns = turns
        self._computing: asyncio.Task[_Computed] | None = None

    async def read(self, pool: asyncpg.Pool, stretch: PageRequest, user_ids: Sequence[str]) -> Sourced:
        computed = await self._fresh(pool)
        rows, index = computed.rows, computed.index
        limit = stretch.limit
        solved, seconds, user_id = stretch.position
        begin = 0
        if stretch.mode is Mode.AFTER:
            begin = bisect_right(rows, (-solved, seconds, user_id))
        elif stretch.mode is Mode.BEFORE:
            last = bisect_left(rows, (-solved, seconds, user_id))
            begin = max(0, last - limit)
            limit = last - begin
        elif stretch.mode is Mode.AROUND and user_id in index:
            begin = max(0, index[user_id] - limit // 2)
        reading = BoardPage(
            len(rows),
            begin,
            [_position(row) for row in rows[begin : begin + limit]],
            {one: (index[one] + 1, _position(rows[index[one]])) for one in user_ids if one in index},
        )
        return Sourced(reading, "postgresql", computed.as_of)

    async def _fresh(self, pool: asyncpg.Pool) -> _Computed:
        """Of the latest computation; whoever comes while it runs has its answer, or its error, and begins no other."""
        task = self._computing
        if task is None or (task.done() and not _is_fresh(task)):
            task = self._computing = asyncio.create_task(self._compute_in_turn(pool))
            task.add_done_callback(_seen)
        return await asyncio.shield(task)

    async def _compute_in_turn(self, pool: asyncpg.Pool) -> _Computed:
        async with asyncio.timeout(PAGES_WAIT_S):  # as for a connection
            await self._turns.acquire()
        try:
            return await self._compute(pool)
        finally:
            self._turns.release()

    async def _compute(self, pool: asyncpg.Pool) -> _Computed:
        as_of = datetime.now(UTC)
        found = await pool.fetch(BOARD_SQL["period_board"], self._window.begins_at, self._window.ends_at)
        rows = [(-row[0], row[1], row[2]) for row in found]
        index = {user_id: at for at, user_id in enumerate(map(itemgetter(2), rows))}
        return _Computed(rows, index, as_of, monotonic() + PERIOD_FRESH_S)


def _seen(task: asyncio.Task[_Computed]) -> None:
    """Also where everybody who asked has left."""
    _ = task.cancelled() or task.exception()


def _is_fresh(task: asyncio.Task[_Computed]) -> bool:
    return not task.cancelled() and not task.exception() and monotonic() <= task.result().until_s


def _position(row: tuple[int, int, str]) -> RankKey:
    return RankKey(-row[0], row[1], row[2])


async def _read_postgresql(pool: asyncpg.Pool, stretch: PageRequest, user_ids: Sequence[str]) -> BoardPage:
    """In one snapshot: what the board in Redis would say if it were there."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        places = await _places(connection, user_ids)
        total = await connection.fetchval("SELECT count(*) FROM users WHERE problems_solved > 0")
        begin, limit = await _begin(connection, stretch)
        rows = await connection.fetch(BOARD_SQL["board_rows"], begin, limit) if limit else []
    return BoardPage(total, begin, [RankKey(*row) for row in rows], places)


async def _begin(connection: asyncpg.pool.PoolConnectionProxy, stretch: PageRequest) -> tuple[int, int]:
    """The index of the first row, and how many at most."""
    user_id = stretch.position.user_id
    if stretch.mode is Mode.AFTER:
        before = await _standing_before(connection, stretch.position)
        there = (await _places(connection, [user_id])).get(user_id)
        return before + int(there is not None and there[1] == stretch.position), stretch.limit
    if stretch.mode is Mode.BEFORE:
        last = await _standing_before(connection, stretch.position)
        begin = max(0, last - stretch.limit)
        return begin, last - begin
    if stretch.mode is Mode.AROUND and (place := (await _places(connection, [user_id])).get(user_id)):
        return max(0, place[0] - 1 - stretch.limit // 2), stretch.limit
    return 0, stretch.limit


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
