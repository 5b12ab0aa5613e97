"""Reads back single records of a log."""

from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from solve_runtime.kafka_settings import KafkaConnection


class Found(NamedTuple):
    """A record."""

    key: str
    value: bytes
    headers: dict[str, str]
    partition: int
    offset: int


async def records_in(connection: KafkaConnection) -> list[Found]:
    """Every record of the log, by partition and offset."""
    consumer = AIOKafkaConsumer(bootstrap_servers=connection.bootstrap_servers)
    await consumer.start()
    found: list[Found] = []
    try:
        numbers = (await consumer._client.fetch_all_metadata()).partitions_for_topic(connection.topic)
        places = [TopicPartition(connection.topic, number) for number in sorted(numbers)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place in places:
            consumer.seek(place, 0)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                found += [
                    Found(
                        one.key.decode(), one.value, {name: content.decode() for name, content in one.headers},
                        one.partition, one.offset,
                    )
                    for one in batch
                ]  # fmt: skip
    finally:
        await consumer.stop()
    return sorted(found, key=lambda one: (one.partition, one.offset))


async def record_at(connection: KafkaConnection, place: dict[str, Any]) -> Found:
    """The record at the place that an answer names."""
    (found,) = [
        one
        for one in await records_in(connection)
        if (one.partition, one.offset) == (place["partition"], place["offset"])
    ]
    return found
