"""Reads the state of the log, its fingerprints and its group, apart from the consumer group (I10).

Every question has a timeout, and nothing is kept, so a crash leaves nothing. `state.py` says which answers stop a
projector.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.util import NO_EXTENSIONS
from tenacity import AsyncRetrying, retry_if_exception, retry_if_exception_type, stop_after_delay, wait_fixed

from solve_projector.errors import KafkaUnavailable, LogRewritten, TopicMissing
from solve_projector.log.bounded_fetch import BoundedFetch
from solve_projector.log.group import GroupState, read_group
from solve_projector.log.open_transactions import Holder, holders_of
from solve_projector.log.state import LogState, OpenTransaction, PartitionOffset
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.tasks import shielded
from solve_schemas.topic import TOPIC_SETTINGS

REQUEST_TIMEOUT_MS = 15_000
READ_TIMEOUT_S = 15.0
NEW_TOPIC_TIMEOUT_S = 20.0
FINGERPRINT_FETCH_BYTES = 64 * 1024


class LogInspector:
    """Answers questions about the log. Made by `open_inspector`."""

    def __init__(
        self,
        connection: KafkaConnection,
        consumer: AIOKafkaConsumer,
        uncommitted: AIOKafkaConsumer,
        admin: AIOKafkaAdminClient,
    ) -> None:
        self.topic = connection.topic
        self._connection = connection
        self._consumer = consumer
        self._uncommitted = uncommitted
        self._admin = admin
        self._reading = asyncio.Lock()

    async def state(self) -> LogState:
        """Raises TopicMissing, KafkaUnavailable."""
        with answering(self._connection):
            partitions = await self._partitions()
            tps = [TopicPartition(self.topic, partition) for partition in partitions]
            earliest = await self._consumer.beginning_offsets(tps)
            # the high watermark first: an end below it is then an open transaction, never a record that came between
            high = await self._uncommitted.end_offsets(tps)
            ends = await self._consumer.end_offsets(tps)
            settings = await self._settings()
        return LogState(
            self.topic,
            {tp.partition: at for tp, at in earliest.items()},
            {tp.partition: at for tp, at in ends.items()},
            {tp.partition: max(at, ends[tp]) for tp, at in high.items()},
            settings,
        )

    async def open_transactions(self, state: LogState) -> dict[int, OpenTransaction]:
        """What holds each held partition, and since when. Raises KafkaUnavailable."""
        if not (held := state.held()):
            return {}
        found = await self._read(held, state.high_watermarks, self._uncommitted)
        holders = await holders_of(self._uncommitted._client, self.topic, held)
        return {
            partition: OpenTransaction(partition, offset, timestamp_ms / 1000, *holders.get(partition, Holder()))
            for partition, (offset, timestamp_ms) in found.items()
            if offset == held[partition]
        }

    async def state_of_new_topic(self) -> LogState:
        """Like `state`, but waits until all brokers know the topic and each partition has a leader."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type((TopicMissing, KafkaUnavailable)),
            stop=stop_after_delay(NEW_TOPIC_TIMEOUT_S),
            wait=wait_fixed(0.1),
            reraise=True,
        ):
            with attempt:
                return await self.state()
        raise AssertionError("unreachable: the last attempt raises")

    async def create_topic(self, partitions: int, replication_factor: int) -> bool:
        """Creates the topic with the settings it needs; False if it exists already. Raises KafkaUnavailable."""
        new_topic = NewTopic(self.topic, partitions, 1, topic_configs=dict(TOPIC_SETTINGS))
        new_topic.replication_factor = replication_factor  # its constructor refuses -1, the broker's default
        with answering(self._connection):
            response = await self._admin.create_topics([new_topic])
        for _, code, *detail in response.topic_errors:
            kind = for_code(code)
            if kind is TopicAlreadyExistsError:
                return False
            if code:
                raise KafkaUnavailable(
                    f"the broker refuses to create topic {self.topic}: {detail[0] if detail else kind.__name__}"
                )
        return True

    async def verify(self, offsets: Mapping[int, PartitionOffset], state: LogState) -> None:
        """Compares PostgreSQL's offsets and fingerprints with the log.

        Raises LogRewritten where it is another topic, OffsetOutOfRange where an offset is outside of it, and
        KafkaUnavailable.
        """
        for row in offsets.values():
            state.require_offset(row)
        await self._verify_records(
            {p: (row.last_offset, row.last_timestamp_ms) for p, row in offsets.items() if row.last_offset is not None}
        )
        # a first record that retention deleted is not a rewritten log: see LogState.require_safe
        await self._verify_records(
            {
                p: (row.first_offset, row.first_timestamp_ms)
                for p, row in offsets.items()
                if row.first_offset is not None and state.earliest[p] <= row.first_offset
            }
        )

    async def _verify_records(self, known: Mapping[int, tuple[int | None, int | None]]) -> None:
        found = await self._read({partition: offset for partition, (offset, _) in known.items() if offset is not None})
        for partition, record in known.items():
            if found[partition] != record:
                raise LogRewritten(
                    f"topic {self.topic} partition {partition} is not the log that was applied: PostgreSQL has the "
                    f"record at offset {record[0]} with broker timestamp {record[1]}, the log has "
                    f"{found[partition][0]} with {found[partition][1]}; "
                    "restore the topic, or project the new log into an empty database"
                )

    async def oldest(self, ranges: Mapping[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
        """Offset and broker timestamp of the first record in `[from, to)` of each partition.

        A partition whose range holds none is left out: transaction markers and compaction leave gaps.
        """
        begins = {partition: begin for partition, (begin, end) in ranges.items() if begin < end}
        found = await self._read(begins, {partition: end for partition, (_, end) in ranges.items()})
        return {partition: record for partition, record in found.items() if record[0] < ranges[partition][1]}

    async def group(self, group_id: str) -> GroupState:
        """Members and committed offsets. Raises KafkaUnavailable."""
        with answering(self._connection):
            async with asyncio.timeout(READ_TIMEOUT_S):
                # a new cluster creates the topic of group offsets only when it is first asked for a group
                async for attempt in AsyncRetrying(
                    retry=retry_if_exception(lambda error: isinstance(error, KafkaError) and error.retriable),
                    wait=wait_fixed(0.1),
                ):
                    with attempt:
                        return await read_group(self._admin, group_id, self.topic)
                raise AssertionError("unreachable: it is tried until the timeout")

    async def _read(
        self,
        offsets: Mapping[int, int],
        ends: Mapping[int, int] | None = None,
        consumer: AIOKafkaConsumer | None = None,
    ) -> dict[int, tuple[int, int]]:
        """Offset and broker timestamp of the record at each offset, or of the next record before `ends`."""
        if not offsets:
            return {}
        consumer = consumer or self._consumer
        found: dict[int, tuple[int, int]] = {}
        missing = {TopicPartition(self.topic, partition): offset for partition, offset in offsets.items()}
        with answering(self._connection):
            async with self._reading, asyncio.timeout(READ_TIMEOUT_S):
                try:
                    consumer.assign(list(missing))
                    for tp, offset in missing.items():
                        consumer.seek(tp, offset)
                    while missing:
                        polled = await consumer.getmany(*missing, timeout_ms=200, max_records=1)
                        for tp, records in polled.items():
                            found[tp.partition] = (records[0].offset, records[0].timestamp)
                            del missing[tp]
                        if ends and not polled:
                            missing = {
                                tp: at for tp, at in missing.items()
                                if await consumer.position(tp) < ends[tp.partition]
                            }  # fmt: skip
                finally:
                    consumer.unsubscribe()
        return found

    async def _partitions(self) -> list[int]:
        """Taken from the list of all topics: asking for one by name can make a broker create it."""
        for topic in await self._admin.describe_topics():
            if topic["topic"] == self.topic:
                return sorted(partition["partition"] for partition in topic["partitions"])
        raise TopicMissing(f"topic {self.topic} does not exist; create it with: solve-projector setup")

    async def _settings(self) -> dict[str, str]:
        entries = await describe_settings(self._admin, self.topic, dict.fromkeys(TOPIC_SETTINGS, ""))
        return {entry[0]: entry[1] for entry in entries}


async def describe_settings(
    admin: AIOKafkaAdminClient, topic: str, wanted: Mapping[str, str] | None = None
) -> Sequence[Any]:
    """The settings of a topic as the protocol has them (name, value, read-only, source), by default all of them."""
    (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic, wanted)])
    (resource,) = response.resources
    code, detail, entries = resource[0], resource[1], resource[4]
    if code:
        raise KafkaUnavailable(
            f"cannot read the settings of topic {topic}: {detail or for_code(code).__name__}; "
            "the projector needs DESCRIBE_CONFIGS on the topic"
        )
    return entries  # type: ignore[no-any-return]


@asynccontextmanager
async def open_inspector(connection: KafkaConnection) -> AsyncIterator[LogInspector]:
    """Raises KafkaUnavailable where no broker answers."""
    options = connection.client_options() | {
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        "client_id": "solve-projector-inspector",
    }
    committed, uncommitted = (
        AIOKafkaConsumer(
            **options,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level=level,
            max_partition_fetch_bytes=FINGERPRINT_FETCH_BYTES,
            fetch_max_wait_ms=200,
        )
        for level in ("read_committed", "read_uncommitted")
    )
    for consumer in (committed, uncommitted):
        BoundedFetch(consumer, always_check_each=True)
    admin = AIOKafkaAdminClient(**options)
    try:
        with answering(connection):
            for client in (committed, uncommitted, admin):
                await shielded(client.start())
        yield LogInspector(connection, committed, uncommitted, admin)
    finally:
        await admin.close()
        await uncommitted.stop()
        await committed.stop()


def has_fast_client() -> bool:
    """Whether aiokafka has its C extension; without it, it is six times slower (aiokafka #514)."""
    return not NO_EXTENSIONS


@contextmanager
def answering(connection: KafkaConnection) -> Iterator[None]:
    """Raises KafkaUnavailable for the client's errors."""
    try:
        yield
    except (TimeoutError, KafkaError, OSError) as error:
        no_answer = isinstance(error, KafkaConnectionError)  # its own words are a repr of addresses
        detail = "does not answer" if no_answer else f"answers with: {str(error) or type(error).__name__}"
        where = connection.bootstrap_servers
        raise KafkaUnavailable(f"Kafka at {where} {detail}; {connection.advice()}") from error
