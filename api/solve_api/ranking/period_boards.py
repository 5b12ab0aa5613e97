"""Computes boards of periods from PostgreSQL, each at most every few seconds for all who ask.

A board belongs to its moments, not to the zone that named them. A client who asks for many holds up nobody else: few
are computed at once, for one client after the other.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from time import monotonic

import asyncpg

from solve_api.database import ACQUIRE_TIMEOUT_S
from solve_api.ranking.periods import TimeRange
from solve_api.ranking.turns import Turn, Turns
from solve_projector.domain.ranking import BoardPage, Mode, PageRequest, RankKey
from solve_runtime.sql import queries
from solve_runtime.tasks import retrieve

BOARD_SQL = queries("solve_api.ranking", "board")

FRESH_S = 2.0
KEPT_MAX = 12
TURNS_SHARE = 4  # one connection in four may compute periods
WAITING_MAX = 8  # boards that one client waits for
OURSELVES = ""  # waits for what every visitor sees; no client has this address


@dataclass(frozen=True, slots=True, eq=False)
class PeriodBoard:
    """The board of one period, as it was at `as_of`."""

    time_range: TimeRange
    rows: list[tuple[int, int, str]]  # counts negated, so that rows sort in the order of the board
    index: dict[str, int]
    as_of: datetime
    until_s: float

    @property
    def is_fresh(self) -> bool:
        """Whether it may be shown without asking again."""
        return monotonic() <= self.until_s

    def read(self, request: PageRequest, user_ids: Sequence[str]) -> BoardPage:
        """A page, and the places of these users."""
        rows, index, limit = self.rows, self.index, request.limit
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
        return BoardPage(
            len(rows),
            begin,
            [_position(row) for row in rows[begin : begin + limit]],
            {one: (index[one] + 1, _position(rows[index[one]])) for one in user_ids if one in index},
        )


@dataclass(slots=True)
class _Window:
    """The latest computation of a period, waiting, running or done."""

    task: asyncio.Task[PeriodBoard]
    turn: Turn = field(default_factory=Turn)

    @property
    def is_usable(self) -> bool:
        task = self.task
        return not task.done() or (not task.cancelled() and not task.exception() and task.result().is_fresh)


class PeriodBoards:
    """The boards of periods of one process."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._turns = Turns(max(1, pool.get_max_size() // TURNS_SHARE), WAITING_MAX)
        self._windows: OrderedDict[TimeRange, _Window] = OrderedDict()
        # what every visitor sees, and its last board
        self._common: TimeRange | None = None
        self._shown: PeriodBoard | None = None

    async def fresh(self, time_range: TimeRange, client: str) -> PeriodBoard:
        """A board of the last seconds. Who asks during its computation shares the result or the error.

        Raises TooManyRequests if the client waits for too many already, and asyncpg's errors.
        """
        return await asyncio.shield(self._task(time_range, client))

    async def latest(self, time_range: TimeRange, patience_s: float) -> PeriodBoard | None:
        """As `fresh`, but after so long the last one, or None, while the computation goes on.

        For the one period that every visitor sees. Raises asyncpg's errors if there is nothing to show.
        """
        if self._common != time_range:
            self._common, self._shown = time_range, None
        task = self._task(time_range, OURSELVES)
        await asyncio.wait([task], timeout=patience_s)
        return task.result() if self._shown is None and task.done() else self._shown

    def _task(self, time_range: TimeRange, client: str) -> asyncio.Task[PeriodBoard]:
        window = self._windows.get(time_range)
        if window is None or not window.is_usable:
            turn = Turn()
            self._turns.join(client, turn)
            task = asyncio.create_task(self._compute_in_turn(time_range, turn))
            task.add_done_callback(retrieve)
            window = self._windows[time_range] = _Window(task, turn)
        elif not window.task.done():
            self._turns.join(client, window.turn)
        self._windows.move_to_end(time_range)
        while len(self._windows) > KEPT_MAX:
            self._windows.popitem(last=False)
        return window.task

    async def _compute_in_turn(self, time_range: TimeRange, turn: Turn) -> PeriodBoard:
        async with self._turns.taken(turn, ACQUIRE_TIMEOUT_S):  # as long as for a connection
            board = await self._compute(time_range)
        if time_range == self._common:
            self._shown = board
        return board

    async def _compute(self, time_range: TimeRange) -> PeriodBoard:
        as_of = datetime.now(UTC)
        found = await self._pool.fetch(BOARD_SQL["period_board"], time_range.begins_at, time_range.ends_at)
        rows = [(-row[0], row[1], row[2]) for row in found]
        index = {user_id: at for at, user_id in enumerate(map(itemgetter(2), rows))}
        return PeriodBoard(time_range, rows, index, as_of, monotonic() + FRESH_S)


def _position(row: tuple[int, int, str]) -> RankKey:
    return RankKey(-row[0], row[1], row[2])
