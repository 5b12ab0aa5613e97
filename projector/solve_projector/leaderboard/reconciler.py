"""Checks every few seconds, also while idle, that the leaderboard is in sync with PostgreSQL, and repairs it (I6).

A watermark that stays below PostgreSQL's offset is a lost write: all users are written again from one snapshot, beside
the live writes. A watermark or an epoch ahead of PostgreSQL's means that PostgreSQL went back (a restored backup, a
failover to a lagging standby): a new epoch starts, is built beside the old one, and readers switch once it is complete.
A crash on the way leaves the old epoch in use, and the next check starts again.

Several processes do this at once. An epoch starts by compare-and-set, and readers are never switched to an older one.
What has no offset (the outbox) is written to the epoch of its own snapshot: a later epoch is built from a later
snapshot, which has it. Whatever else was read before another epoch started is not judged.
"""

import asyncio
from collections.abc import Collection, Mapping
from time import monotonic
from typing import NamedTuple

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

EPOCHS_SQL = queries("solve_projector.leaderboard", "epochs")
STANDINGS_SQL = queries("solve_projector.leaderboard", "standings")

CHUNK_USERS = 2_000
OUTBOX_ROWS = 1_000
SYNC_POLL_S = 0.1
SYNC_TIMEOUT_S = 60.0
# Members are counted every so many idle checks, because it costs PostgreSQL an index scan.
IDLE_CHECKS_PER_COUNT = 15

log = structlog.get_logger()


class _Written(NamedTuple):
    """What one snapshot of PostgreSQL has; `ranked` is 0 unless users were counted."""

    epoch: int
    offsets: Mapping[int, int]
    in_outbox: bool
    ranked: int


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
        is_stale = bool(state.below(offsets))
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
        written = await self._written()
        if written.epoch != epoch:
            return False  # another process has started one meanwhile, and builds it
        if self._rewound or self._is_ahead(state, written):
            await self._start_epoch(epoch)
            self._rewound = False
            return False
        await self._drain_outbox()
        stale = state.below(written.offsets)
        stuck = [p for p, at in stale.items() if self._stale.get(p) == at]
        # beside live writes it is always a little stale; it is enough that it moved since the last check
        keeps_up = not stale or bool(self._stale)
        self._stale = stale
        if reason := await self._reason_to_rebuild(state, epoch, stale, stuck):
            await self._rebuild(reason)
            self._stale = {}
            return False
        if keeps_up:
            self.monitor.health.met(Condition.LEADERBOARD)
        return not stale

    async def _reason_to_rebuild(
        self, state: BoardState, epoch: int, stale: Mapping[int, int], stuck: Collection[int]
    ) -> str | None:
        if state.current != epoch:
            return "no board"
        if state.is_of_another_server:
            return "failover"
        if not stale and await self._members_are_missing():
            return "members missing"
        return "lost write" if stuck else None

    def _is_ahead(self, state: BoardState, written: _Written) -> bool:
        ahead = {p: at for p, at in state.watermarks.items() if at > written.offsets.get(p, 0)}
        if ahead or (state.current or 0) > written.epoch:
            log.warning(
                "PostgreSQL has older offsets than the leaderboard: it was restored or failed over",
                action="database_rewound",
                watermarks_ahead=ahead,
                epoch=written.epoch,
                leaderboard_epoch=state.current,
            )
            return True
        return False

    async def _members_are_missing(self) -> bool:
        """Whether single keys were evicted or deleted, by their number; counted now and then.

        Redis is read between two equal snapshots of PostgreSQL that it has all of, so both are of one moment.
        """
        self._idle_checks += 1
        if self._idle_checks % IDLE_CHECKS_PER_COUNT != 1:
            return False
        written = await self._written(counted=True)
        state = await self._board.state(written.epoch)
        comparable = not written.in_outbox and not state.below(written.offsets)
        missing = comparable and written.ranked > min(state.members, state.versions)
        return missing and written == await self._written(counted=True)

    async def rebuild_beside(self) -> None:
        """Rebuilds the leaderboard beside the one in use, then switches readers. Raises LeaderboardUnavailable.

        Does nothing if another process starts an epoch at the same time: that one is as new.
        """
        await self._start_epoch(await self._epoch())

    async def _start_epoch(self, known: int) -> None:
        """Starts the epoch after `known` and after whatever Redis has, unless another process was first."""
        at_least = max(known, await self._board.newest_epoch())
        epoch = await self._pool.fetchval(EPOCHS_SQL["start_epoch"], known, at_least)
        if epoch is None:
            log.info("another process has started a new leaderboard epoch", action="epoch_crossed", epoch=known)
            return
        log.warning("new leaderboard epoch", action="epoch_started", epoch=epoch)
        await self._rebuild("new epoch")
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
            epoch = await connection.fetchval(EPOCHS_SQL["read_epoch"])
            offsets = await next_offsets(connection, self._topic)
            server = (await self._board.state(epoch)).server  # what one writes may be lost when another takes over
            users = 0
            cursor = await connection.cursor(STANDINGS_SQL["all_standings"])
            while rows := await cursor.fetch(CHUNK_USERS):
                await self._board.write(epoch, [Standing(*row) for row in rows])
                users += len(rows)
        await self._board.raise_watermarks(epoch, offsets, server)
        if not await self._board.publish(epoch):
            log.info("a newer leaderboard is in use", action="epoch_crossed", epoch=epoch)
            return
        self.monitor.metrics.rebuilt(reason.replace(" ", "_"))
        log.info("leaderboard rebuilt", action="leaderboard_rebuilt", reason=reason, epoch=epoch, users=users)

    async def _drain_outbox(self) -> None:
        async with self._pool.acquire() as connection:
            while rows := await connection.fetch(STANDINGS_SQL["read_outbox"], OUTBOX_ROWS):
                await self._board.write(rows[0]["epoch"], [Standing(*row[2:]) for row in rows])
                await connection.execute(
                    "DELETE FROM leaderboard_outbox WHERE outbox_id = ANY ($1::bigint[])",
                    [row["outbox_id"] for row in rows],
                )

    async def _epoch(self) -> int:
        return int(await self._pool.fetchval(EPOCHS_SQL["read_epoch"]))

    async def _written(self, *, counted: bool = False) -> _Written:
        (row,) = await self._pool.fetch(EPOCHS_SQL["written"], self._topic, counted)
        offsets = dict(zip(row["partitions"], row["offsets"], strict=True))
        return _Written(row["epoch"], offsets, row["in_outbox"], row["ranked"] or 0)
