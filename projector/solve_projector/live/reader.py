"""Reads the assigned partitions from PostgreSQL's offsets, never from those committed to Kafka (I9).

A record counts only if its partition was sought to PostgreSQL's offset within this assignment. aiokafka can return
records from Kafka's committed offset while the assignment callback still runs, swallows what that callback raises, and
loses records it had already taken when a later partition fails. So positions are kept here, and after every rebalance,
fence or error all partitions are sought again; what was read before is dropped. Nothing is stored, so a crash leaves
nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from time import perf_counter

import structlog
from aiokafka import ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError, NoOffsetForPartitionError

from solve_projector.domain.batch import Batch, LogRecord, Ranges, Rows, cut, decode_records, fold_into
from solve_projector.errors import KafkaUnavailable, OffsetOutOfRange, ReadInterrupted
from solve_projector.live.consumer_options import new_consumer
from solve_projector.live.read_errors import UNREADABLE, translated
from solve_projector.log.bounded_fetch import BoundedFetch
from solve_projector.log.inspection import answering
from solve_projector.settings import ProjectorSettings
from solve_projector.telemetry.monitor import Monitor
from solve_runtime.kafka_settings import KafkaConnection

POLL_MS = 500
# About a millisecond of work, so that PostgreSQL's answers on one batch do not wait for the next to be decoded.
RECORDS_AT_ONCE = 250
COMMIT_TIMEOUT_S = 5.0
LEAVE_TIMEOUT_S = 10.0

log = structlog.get_logger()
ReadStartOffsets = Callable[[set[int]], Awaitable[dict[int, int]]]


class LogReader(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka is untyped
    """A member of the consumer group that reads at PostgreSQL's offsets."""

    def __init__(
        self,
        connection: KafkaConnection,
        settings: ProjectorSettings,
        read_start_offsets: ReadStartOffsets,
        monitor: Monitor,
    ) -> None:
        """`read_start_offsets` gives the next offset of each partition; it waits for servers as long as it takes."""
        self.topic = connection.topic
        self._connection = connection
        self._settings = settings
        self._read_start_offsets = read_start_offsets
        self._monitor = monitor
        monitor.health.group_problem = self.group_problem
        self._positions: dict[int, int] = {}
        self._sought: dict[int, int] | None = None
        self._assigned: set[int] = set()
        self._assignments = 0
        self._joined = False
        self._assigned_event = asyncio.Event()
        self.generation = 0
        self.fetch_seconds = 0.0
        self.decode_seconds = 0.0
        self._consumer = new_consumer(self._connection, self._settings)
        self._fetch = BoundedFetch(self._consumer)

    @property
    def member_of(self) -> frozenset[int] | None:
        """The partitions that the group gave this process, perhaps none; None while it is no member."""
        return frozenset(self._assigned) if self.group_problem() is None else None

    def group_problem(self) -> str | None:
        """Why this process is no member of the group; None if it is one, with or without partitions."""
        coordinator = self._consumer._coordinator  # None before the client was started
        if coordinator is None or coordinator.coordinator_id is None:
            return f"no coordinator answers for group {self._settings.group_id}"
        if not self._joined:
            return f"joining group {self._settings.group_id}, or waiting for PostgreSQL's offsets"
        return None

    async def start(self) -> None:
        """Joins the group. Raises KafkaUnavailable."""
        with answering(self._connection):
            await self._consumer.start()
        self._consumer.subscribe([self.topic], listener=self)

    async def stop(self) -> None:
        """Leaves the group, so that others take over at once; does not wait for ever for the client to stop."""
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                await self._consumer.stop()
        except TimeoutError:
            log.warning("the Kafka client did not stop in time; its session will expire", action="leave_timed_out")

    async def rejoin(self) -> None:
        """Joins as a new member: a consumer can be alive and never return to its group (aiokafka #1154)."""
        await self.stop()
        self._lose_partitions()
        fresh = new_consumer(self._connection, self._settings)
        fetch = BoundedFetch(fresh)
        try:
            with answering(self._connection):
                await fresh.start()
        except KafkaUnavailable:
            await fresh.stop()  # the old one stays, stopped: reads fail until a later attempt succeeds
            raise
        self._consumer, self._fetch = fresh, fetch
        self._consumer.subscribe([self.topic], listener=self)

    def _lose_partitions(self) -> None:
        self._assignments += 1
        self._assigned = set()
        self._joined = False
        self._seek({})
        self._monitor.metrics.revoked()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Drops everything read from now until the next assignment."""
        self._lose_partitions()
        if revoked:
            log.info("partitions revoked", action="revoked", partitions=sorted(tp.partition for tp in revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Reads PostgreSQL's offsets; the next read seeks to them."""
        self._assigned = {tp.partition for tp in assigned}
        assignment = self._assignments
        self._monitor.metrics.assigned(len(self._assigned))
        log.info("partitions assigned", action="assigned", partitions=sorted(self._assigned))
        offsets = await self.reposition()
        if assignment == self._assignments:
            self._joined = True
        await self.commit(offsets)

    async def reposition(self) -> dict[int, int]:
        """Reads PostgreSQL's offsets of the assigned partitions again; the next read seeks to them."""
        assignment = self._assignments
        offsets = await self._read_start_offsets(set(self._assigned))
        if assignment == self._assignments:
            self._seek(offsets)
        return offsets

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Commits PostgreSQL's offsets to Kafka, for monitors only (I9); a failure is logged and harmless."""
        mine = {TopicPartition(self.topic, p): at for p, at in offsets.items() if p in self._assigned}
        if not mine:
            return
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_S):
                await self._consumer.commit(mine)
        except (CommitFailedError, IllegalStateError) as error:
            log.debug("group offsets not committed during a rebalance", action="group_commit", error=str(error))
        except (TimeoutError, KafkaError) as error:
            log.warning("group offsets not committed", action="group_commit", error=str(error) or type(error).__name__)

    async def read(self) -> list[tuple[Batch, Rows]]:
        """The next batches, each within the limits and folded, or none after half a second without records.

        Raises OffsetOutOfRange, RecordUnreadable, KafkaUnavailable; and ReadInterrupted, after which the caller calls
        `reposition`.
        """
        self._apply_seek()
        if not self._positions:
            await self._wait_for_positions()
            return []
        found = await self._poll()
        moved = await self._advance()
        if self._sought is not None or not moved:
            return []
        generation = self.generation
        records = {partition: some for partition, some in found.items() if partition in moved}
        pieces = cut(moved, records, self._settings.batch_max_bytes)
        batches = [await self._fold(ranges, chunk) for ranges, chunk in pieces]
        return batches if generation == self.generation else []

    async def _poll(self) -> dict[int, list[ConsumerRecord]]:
        """The available records, up to a batch; in pieces, so that PostgreSQL's answers do not wait for the client."""
        found: dict[int, list[ConsumerRecord]] = {}
        wanted, wanted_bytes = self._settings.batch_max_records, self._settings.batch_max_bytes
        began = perf_counter()
        try:
            with self._translated():
                while wanted > 0 and wanted_bytes > 0 and self._sought is None:
                    piece = await self._consumer.getmany(
                        timeout_ms=0 if found else POLL_MS, max_records=min(wanted, RECORDS_AT_ONCE)
                    )
                    if not piece:
                        break
                    for tp, records in piece.items():
                        found.setdefault(tp.partition, []).extend(records)
                        wanted -= len(records)
                        wanted_bytes -= sum(record.serialized_value_size for record in records)
                    await asyncio.sleep(0)
        except NoOffsetForPartitionError:
            return {}  # a partition was not sought yet
        finally:
            self.fetch_seconds += perf_counter() - began
        return found

    async def _advance(self) -> dict[int, tuple[int, int]]:
        """Moves our positions to the client's; returns the ranges of the partitions that moved."""
        begins = dict(self._positions)
        with self._translated():
            for partition in begins:
                position = await self._consumer.position(TopicPartition(self.topic, partition))
                self._positions[partition] = position
        return {p: (begin, self._positions[p]) for p, begin in begins.items() if self._positions.get(p, begin) != begin}

    async def _fold(self, ranges: Ranges, chunk: list[LogRecord]) -> tuple[Batch, Rows]:
        batch, rows = Batch(ranges, []), Rows(ranges)
        for begin in range(0, len(chunk), RECORDS_AT_ONCE):
            began = perf_counter()
            decoded = decode_records(chunk[begin : begin + RECORDS_AT_ONCE])
            batch.records += decoded
            fold_into(rows, decoded)
            self.decode_seconds += perf_counter() - began
            await asyncio.sleep(0)
        return batch, rows

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Drops an offset out of range where a pending seek explains it."""
        try:
            with translated(self.topic):
                yield
        except UNREADABLE as error:
            self._fetch.check_records()
            raise ReadInterrupted(f"a record cannot be read: {error}; reading again to set it aside") from error
        except OffsetOutOfRange:
            if self._sought is None:
                raise

    def _seek(self, positions: dict[int, int]) -> None:
        self._sought = positions
        self._positions = {}
        self.generation += 1
        self._assigned_event.set()

    def _apply_seek(self) -> None:
        if self._sought is None:
            return
        sought, self._sought = self._sought, None
        try:
            for partition, offset in sought.items():
                self._consumer.seek(TopicPartition(self.topic, partition), offset)
        except IllegalStateError:  # a rebalance came first; its assignment seeks again
            return
        self._positions = sought

    async def _wait_for_positions(self) -> None:
        """Sleeps until there is something to seek; meanwhile raises the group's errors."""
        self._assigned_event.clear()
        if self._sought is not None:
            return
        try:
            await asyncio.wait_for(self._assigned_event.wait(), POLL_MS / 1000)
        except TimeoutError:
            await self._group_errors()

    async def _group_errors(self) -> None:
        """Reads from no partition, because aiokafka raises its coordinator's errors only from a read."""
        try:
            with self._translated():
                await self._consumer.getmany(TopicPartition(self.topic, -1), timeout_ms=0)
        except NoOffsetForPartitionError:
            return


@asynccontextmanager
async def open_reader(
    connection: KafkaConnection, settings: ProjectorSettings, read_start_offsets: ReadStartOffsets, monitor: Monitor
) -> AsyncIterator[LogReader]:
    """Joins the group, and leaves it on exit. Raises KafkaUnavailable."""
    reader = LogReader(connection, settings, read_start_offsets, monitor)
    try:
        await reader.start()
        yield reader
    finally:
        await reader.stop()
