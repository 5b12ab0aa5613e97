"""Reads ranges of partitions from end to end, apart from the consumer group. Commits nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from time import monotonic

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CorruptRecordException, OffsetOutOfRangeError

from solve_projector.errors import KafkaUnavailable, OffsetOutOfRange
from solve_projector.log.bounded_fetch import FETCH_OPTIONS, BoundedFetch
from solve_projector.log.inspection import answering
from solve_runtime.kafka_settings import KafkaConnection

POLL_MS = 200
RECORDS_AT_ONCE = 5_000
# An unavailable broker is waited for this long, then the replay ends; running it again costs only time.
PATIENCE_S = 60.0


class LogScan:
    """A Kafka client that reads given ranges. Made by `open_scan`."""

    def __init__(self, connection: KafkaConnection, consumer: AIOKafkaConsumer) -> None:
        self._connection = connection
        self.topic = connection.topic
        self._consumer = consumer
        self._fetch = BoundedFetch(consumer)
        self._next: dict[TopicPartition, int] = {}

    async def read(self, ranges: Mapping[int, tuple[int, int]]) -> AsyncIterator[list[ConsumerRecord]]:
        """The records of `[from, to)` of each partition, in log order per partition, some thousands at a time.

        Raises OffsetOutOfRange, and KafkaUnavailable where nothing came for a minute.
        """
        left = {TopicPartition(self.topic, p): to for p, (begin, to) in ranges.items() if to > begin}
        if not left:
            return
        self._consumer.assign(list(left))
        self._next = {tp: ranges[tp.partition][0] for tp in left}
        self._seek(left)
        progressed_at = monotonic()
        while left:
            moved = False
            for tp, records in (await self._poll(left)).items():
                moved = True
                to = left[tp]
                self._next[tp] = records[-1].offset + 1
                yield records if records[-1].offset < to else [one for one in records if one.offset < to]
            for tp in [tp for tp, to in left.items() if await self._position(tp) >= to]:
                moved = True
                del left[tp]
                self._consumer.pause(tp)
            if moved:
                progressed_at = monotonic()
            elif monotonic() - progressed_at > PATIENCE_S:
                at = ", ".join([f"offset {await self._position(tp)} of partition {tp.partition}" for tp in left])
                raise KafkaUnavailable(
                    f"topic {self.topic}: no record arrived for {PATIENCE_S:.0f} s although there are more after {at}; "
                    "check the brokers, and look for a transaction that was left open; then run this again"
                )

    async def _poll(self, left: Mapping[TopicPartition, int]) -> dict[TopicPartition, list[ConsumerRecord]]:
        with answering(self._connection):
            try:
                found: dict[TopicPartition, list[ConsumerRecord]] = await self._consumer.getmany(
                    *left, timeout_ms=POLL_MS, max_records=RECORDS_AT_ONCE
                )
            except OffsetOutOfRangeError as error:
                raise OffsetOutOfRange(
                    f"topic {self.topic} lacks records of partition {' or '.join(str(tp.partition) for tp in left)}: "
                    "it was recreated, or records were deleted; restore it, or publish the history again to a new topic"
                ) from error
            except (UnicodeDecodeError, CorruptRecordException):  # what the client had read is lost with it
                self._fetch.check_records()
                self._seek(left)
                return {}
        return found

    def _seek(self, tps: Iterable[TopicPartition]) -> None:
        for tp in tps:
            self._consumer.seek(tp, self._next[tp])

    async def _position(self, tp: TopicPartition) -> int:
        return int(await self._consumer.position(tp))


@asynccontextmanager
async def open_scan(connection: KafkaConnection) -> AsyncIterator[LogScan]:
    """Raises KafkaUnavailable where no broker answers."""
    consumer = AIOKafkaConsumer(
        **connection.client_options(),
        client_id="solve-projector-replay",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        **FETCH_OPTIONS,
    )
    try:
        scan = LogScan(connection, consumer)
        with answering(connection):
            await consumer.start()
            await asyncio.sleep(0)  # if a task of the client is cancelled before its first step, `stop` raises that
        yield scan
    finally:
        await consumer.stop()
