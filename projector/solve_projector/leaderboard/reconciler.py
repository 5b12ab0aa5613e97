"""Is the board what PostgreSQL says, and how does it become that again? Checks every few seconds, also when idle.

A lost write shows as a watermark that stays behind PostgreSQL's offset: then all users are written again from one
snapshot, beside the live writes. A watermark or an epoch ahead of PostgreSQL's means that PostgreSQL went back (a
restored backup, a failover to a lagging standby): then a new epoch is begun, its board built beside the old one, and
readers switch when it is whole.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg
import structlog

from solve_projector.errors import LeaderboardUnavailable
from solve_projector.leaderboard.board import BoardState, Leaderboard
from solve_projector.store.counts import Standing
from solve_projector.store.locks import Lock, try_lock_transaction
from solve_projector.store.postgresql import DATABASE_ERRORS, Connection, Failure, classify
from solve_projector.telemetry.health import Condition
from solve_projector.telemetry.monitor import Monitor
from solve_runtime.sql import queries
from solve_runtime.tasks import going_on

STANDINGS_SQL = queries("solve_projector.leaderboard", "standings")
OFFSETS_SQL = queries("solve_projector.store", "offsets")

CHUNK_USERS = 2_000
OUTBOX_ROWS = 1_000
STEP_POLL_S = 0.1
# Members are counted every so many idle checks: it costs PostgreSQL an index scan.
IDLE_CHECKS_PER_COUNT = 15

log = structlog.get_logger()


class BoardKeeper:
    """Keeps one leaderboard in step with one database."""

    def __init__(
        self, pool: asyncpg.Pool, leaderboard: Leaderboard, topic: str, monitor: Monitor | None = None
    ) -> None:
        self.monitor = monitor or Monitor()
        self._pool = pool
        self._board = leaderboard
        self._topic = topic
        self._behind: dict[int, int] = {}
        self._idle_checks = 0
        self.available = False
        self._doubted = False

    def doubt(self) -> None:
        """PostgreSQL was seen to go back: the next check begins a new epoch."""
        self._doubted = True

    def lose(self, error: LeaderboardUnavailable) -> None:
        """Redis did not answer: nothing is written to it until a check has succeeded."""
        self.monitor.board_failed(error)
        if self.available:
            log.warning("leaderboard away; PostgreSQL goes on", action="leaderboard_away", error=str(error))
        self.available = False

    async def bring_into_step(self, offsets: Mapping[int, int]) -> None:
        """Returns once readers see a board with everything below `offsets`. Raises LeaderboardUnavailable."""
        while True:
            epoch = await self._epoch()
            state = await self._board.state(epoch)
            behind = any(state.watermarks.get(p, 0) < at for p, at in offsets.items())
            in_step = await self.check_once()
            if state.current == epoch and not behind and (in_step or not self._doubted):
                return
            await asyncio.sleep(STEP_POLL_S)

    async def run(self, interval_s: float) -> None:
        """Checks for ever; what fails is logged and tried again at the next check."""
        while going_on():
            await self.check_once()
            await asyncio.sleep(interval_s)

    async def check_once(self) -> bool:
        """One check with whatever it finds to mend; whether the board was found in step."""
        try:
            in_step = await self._check()
        except LeaderboardUnavailable as error:
            self.lose(error)
            return False
        except DATABASE_ERRORS as error:
            if classify(error) is Failure.FINAL:
                raise
            self.monitor.database_failed(error)
            log.warning("leaderboard not checked", action="leaderboard_check", error=str(error) or type(error).__name__)
            return False
        if not self.available:
            log.info("leaderboard answers", action="leaderboard_back")
        self.available = True
        return in_step

    async def _check(self) -> bool:
        epoch = await self._epoch()
        self.monitor.database_answered()
        # Redis first: PostgreSQL read later cannot be behind it, unless it went back
        state = await self._board.state(epoch)
        offsets = await self._offsets()
        if self._doubted or self._went_back(epoch, state, offsets):
            await self._begin_epoch(max(epoch, state.current or 0))
            self._doubted = False
            return False
        await self._drain_outbox(epoch)
        behind = {p: state.watermarks.get(p, 0) for p, at in offsets.items() if state.watermarks.get(p, 0) < at}
        stuck = [p for p, at in behind.items() if self._behind.get(p) == at]
        lost = state.current != epoch or (not behind and await self._members_are_missing(state))
        # beside live writes it is always a little behind: enough that it moved since the last check
        in_step = not behind or bool(self._behind)
        self._behind = behind
        if stuck or lost:
            await self._rebuild(
                reason="no board" if state.current != epoch else "members missing" if lost else "lost write"
            )
            self._behind = {}
            return False
        if in_step:
            self.monitor.health.met(Condition.LEADERBOARD)
        return not behind

    def _went_back(self, epoch: int, state: BoardState, offsets: Mapping[int, int]) -> bool:
        ahead = {p: at for p, at in state.watermarks.items() if at > offsets.get(p, 0)}
        if ahead or (state.current or 0) > epoch:
            log.warning(
                "PostgreSQL is behind the leaderboard: it was restored or failed over",
                action="database_went_back",
                watermarks_ahead=ahead,
                epoch=epoch,
                leaderboard_epoch=state.current,
            )
            return True
        return False

    async def _members_are_missing(self, state: BoardState) -> bool:
        """Keys can be evicted or deleted one by one; seen by numbers, now and then."""
        self._idle_checks += 1
        if self._idle_checks % IDLE_CHECKS_PER_COUNT != 1:
            return False
        async with self._pool.acquire() as connection:
            ranked = await connection.fetchval("SELECT count(*) FROM users WHERE problems_solved > 0")
        return bool(ranked > state.members or ranked > state.versions)

    async def rebuild_beside(self) -> None:
        """Builds the board anew beside the one that readers see, and lets them see it.

        Raises LeaderboardUnavailable.
        """
        epoch = await self._epoch()
        state = await self._board.state(epoch)
        await self._begin_epoch(max(epoch, state.current or 0))

    async def _begin_epoch(self, at_least: int) -> None:
        async with self._pool.acquire() as connection:
            epoch = await connection.fetchval(
                "UPDATE leaderboard_epoch SET epoch = greatest(epoch, $1) + 1 RETURNING epoch", at_least
            )
        log.warning("new leaderboard epoch", action="epoch", epoch=epoch)
        await self._rebuild(reason="new epoch")
        self._behind = {}

    async def _rebuild(self, reason: str) -> None:
        """Writes every user of one snapshot, then raises the watermarks to the snapshot's offsets."""
        self.monitor.health.missing(Condition.LEADERBOARD, f"the board is being written anew ({reason})")
        async with self._snapshot() as connection:
            if not await try_lock_transaction(connection, Lock.BOARD_REWRITE):
                return  # another process is at it
            epoch = await connection.fetchval("SELECT epoch FROM leaderboard_epoch")
            offsets = await self._snapshot_offsets(connection)
            users = 0
            async for chunk in self._standings(connection):
                await self._board.write(epoch, chunk)
                users += len(chunk)
        if offsets:
            await self._board.raise_watermarks(epoch, offsets)
        await self._board.publish(epoch)
        self.monitor.metrics.rebuilt(reason.replace(" ", "_"))
        log.info("leaderboard rebuilt", action="leaderboard_rebuilt", reason=reason, epoch=epoch, users=users)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Connection]:
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await connection.execute("SET LOCAL transaction_timeout = 0")  # a long read, and nobody waits for it
            yield connection

    async def _standings(self, connection: Connection) -> AsyncIterator[list[Standing]]:
        cursor = await connection.cursor(STANDINGS_SQL["all_standings"])
        while rows := await cursor.fetch(CHUNK_USERS):
            yield [Standing(*row) for row in rows]

    async def _snapshot_offsets(self, connection: Connection) -> dict[int, int]:
        return {
            row["partition"]: row["next_offset"]
            for row in await connection.fetch(OFFSETS_SQL["read_offsets"], self._topic)
        }

    async def _drain_outbox(self, epoch: int) -> None:
        async with self._pool.acquire() as connection:
            while rows := await connection.fetch(STANDINGS_SQL["read_outbox"], OUTBOX_ROWS):
                await self._board.write(epoch, [Standing(*row[1:]) for row in rows])
                await connection.execute(
                    "DELETE FROM leaderboard_outbox WHERE outbox_id = ANY ($1::bigint[])", [row[0] for row in rows]
                )

    async def _epoch(self) -> int:
        async with self._pool.acquire() as connection:
            return int(await connection.fetchval("SELECT epoch FROM leaderboard_epoch"))

    async def _offsets(self) -> dict[int, int]:
        async with self._pool.acquire() as connection:
            return await self._snapshot_offsets(connection)
