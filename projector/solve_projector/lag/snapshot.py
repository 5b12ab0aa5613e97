"""Snapshots of the lag: how far each stage of each partition is, read from Kafka, PostgreSQL and Redis.

Offsets are read before the log's ends, so that no lag is ever negative. The seconds are the age, by its broker
timestamp, of the oldest event that a stage does not have: read from the log, so that a quiet partition has none. What
an open transaction hides counts as lag up to the high watermark, although nobody can apply it yet.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from time import time
from typing import TypeVar

import asyncpg

from solve_projector.errors import KafkaUnavailable, LeaderboardUnavailable
from solve_projector.lag.backlog import Backlog, read_backlog
from solve_projector.leaderboard.board import Leaderboard, open_leaderboard
from solve_projector.log.group import GroupState, Member
from solve_projector.log.inspection import LogInspector, open_inspector
from solve_projector.log.state import LogState, OpenTransaction
from solve_projector.settings import ProjectorSettings
from solve_projector.store.postgresql import DATABASE_ERRORS, open_pool, said_of
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.sql import queries

LAG_SQL = queries("solve_projector.lag", "lag")

Answer = TypeVar("Answer")

STORE_TIMEOUT_S = 10.0
OLDEST_KEPT_S = 30.0


class Stage(StrEnum):
    """A place that events pass."""

    POSTGRESQL = "postgresql"
    KAFKA_GROUP = "kafka_group"
    REDIS = "redis"


@dataclass(frozen=True, slots=True)
class StageLag:
    """One stage of one partition: the next offset it needs, and the number and age of the events it lacks."""

    offset: int
    lag: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PartitionSnapshot:
    """One partition to its high watermark; a stage whose server did not answer, or that has no offset, is missing."""

    partition: int
    begin: int
    end: int
    stages: Mapping[Stage, StageLag]
    owner: Member | None
    applied_at_s: float | None
    transaction: OpenTransaction | None = None

    @property
    def stable_end(self) -> int:
        """How far the partition can be read."""
        return self.transaction.offset if self.transaction else self.end


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All partitions at one moment (seconds since 1970). `problems` says which server did not answer, and why."""

    at_s: float
    group: str
    topic: str
    members: int = 0
    partitions: tuple[PartitionSnapshot, ...] = ()
    log: LogState | None = None
    retention_margin_s: float | None = None
    backlog: Backlog | None = None
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Applied:
    """PostgreSQL's part of a snapshot."""

    offsets: Mapping[int, int]
    moved_at_s: Mapping[int, float]
    epoch: int
    backlog: Backlog | None


@dataclass
class Observer:
    """Takes snapshots over the same connections. Made by `open_observer`."""

    group_id: str
    pool: asyncpg.Pool
    board: Leaderboard
    inspector: LogInspector
    with_backlog: bool

    def __post_init__(self) -> None:
        # by partition, the first record at or after an offset: (asked, offset, broker timestamp)
        self._oldest: dict[int, list[tuple[int, int, int]]] = {}
        self._oldest_until_s = 0.0

    async def snapshot(self) -> Snapshot:
        """A server that is unavailable is named in `problems`. Raises TopicMissing."""
        problems: dict[str, str] = {}
        group = await _or_problem(self.inspector.group(self.group_id), problems)
        applied = await self._applied(problems)
        watermarks = await self._watermarks(applied, problems)
        log = await _or_problem(self.inspector.state(), problems)
        if log is None:
            return self.empty(problems)
        offsets: dict[Stage, Mapping[int, int]] = {}
        if applied:
            offsets[Stage.POSTGRESQL] = {p: applied.offsets.get(p, 0) for p in log.ends}
        if group:
            offsets[Stage.KAFKA_GROUP] = {p: at for p, at in group.committed.items() if p in log.ends}
        if watermarks is not None:
            offsets[Stage.REDIS] = {p: watermarks.get(p, 0) for p in log.ends}
        try:
            held = await self.inspector.open_transactions(log)
            stages = {stage: await self._lags(reached, log, held) for stage, reached in offsets.items()}
            margin = await self._retention_margin(log)
        except KafkaUnavailable as error:
            problems["kafka"] = str(error)
            held, stages, margin = {}, {}, None
        members = len(group.members) if group else 0
        partitions = tuple(_partitions(log, held, stages, group, applied))
        backlog = applied.backlog if applied else None
        return Snapshot(
            time(), self.group_id, self.inspector.topic, members, partitions, log, margin, backlog, problems
        )

    def empty(self, problems: Mapping[str, str]) -> Snapshot:
        """A snapshot without partitions."""
        return Snapshot(time(), self.group_id, self.inspector.topic, problems=problems)

    async def _applied(self, problems: dict[str, str]) -> _Applied | None:
        try:
            # a pool waits as long again to take a connection back
            async with asyncio.timeout(STORE_TIMEOUT_S), self.pool.acquire(timeout=STORE_TIMEOUT_S) as connection:
                rows = await connection.fetch(LAG_SQL["offsets"], self.inspector.topic)
                epoch = await connection.fetchval("SELECT epoch FROM leaderboard_epoch")
        except DATABASE_ERRORS as error:
            problems["postgresql"] = said_of(error)
            return None
        backlog = await self._backlog(problems) if self.with_backlog else None
        return _Applied(
            {row["partition"]: row["next_offset"] for row in rows},
            {row["partition"]: float(row["moved_at_s"]) for row in rows},
            epoch,
            backlog,
        )

    async def _backlog(self, problems: dict[str, str]) -> Backlog | None:
        """Apart from the offsets: a table that is slow to count, or locked, must not hide the lag."""
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S), self.pool.acquire(timeout=STORE_TIMEOUT_S) as connection:
                return await read_backlog(connection, self.inspector.topic)
        except DATABASE_ERRORS as error:
            problems["backlog"] = said_of(error)
            return None

    async def _watermarks(self, applied: _Applied | None, problems: dict[str, str]) -> Mapping[int, int] | None:
        try:
            # readers see the board's own epoch, which during a rebuild is older than PostgreSQL's
            state = await self.board.state()
            return (await self.board.state(applied.epoch) if state.current is None and applied else state).watermarks
        except LeaderboardUnavailable as error:
            problems["redis"] = str(error)
            return None

    async def _lags(
        self, offsets: Mapping[int, int], log: LogState, held: Mapping[int, OpenTransaction]
    ) -> dict[int, StageLag]:
        # the status reports what was deleted too early; the oldest event that can be read is the log's first
        begins = {p: max(at, log.earliest[p]) for p, at in offsets.items()}
        await self._find_oldest({p: (at, log.ends[p]) for p, at in begins.items() if at < log.ends[p]})
        now_s = time()
        lags = {}
        for partition, offset in offsets.items():
            end = log.ends[partition]
            mark = self._oldest_known(partition, begins[partition], end) if offset < end else None
            # offsets without a record (transaction markers, compaction) are no lag
            lag, since_s = (end - offset, mark[1] / 1000) if mark else (0, now_s)
            if partition in held:  # whether its records count is known only when it ends
                lag += max(0, log.high_watermarks[partition] - max(offset, end))
                since_s = min(since_s, held[partition].since_s)
            lags[partition] = StageLag(offset, lag, max(0.0, now_s - since_s))
        return lags

    async def _find_oldest(self, ranges: Mapping[int, tuple[int, int]]) -> None:
        if time() > self._oldest_until_s:  # a log may be recreated with the same offsets
            self._oldest.clear()
            self._oldest_until_s = time() + OLDEST_KEPT_S
        unknown = {p: bounds for p, bounds in ranges.items() if self._oldest_known(p, *bounds) is None}
        if not unknown:
            return
        for partition, (offset, timestamp_ms) in (await self.inspector.oldest(unknown)).items():
            known = self._oldest.setdefault(partition, [])
            known.append((unknown[partition][0], offset, timestamp_ms))
            del known[: -len(Stage)]

    def _oldest_known(self, partition: int, offset: int, end: int) -> tuple[int, int] | None:
        for asked, found, timestamp_ms in self._oldest.get(partition, ()):
            if asked <= offset <= found < end:  # beyond the end: from before the log was recreated
                return found, timestamp_ms
        return None

    async def _retention_margin(self, log: LogState) -> float | None:
        """Seconds until retention may delete the log's first record: infinite without a limit, None by size alone."""
        retention_ms = int(log.settings.get("retention.ms", "-1"))
        if retention_ms < 0:
            return float("inf") if log.settings.get("retention.bytes") == "-1" else None
        begins = {p: (at, log.ends[p]) for p, at in log.earliest.items() if at < log.ends[p]}
        first = await self.inspector.oldest(begins)
        if not first:
            return retention_ms / 1000
        return max(0.0, min(timestamp_ms for _, timestamp_ms in first.values()) / 1000 + retention_ms / 1000 - time())


async def _or_problem(answer: Awaitable[Answer], problems: dict[str, str]) -> Answer | None:
    try:
        return await answer
    except KafkaUnavailable as error:
        problems["kafka"] = str(error)
        return None


def _partitions(
    log: LogState,
    held: Mapping[int, OpenTransaction],
    stages: Mapping[Stage, Mapping[int, StageLag]],
    group: GroupState | None,
    applied: _Applied | None,
) -> Iterator[PartitionSnapshot]:
    for partition, end in sorted(log.ends.items()):
        yield PartitionSnapshot(
            partition,
            log.earliest[partition],
            log.high_watermarks[partition] if partition in held else end,
            {stage: lags[partition] for stage, lags in stages.items() if partition in lags},
            group.owner_of(partition) if group else None,
            applied.moved_at_s.get(partition) if applied else None,
            held.get(partition),
        )


@asynccontextmanager
async def open_observer(
    connection: KafkaConnection, settings: ProjectorSettings, *, with_backlog: bool = False
) -> AsyncIterator[Observer]:
    """Connects to Kafka now, and to the stores at the first snapshot. Raises KafkaUnavailable, SettingsError.

    `with_backlog` counts tables that may be long; only the exporter shows them.
    """
    async with (
        open_pool(settings, lazily=True) as pool,
        open_leaderboard(settings, connection.topic) as board,
        open_inspector(connection) as inspector,
    ):
        yield Observer(settings.group_id, pool, board, inspector, with_backlog)
