"""Reads back what a test's topic holds."""

import json
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.waiting import until
from tests.world import World


async def records_of(world: World) -> list[dict[str, Any]]:
    """Every event of the topic as its JSON, in the order of the broker's timestamps."""
    topic = world.connection.topic
    consumer = AIOKafkaConsumer(bootstrap_servers=world.connection.bootstrap_servers)
    await consumer.start()
    try:
        numbers = await until(lambda: partitions_of(consumer, topic), "the topic's partitions")
        places = [TopicPartition(topic, number) for number in numbers]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        found = []
        for place in places:
            consumer.seek(place, 0)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                found += batch
    finally:
        await consumer.stop()
    return [json.loads(record.value) for record in sorted(found, key=lambda record: record.timestamp)]


async def partitions_of(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    """The topic's partitions."""
    return set((await consumer._client.fetch_all_metadata()).partitions_for_topic(topic) or ())
