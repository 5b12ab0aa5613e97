"""Bounds what the records of one fetch take in memory, before the Kafka client decompresses them.

The client has no place for this, so its `send` is wrapped: each fetch's batches are looked at in a thread, and
rewritten by `record_batches` where that is needed.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.protocol.fetch import FetchRequest

from solve_projector.log.record_batches import RECORD_MAX_BYTES, bounded, next_offset

# The client keeps one fetch of each assigned partition; all of them decompress to this much at most, or to a megabyte
# each if they are more than 64.
FETCH_MAX_BYTES = 64 * 1024 * 1024
PARTITION_MAX_BYTES = 8 * 1024 * 1024
# On the wire. A broker gives one batch more than this; its own `max.message.bytes` bounds that.
FETCH_OPTIONS = {"fetch_max_bytes": 16 * 1024 * 1024, "max_partition_fetch_bytes": RECORD_MAX_BYTES}

_Place = tuple[str, int]


class BoundedFetch:
    """Stands between a consumer, which is not started yet, and its connections."""

    def __init__(self, consumer: AIOKafkaConsumer, *, always_check_each: bool = False) -> None:
        """With `always_check_each` no header's name can stop the consumer, at the cost of reading all in Python."""
        self._always = always_check_each
        self._consumer = consumer
        self._client = consumer._client
        self._send = self._client.send
        self._client.send = self._bounded_send
        self._fetched: dict[_Place, int] = {}
        self._check_each_until: dict[_Place, int] = {}

    def check_records(self) -> None:
        """What was fetched has a header name that is no UTF-8: look at all of it again when it is fetched again."""
        self._check_each_until = dict(self._fetched)

    async def _bounded_send(self, node_id: Any, request: Any, **options: Any) -> Any:
        response = await self._send(node_id, request, **options)
        if isinstance(request, FetchRequest) and any(one[-1] for _, some in response.topics for one in some):
            offsets = {(topic, partition): offset for topic, some in request.topics for partition, offset, *_ in some}
            response.topics = await asyncio.to_thread(self._bounded_topics, response.topics, offsets)
        return response

    def _bounded_topics(self, topics: Any, offsets: Mapping[_Place, int]) -> list[tuple[str, list[tuple[Any, ...]]]]:
        assigned = max(len(offsets), len(self._consumer.assignment()))
        max_bytes = max(RECORD_MAX_BYTES, min(PARTITION_MAX_BYTES, FETCH_MAX_BYTES // assigned))
        return [
            (topic, [self._bounded_partition((topic, one[0]), one, offsets, max_bytes) for one in some])
            for topic, some in topics
        ]

    def _bounded_partition(
        self, place: _Place, answer: tuple[Any, ...], offsets: Mapping[_Place, int], max_bytes: int
    ) -> tuple[Any, ...]:
        data = answer[-1]
        if not data or place not in offsets:
            return answer
        begin = offsets[place]
        check_each = self._always or begin < self._check_each_until.get(place, -1)
        records = bounded(bytes(data), begin, max_bytes, check_each=check_each)
        self._fetched[place] = next_offset(records) or begin
        return (*answer[:-1], records)
