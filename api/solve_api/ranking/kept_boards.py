"""Boards that PostgreSQL ranks as a whole and keeps: of periods, and of all time while Redis is unavailable or stale.

A board is the same for all processes, says when it is from, and is read by one statement that finds a few rows. Nobody
waits for a newer one that takes long while there is one; whoever reads it has it built again, as often as the share of
one core that builds may take allows (`board_builds`).
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from math import inf
from time import monotonic
from typing import Any, NamedTuple

import asyncpg
import structlog

from solve_api.ranking.board_builds import (
    KEPT_MAX,
    KEPT_SQL,
    PAUSE_OF_NEXT,
    Kept,
    build_first,
    build_next,
    kept_of,
    pause_before_next,
)
from solve_api.ranking.periods import TimeRange
from solve_api.ranking.single_flight import SingleFlight
from solve_api.ranking.turns import Turn, Turns
from solve_projector.domain.ranking import BoardPage, PageRequest, RankKey
from solve_projector.store.postgresql import DATABASE_ERRORS, Connection
from solve_runtime.tasks import cancel_and_wait, cancelled, in_background, retrieve

OURSELVES = ""  # builds what every visitor sees; no client has this address
WAITING_MAX = 8  # first builds that one client waits for
QUEUE_TIMEOUT_S = 60.0
FORGOTTEN_AFTER_S = 10.0  # a first build that nobody asked for again

# a board that takes no longer is built before it is read, as often as builds may run
CHEAP_S = 0.02
CHEAP_PATIENCE_S = 0.03
BUSY_S = 2.0
RETRY_S = 0.02
RENEWED_AFTER_S = 0.2
LOOKED_EVERY_S = 1.0
NOTED_EVERY_S = 30.0  # in the background
NOTED_FIRST_AFTER_S = 100.0  # by whoever asks, before the answer: builds drop what nobody asked for in thrice as long

BuildBoard = Callable[[TimeRange], Coroutine[Any, Any, None]]

log = structlog.get_logger()


class KeptPage(NamedTuple):
    """A page of a kept board, and the time before which every committed solve is on it."""

    reading: BoardPage
    as_of: datetime


@dataclass(slots=True)
class _Board:
    """What this process knows of a board that is kept, by its own clock."""

    computed_at: float
    cost_s: float
    asked_at: float
    noted_at: float = -inf  # until when PostgreSQL knows who asked

    @property
    def age_s(self) -> float:
        return monotonic() - self.computed_at

    @property
    def is_worth_waiting(self) -> bool:
        return self.cost_s <= CHEAP_S and self.age_s > (1 + PAUSE_OF_NEXT) * self.cost_s


@dataclass(slots=True)
class _Build:
    """A build that waits for its turn, or runs."""

    task: asyncio.Task[None]
    turn: Turn = field(default_factory=Turn)
    asked_at: float = field(default_factory=monotonic)


class KeptBoards:
    """The kept boards, as one process reads and builds them."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._turns = Turns(1, WAITING_MAX)
        self._boards: OrderedDict[TimeRange, _Board] = OrderedDict()
        self._builds: dict[TimeRange, _Build] = {}
        self._finds = SingleFlight()
        self._read = asyncio.Event()
        self._patient_from = 0.0

    async def ready(self, period: TimeRange, client: str, patience_s: float) -> bool:
        """Whether the board can be read, after waiting for its first build for so long at most.

        Raises TooManyRequests if the client waits for too many already, and asyncpg's errors.
        """
        board = self._boards.get(period)
        if board is None or monotonic() >= board.noted_at + NOTED_FIRST_AFTER_S:
            board = await self._finds.run(period, partial(self._find, period))
        if board is None:
            task = self._start(period, client, self._build_first)
            await asyncio.wait([task], timeout=patience_s)
            if task.done():
                task.result()
        elif board.is_worth_waiting and self._builds.keys() <= {period} and monotonic() >= self._patient_from:
            await self._freshen(period, board)
        return period in self._boards

    async def _freshen(self, period: TimeRange, board: _Board) -> None:
        """Waits a moment for a build that takes no longer; while others are built, nobody waits again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CHEAP_PATIENCE_S):
                while board.is_worth_waiting:
                    await asyncio.wait([self._start(period, OURSELVES, self._build_next)])
                    await asyncio.sleep(RETRY_S if board.is_worth_waiting else 0)
                return
        self._patient_from = monotonic() + BUSY_S

    async def read(self, period: TimeRange, request: PageRequest, user_ids: Sequence[str]) -> KeptPage | None:
        """A page, and the places of these users; None if the board is not kept. Raises asyncpg's errors."""
        solved, seconds, user_id = request.position
        rows = await self._pool.fetch(
            KEPT_SQL["read_board"], *period, request.mode, request.limit, -solved, seconds, user_id, list(user_ids)
        )
        if not rows:
            self._boards.pop(period, None)
            return None
        total, as_of, age_s, cost_s, begin = rows[0][:5]
        self._note(period, Kept(age_s, cost_s)).asked_at = monotonic()
        self._read.set()
        page = [RankKey(*row[8:]) for row in rows if row["is_asked"] is False]
        first_rank = rows[0]["rank"] if page else begin + 1
        places = {row["user_id"]: (row["rank"], RankKey(*row[8:])) for row in rows if row["is_asked"]}
        return KeptPage(BoardPage(total, begin, first_rank, page, places), as_of)

    async def renew(self) -> None:
        """Has the boards built again that were read since they were built, until cancelled."""
        while not cancelled():
            await self._read.wait()
            self._read.clear()
            try:
                await self._renew_until_nobody_reads()
            except DATABASE_ERRORS as error:
                log.debug("a board cannot be built", action="board_not_built", error=str(error))
                await asyncio.sleep(LOOKED_EVERY_S)

    async def close(self) -> None:
        """Ends what is being built; PostgreSQL keeps the last board."""
        await cancel_and_wait([one.task for one in self._builds.values()])

    async def _renew_until_nobody_reads(self) -> None:
        while wanted := [one for one, board in self._boards.items() if board.asked_at > board.computed_at]:
            pause_s = await self._renew_one(wanted)
            await asyncio.sleep(pause_s)

    async def _renew_one(self, wanted: list[TimeRange]) -> float:
        """Builds one of these if it is time; how long to wait before the next check."""
        if wait_s := await self._look(wanted):
            return min(wait_s, LOOKED_EVERY_S)
        # the least age of all for the same cost: a board that takes four times as long is built half as often
        boards = {one: board for one in wanted if (board := self._boards.get(one)) and board.age_s >= RENEWED_AFTER_S}
        if not boards:
            return RENEWED_AFTER_S
        stalest = max(boards, key=lambda one: boards[one].age_s ** 2 / max(boards[one].cost_s, 0.001))
        build = self._start(stalest, OURSELVES, self._build_next)
        await asyncio.wait([build])
        if not build.cancelled():  # by the end of the process
            build.result()
        return RENEWED_AFTER_S

    async def _look(self, periods: list[TimeRange]) -> float:
        """Notes how these boards stand, perhaps built by another process; how long the next build has to wait."""
        async with self._pool.acquire() as connection:
            kept = await kept_of(connection, periods)
            await self._note_asked(connection)
            wait_s = await pause_before_next(connection)
        for period in periods:
            if found := kept.get(period):
                self._note(period, found)
            else:
                self._boards.pop(period, None)
        return wait_s

    async def _find(self, period: TimeRange) -> _Board | None:
        """The board if it is kept; from then on no build drops it that does not know that somebody asks."""
        now = monotonic()
        if not (rows := await self._pool.fetch(KEPT_SQL["find_board"], *period)):
            self._boards.pop(period, None)
            return None
        board = self._note(period, Kept(*rows[0]))
        board.noted_at = now
        return board

    async def _note_asked(self, connection: Connection) -> None:
        """Notes who asked, all at once as soon as it is time for one."""
        now = monotonic()
        asked = [one for one, board in self._boards.items() if board.asked_at > board.noted_at]
        if any(now >= self._boards[one].noted_at + NOTED_EVERY_S for one in asked):
            for row in await connection.fetch(KEPT_SQL["note_asked"], *zip(*asked, strict=True)):
                if board := self._boards.get(TimeRange(*row)):
                    board.noted_at = now

    def _note(self, period: TimeRange, kept: Kept) -> _Board:
        computed_at = monotonic() - kept.age_s
        board = self._boards.setdefault(period, _Board(computed_at, kept.cost_s, computed_at))
        board.computed_at, board.cost_s = computed_at, kept.cost_s
        self._boards.move_to_end(period)
        while len(self._boards) > KEPT_MAX:
            self._boards.popitem(last=False)
        return board

    def _start(self, period: TimeRange, client: str, build: BuildBoard) -> asyncio.Task[None]:
        """The build of this board that waits or runs already, or a new one; in the client's row."""
        if found := self._builds.get(period):
            self._turns.join(client, found.turn)
            found.asked_at = monotonic()
            return found.task
        turn = Turn()
        self._turns.join(client, turn)
        task = asyncio.create_task(self._in_turn(period, turn, build))
        self._builds[period] = _Build(task, turn)

        def end(task: asyncio.Task[None]) -> None:
            retrieve(task)
            del self._builds[period]

        task.add_done_callback(end)
        return task

    async def _in_turn(self, period: TimeRange, turn: Turn, build: BuildBoard) -> None:
        async with self._turns.taken(turn, QUEUE_TIMEOUT_S):
            if monotonic() - self._builds[period].asked_at <= FORGOTTEN_AFTER_S:
                await build(period)

    async def _build_first(self, period: TimeRange) -> None:
        now = monotonic()
        self._note(period, await build_first(self._pool, period)).noted_at = now

    async def _build_next(self, period: TimeRange) -> None:
        now = monotonic()
        if found := await build_next(self._pool, period):
            self._note(period, found).noted_at = now


@asynccontextmanager
async def keeping_boards(pool: asyncpg.Pool) -> AsyncIterator[KeptBoards]:
    """Renews boards in the background until closed."""
    boards = KeptBoards(pool)
    async with in_background(boards.renew):
        try:
            yield boards
        finally:
            await boards.close()
