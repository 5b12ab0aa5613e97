"""Writes a copy of the log to another topic: partition by partition, in order, with the broker's timestamps.

Until it is complete, the copy takes the timestamps that it is given (CreateTime), which no projector accepts. Then it
becomes a log like any other. A crash leaves a beginning, with which the next run goes on.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from solve_projector.domain.nameless_copy import Content
from solve_projector.errors import KafkaUnavailable
from solve_projector.log.inspection import answering, describe_settings
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.tasks import shielded
from solve_schemas.topic import MESSAGE_MAX_BYTES, TOPIC_SETTINGS

TIMESTAMP_TYPE = "message.timestamp.type"
SET_OF_THE_TOPIC = 1  # where a setting comes from, in the protocol: DYNAMIC_TOPIC_CONFIG


class LogCopy:
    """A topic that becomes a copy. Made by `open_copy`."""

    def __init__(
        self, connection: KafkaConnection, producer: AIOKafkaProducer, admin: AIOKafkaAdminClient, max_bytes: str
    ) -> None:
        self.topic = connection.topic
        self._connection = connection
        self._producer = producer
        self._admin = admin
        self._settings = {**TOPIC_SETTINGS, "max.message.bytes": max_bytes}

    async def begin(self, partitions: int) -> None:
        """Creates the topic, or opens one that is there to timestamps from outside. Raises KafkaUnavailable."""
        new_topic = NewTopic(self.topic, partitions, 1, topic_configs=self._settings | {TIMESTAMP_TYPE: "CreateTime"})
        new_topic.replication_factor = -1
        with answering(self._connection):
            response = await self._admin.create_topics([new_topic])
        ((_, code, *detail),) = response.topic_errors
        if for_code(code) is TopicAlreadyExistsError:
            await self._alter("CreateTime")
        elif code:
            self._refused(f"create topic {self.topic}", code, *detail)

    async def finish(self) -> None:
        """Makes it a log: from now on the broker stamps its records. Raises KafkaUnavailable."""
        await self._alter(TOPIC_SETTINGS[TIMESTAMP_TYPE])

    async def write(self, partition: int, records: Iterable[Content]) -> None:
        """Returns once the brokers have the records, in this order. Raises KafkaUnavailable."""
        with answering(self._connection):
            sent = [
                await self._producer.send(
                    self.topic,
                    one.value,
                    one.key,
                    partition,
                    one.timestamp,
                    [(name, content) for name, content in one.headers],
                )
                for one in records
            ]
            await asyncio.gather(*sent)

    async def _alter(self, timestamp_type: str) -> None:
        with answering(self._connection):
            # the client has no request that alters some and keeps the others
            entries = await describe_settings(self._admin, self.topic)
            set_before = {entry[0]: entry[1] for entry in entries if entry[3] == SET_OF_THE_TOPIC}
            wanted = set_before | self._settings | {TIMESTAMP_TYPE: timestamp_type}
            (response,) = await self._admin.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, self.topic, wanted)]
            )
        ((code, *detail),) = response.resources
        if code:
            self._refused(f"change the settings of topic {self.topic}", code, *detail)

    def _refused(self, what: str, code: int, *detail: object) -> None:
        why = detail[0] if detail and detail[0] else for_code(code).__name__
        raise KafkaUnavailable(f"the broker refuses to {what}: {why}; it takes CREATE and ALTER_CONFIGS on the topic")


@asynccontextmanager
async def open_copy(connection: KafkaConnection, settings: Mapping[str, str]) -> AsyncIterator[LogCopy]:
    """`connection` names the new topic, `settings` are those of the log. Raises KafkaUnavailable."""
    options = connection.client_options() | {"client_id": "solve-projector-copy"}
    # what a retry sends again arrives once, and in order
    producer = AIOKafkaProducer(**options, enable_idempotence=True, max_request_size=MESSAGE_MAX_BYTES, linger_ms=5)
    admin = AIOKafkaAdminClient(**options)
    try:
        with answering(connection):
            for client in (producer, admin):
                await shielded(client.start())
        yield LogCopy(connection, producer, admin, settings["max.message.bytes"])
    finally:
        await admin.close()
        await producer.stop()
