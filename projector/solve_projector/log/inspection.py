"""Is this topic a log that can prove the counts, and is it still the one that the offsets belong to? (I10)

aiokafka sees no topic id, so PostgreSQL keeps a fingerprint for each partition: offset and broker timestamp of
the log's first record and of the last one applied. The records found there now must be the same.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.util import NO_EXTENSIONS
from tenacity import AsyncRetrying, retry_if_exception, retry_if_exception_type, stop_after_delay, wait_fixed

from solve_projector.errors import (
    KafkaUnavailable,
    LogHeadGone,
    LogRewritten,
    OffsetOutOfRange,
    TopicMissing,
    TopicUnsafe,
)
from solve_projector.log.group import GroupState, read_group
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.tasks import uncut
from solve_schemas.topic import TOPIC_SETTINGS

REQUEST_TIMEOUT_MS = 15_000
READ_TIMEOUT_S = 15.0
NEW_TOPIC_TIMEOUT_S = 20.0
FINGERPRINT_FETCH_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Progress:
    """One row of `partition_offsets`: how far, and the fingerprint (None before the first record)."""

    partition: int
    next_offset: int
    first_offset: int | None = None
    first_timestamp_ms: int | None = None
    last_offset: int | None = None
    last_timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True)
class LogState:
    """What the brokers say of the topic: per partition its earliest offset and its end, and its settings."""

    topic: str
    earliest: Mapping[int, int]
    ends: Mapping[int, int]
    settings: Mapping[str, str]

    def unsafe_settings(self) -> dict[str, str]:
        """Those settings that do not let the log prove the counts, as they are."""
        return {
            name: self.settings.get(name, "")
            for name, safe in TOPIC_SETTINGS.items()
            if self.settings.get(name) != safe
        }

    def require_safe(self) -> None:
        """Raises TopicUnsafe, or LogHeadGone where the beginning was deleted already; for a setup or first run."""
        if unsafe := self.unsafe_settings():
            said = ", ".join(f"{name}={value}" for name, value in unsafe.items())
            wanted = ",".join(f"{name}={TOPIC_SETTINGS[name]}" for name in unsafe)
            raise TopicUnsafe(
                f"topic {self.topic} has {said}, so it cannot prove the counts; set it with: "
                f"kafka-configs.sh --alter --entity-type topics --entity-name {self.topic} --add-config {wanted}"
            )
        if gone := {partition: offset for partition, offset in self.earliest.items() if offset > 0}:
            partition, offset = min(gone.items())
            raise LogHeadGone(
                f"topic {self.topic} partition {partition} begins at offset {offset}: what came before was deleted, "
                "and counts from the rest would be wrong; publish the history again to a new topic and set SOLVE_TOPIC"
            )


class LogInspector:
    """Answers questions about the log, apart from the consumer group. Made by `open_inspector`."""

    def __init__(self, connection: KafkaConnection, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
        self.topic = connection.topic
        self._connection = connection
        self._consumer = consumer
        self._admin = admin
        self._reading = asyncio.Lock()

    async def state(self) -> LogState:
        """Raises TopicMissing, KafkaUnavailable."""
        try:
            partitions = await self._partitions()
            tps = [TopicPartition(self.topic, partition) for partition in partitions]
            earliest = await self._consumer.beginning_offsets(tps)
            ends = await self._consumer.end_offsets(tps)
            settings = await self._settings()
        except (TimeoutError, KafkaError, OSError) as error:
            raise unavailable(self._connection, error) from error
        return LogState(
            self.topic,
            {tp.partition: at for tp, at in earliest.items()},
            {tp.partition: at for tp, at in ends.items()},
            settings,
        )

    async def state_of_new_topic(self) -> LogState:
        """Like `state`, but waits until the brokers have heard of the topic and given it leaders."""
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
        """Creates the log with the settings it needs; False where it exists already. Raises KafkaUnavailable."""
        new_topic = NewTopic(self.topic, partitions, 1, topic_configs=dict(TOPIC_SETTINGS))
        new_topic.replication_factor = replication_factor  # its constructor refuses -1, the broker's default
        try:
            response = await self._admin.create_topics([new_topic])
        except (TimeoutError, KafkaError, OSError) as error:
            raise unavailable(self._connection, error) from error
        for _, code, *said in response.topic_errors:
            kind = for_code(code)
            if kind is TopicAlreadyExistsError:
                return False
            if code:
                raise KafkaUnavailable(
                    f"the broker refuses to create topic {self.topic}: {said[0] if said else kind.__name__}"
                )
        return True

    async def verify(self, progress: Mapping[int, Progress], state: LogState) -> None:
        """Compares the fingerprints with the log.

        Raises LogRewritten where the topic is another one, OffsetOutOfRange where PostgreSQL's offset is outside of
        it, and KafkaUnavailable.
        """
        for partition, row in progress.items():
            self._verify_range(row, state, partition)
        await self._verify_records(
            {p: (row.last_offset, row.last_timestamp_ms) for p, row in progress.items() if row.last_offset is not None}
        )
        # a head that retention deleted is another matter than a rewritten one: see LogState.require_safe
        await self._verify_records(
            {
                p: (row.first_offset, row.first_timestamp_ms)
                for p, row in progress.items()
                if row.first_offset is not None and state.earliest[p] <= row.first_offset
            }
        )

    def _verify_range(self, row: Progress, state: LogState, partition: int) -> None:
        earliest, end = state.earliest.get(partition), state.ends.get(partition)
        where = f"topic {self.topic} partition {partition}"
        if earliest is None or end is None:
            raise LogRewritten(
                f"{where} is gone though PostgreSQL has applied it up to offset {row.next_offset}: the topic was "
                "recreated with fewer partitions; restore it, or project the new log into an empty database"
            )
        if end < row.next_offset:
            raise OffsetOutOfRange(
                f"{where} ends at offset {end} but PostgreSQL has applied it up to {row.next_offset}: the topic was "
                "recreated or records were lost; restore it, or project the new log into an empty database"
            )
        if earliest > row.next_offset:
            raise OffsetOutOfRange(
                f"{where} begins at offset {earliest} but PostgreSQL needs {row.next_offset} next: the records between "
                "were deleted before they were applied; restore them, or publish the history again to a new topic"
            )

    async def _verify_records(self, marks: Mapping[int, tuple[int | None, int | None]]) -> None:
        found = await self._read({partition: offset for partition, (offset, _) in marks.items() if offset is not None})
        for partition, mark in marks.items():
            if found[partition] != mark:
                raise LogRewritten(
                    f"topic {self.topic} partition {partition} is not the log that was applied: PostgreSQL remembers "
                    f"the record at offset {mark[0]} with broker timestamp {mark[1]}, the log has {found[partition]}; "
                    "restore the topic, or project the new log into an empty database"
                )

    async def oldest(self, ranges: Mapping[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
        """Offset and broker timestamp of the first record in `[from, to)` of each partition.

        A partition whose range holds none is left out: transaction markers and compaction leave gaps.
        """
        begins = {partition: begin for partition, (begin, end) in ranges.items() if begin < end}
        found = await self._read(begins, {partition: end for partition, (_, end) in ranges.items()})
        return {partition: mark for partition, mark in found.items() if mark[0] < ranges[partition][1]}

    async def group(self, group_id: str) -> GroupState:
        """What the group's coordinator says. Raises KafkaUnavailable."""
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                # asked for the first group of its life, a cluster only begins to make the topic of offsets
                async for attempt in AsyncRetrying(
                    retry=retry_if_exception(lambda error: isinstance(error, KafkaError) and error.retriable),
                    wait=wait_fixed(0.1),
                ):
                    with attempt:
                        return await read_group(self._admin, group_id, self.topic)
                raise AssertionError("unreachable: it is tried until the timeout")
        except (TimeoutError, KafkaError, OSError) as error:
            raise unavailable(self._connection, error) from error

    async def _read(
        self, offsets: Mapping[int, int], ends: Mapping[int, int] | None = None
    ) -> dict[int, tuple[int, int]]:
        """Offset and broker timestamp of the record at each offset, or of the next one there is before `ends`."""
        if not offsets:
            return {}
        found: dict[int, tuple[int, int]] = {}
        missing = {TopicPartition(self.topic, partition): offset for partition, offset in offsets.items()}
        async with self._reading:
            try:
                async with asyncio.timeout(READ_TIMEOUT_S):
                    self._consumer.assign(list(missing))
                    for tp, offset in missing.items():
                        self._consumer.seek(tp, offset)
                    while missing:
                        polled = await self._consumer.getmany(*missing, timeout_ms=200, max_records=1)
                        for tp, records in polled.items():
                            found[tp.partition] = (records[0].offset, records[0].timestamp)
                            del missing[tp]
                        if ends and not polled:
                            missing = await self._before(missing, ends)
            except (TimeoutError, KafkaError, OSError) as error:
                raise unavailable(self._connection, error) from error
            finally:
                self._consumer.unsubscribe()
        return found

    async def _before(self, tps: Mapping[TopicPartition, int], ends: Mapping[int, int]) -> dict[TopicPartition, int]:
        """Those of the partitions that were not yet read up to their end."""
        return {tp: at for tp, at in tps.items() if await self._consumer.position(tp) < ends[tp.partition]}

    async def _partitions(self) -> list[int]:
        """From the list of all topics: asking for one by name could make a broker create it."""
        for topic in await self._admin.describe_topics():
            if topic["topic"] == self.topic:
                return sorted(partition["partition"] for partition in topic["partitions"])
        raise TopicMissing(f"topic {self.topic} does not exist; create it with: solve-projector setup")

    async def _settings(self) -> dict[str, str]:
        wanted = dict.fromkeys(TOPIC_SETTINGS, "")
        (response,) = await self._admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, self.topic, wanted)])
        (resource,) = response.resources
        code, said, entries = resource[0], resource[1], resource[4]
        if code:
            raise KafkaUnavailable(
                f"cannot read the settings of topic {self.topic}: {said or for_code(code).__name__}; "
                "the projector needs DESCRIBE_CONFIGS on the topic"
            )
        return {entry[0]: entry[1] for entry in entries}


@asynccontextmanager
async def open_inspector(connection: KafkaConnection) -> AsyncIterator[LogInspector]:
    """Raises KafkaUnavailable where no broker answers."""
    options = connection.client_options() | {
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        "client_id": "solve-projector-inspector",
    }
    consumer = AIOKafkaConsumer(
        **options,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        max_partition_fetch_bytes=FINGERPRINT_FETCH_BYTES,
        fetch_max_wait_ms=200,
    )
    admin = AIOKafkaAdminClient(**options)
    try:
        try:
            await uncut(consumer.start())
            await uncut(admin.start())
        except (TimeoutError, KafkaError, OSError) as error:
            raise unavailable(connection, error) from error
        yield LogInspector(connection, consumer, admin)
    finally:
        await admin.close()
        await consumer.stop()


def has_fast_client() -> bool:
    """Whether aiokafka has its C extension, without which it is six times slower (aiokafka #514)."""
    return not NO_EXTENSIONS


def unavailable(connection: KafkaConnection, error: BaseException) -> KafkaUnavailable:
    """The client's error as ours."""
    said = str(error) or type(error).__name__
    return KafkaUnavailable(f"Kafka at {connection.bootstrap_servers}: {said}; {connection.advice()}")
