"""Checks every few seconds, also while idle, that the leaderboard is in sync with PostgreSQL, and repairs it (I6).

A watermark that stays below PostgreSQL's offset is a lost write: all users are written again from one snapshot, beside
the live writes. A watermark or an epoch ahead of PostgreSQL's means that PostgreSQL went back (a restored backup, a
failover to a lagging standby): a new epoch starts, is built beside the old one, and readers switch once it is complete.
A crash on the way leaves the old epoch in use, and the next check starts again.
"""

import asyncio
from collections.abc import Mapping
from time import monotonic

import asyncpg
import structlog

from solve_projector.errors import LeaderboardUnavailable
from solve_projector.leaderboard.board import BoardState, Leaderboard
from solve_projector.store.counts import Standing
from solve_projector.store.locks import Lock, try_lock_transaction
from solve_projector.store.offsets import next_offsets
from solve_projector.store.postgresql import DATABASE_ERRORS, Failure, classify, said_of
from solve_projector.telemetry.health import Condition
from solve_projector.telemetry.monitor import Monitor
from solve_runtime.sql import queries
from solve_runtime.tasks import cancelled

STANDINGS_SQL = queries("solve_projector.leaderboard", "standings")

CHUNK_USERS = 2_000
OUTBOX_ROWS = 1_000
SYNC_POLL_S = 0.1
SYNC_TIMEOUT_S = 60.0
# Members are counted every so many idle checks, because it costs PostgreSQL an index scan.
IDLE_CHECKS_PER_COUNT = 15

log = structlog.get_logger()


class BoardReconciler:
    """Keeps one leaderboard in sync with one database."""

    def __init__(
        self, pool: asyncpg.Pool, leaderboard: Leaderboard, topic: str, monitor: Monitor | None = None
    ) -> None:
        self.monitor = monitor or Monitor()
        self._pool = pool
        self._board = leaderboard
        self._topic = topic
        self._stale: dict[int, int] = {}
        self._idle_checks = 0
        self.available = False
        self._rewound = False

    def database_rewound(self) -> None:
        """PostgreSQL went back to older offsets: the next check starts a new epoch."""
        self._rewound = True

    def mark_unavailable(self, error: LeaderboardUnavailable) -> None:
        """Redis did not answer: nothing is written to it until a check succeeds."""
        self.monitor.board_failed(error)
        if self.available:
            log.warning(
                "leaderboard unavailable; projection continues",
                action="leaderboard_unavailable",
                error=str(error),
            )
        self.available = False

    async def sync(self, offsets: Mapping[int, int]) -> None:
        """Returns once readers see everything below `offsets`. Raises LeaderboardUnavailable, also after a minute.

        A check that takes longer, such as one that rebuilds a large leaderboard, is not interrupted.
        """
        deadline = monotonic() + SYNC_TIMEOUT_S
        while not await self._shows(offsets):
            if monotonic() > deadline:
                raise LeaderboardUnavailable("the leaderboard was not in sync within a minute; see the log above")
            await asyncio.sleep(SYNC_POLL_S)

    async def _shows(self, offsets: Mapping[int, int]) -> bool:
        epoch = await self._epoch()
        state = await self._board.state(epoch)
        is_stale = any(state.watermarks.get(p, 0) < at for p, at in offsets.items())
        in_sync = await self.check_once()
        return state.current == epoch and not is_stale and (in_sync or not self._rewound)

    async def run(self, interval_s: float) -> None:
        """Checks until cancelled; a failed check is logged and repeated."""
        while not cancelled():
            await self.check_once()
            await asyncio.sleep(interval_s)

    async def check_once(self) -> bool:
        """Checks once and repairs what it finds; returns whether the leaderboard was in sync."""
        try:
            in_sync = await self._check()
        except LeaderboardUnavailable as error:
            self.mark_unavailable(error)
            return False
        except DATABASE_ERRORS as error:
            if classify(error) is Failure.FINAL:
                raise
            self.monitor.database_failed(error)
            log.warning("leaderboard not checked", action="leaderboard_check", error=said_of(error))
            return False
        if not self.available:
            log.info("leaderboard available", action="leaderboard_available")
        self.available = True
        return in_sync

    async def _check(self) -> bool:
        epoch = await self._epoch()
        self.monitor.database_answered()
        # Redis first: PostgreSQL, read later, is never older, unless it went back
        state = await self._board.state(epoch)
        offsets = await next_offsets(self._pool, self._topic)
        if self._rewound or self._is_ahead(epoch, state, offsets):
            await self._start_epoch(max(epoch, state.current or 0))
            self._rewound = False
            return False
        await self._drain_outbox(epoch)
        stale = {p: state.watermarks.get(p, 0) for p, at in offsets.items() if state.watermarks.get(p, 0) < at}
        stuck = [p for p, at in stale.items() if self._stale.get(p) == at]
        lost = state.current != epoch or (not stale and await self._members_are_missing(state))
        # beside live writes it is always a little stale; it is enough that it moved since the last check
        keeps_up = not stale or bool(self._stale)
        self._stale = stale
        if stuck or lost:
            await self._rebuild(
                reason="no board" if state.current != epoch else "members missing" if lost else "lost write"
            )
            self._stale = {}
            return False
        if keeps_up:
            self.monitor.health.met(Condition.LEADERBOARD)
        return not stale

    def _is_ahead(self, epoch: int, state: BoardState, offsets: Mapping[int, int]) -> bool:
        ahead = {p: at for p, at in state.watermarks.items() if at > offsets.get(p, 0)}
        if ahead or (state.current or 0) > epoch:
            log.warning(
                "PostgreSQL has older offsets than the leaderboard: it was restored or failed over",
                action="database_rewound",
                watermarks_ahead=ahead,
                epoch=epoch,
                leaderboard_epoch=state.current,
            )
            return True
        return False

    async def _members_are_missing(self, state: BoardState) -> bool:
        """Whether single keys were evicted or deleted, by their number; counted now and then."""
        self._idle_checks += 1
        if self._idle_checks % IDLE_CHECKS_PER_COUNT != 1:
            return False
        ranked = await self._pool.fetchval("SELECT count(*) FROM users WHERE problems_solved > 0")
        return bool(ranked > state.members or ranked > state.versions)

    async def rebuild_beside(self) -> None:
        """Rebuilds the leaderboard beside the one in use, then switches readers. Raises LeaderboardUnavailable."""
        epoch = await self._epoch()
        state = await self._board.state(epoch)
        await self._start_epoch(max(epoch, state.current or 0))

    async def _start_epoch(self, at_least: int) -> None:
        start = "UPDATE leaderboard_epoch SET epoch = greatest(epoch, $1) + 1 RETURNING epoch"
        epoch = await self._pool.fetchval(start, at_least)
        log.warning("new leaderboard epoch", action="epoch_started", epoch=epoch)
        await self._rebuild(reason="new epoch")
        self._stale = {}

    async def _rebuild(self, reason: str) -> None:
        """Writes every user of one snapshot, then raises the watermarks to its offsets."""
        self.monitor.health.missing(Condition.LEADERBOARD, f"the leaderboard is being rebuilt ({reason})")
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await connection.execute("SET LOCAL transaction_timeout = 0")  # a long read that nobody waits for
            if not await try_lock_transaction(connection, Lock.BOARD_REWRITE):
                return  # another process does it
            epoch = await connection.fetchval("SELECT epoch FROM leaderboard_epoch")
            offsets = await next_offsets(connection, self._topic)
            users = 0
            cursor = await connection.cursor(STANDINGS_SQL["all_standings"])
            while rows := await cursor.fetch(CHUNK_USERS):
                await self._board.write(epoch, [Standing(*row) for row in rows])
                users += len(rows)
        if offsets:
            await self._board.raise_watermarks(epoch, offsets)
        await self._board.publish(epoch)
        self.monitor.metrics.rebuilt(reason.replace(" ", "_"))
        log.info("leaderboard rebuilt", action="leaderboard_rebuilt", reason=reason, epoch=epoch, users=users)

    async def _drain_outbox(self, epoch: int) -> None:
        async with self._pool.acquire() as connection:
            while rows := await connection.fetch(STANDINGS_SQL["read_outbox"], OUTBOX_ROWS):
                await self._board.write(epoch, [Standing(*row[1:]) for row in rows])
                await connection.execute(
                    "DELETE FROM leaderboard_outbox WHERE outbox_id = ANY ($1::bigint[])", [row[0] for row in rows]
                )

    async def _epoch(self) -> int:
        return int(await self._pool.fetchval("SELECT epoch FROM leaderboard_epoch"))
