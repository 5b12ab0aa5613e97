"""Asks the brokers who left a transaction open (KIP-664): requests that aiokafka lacks, built from its own classes.

A transaction that holds a partition is seen without them, from the log's two ends. They only add a name, so whatever
goes wrong here (an older broker, a missing permission, no answer) leaves the name unknown.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

import structlog
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

NAME_TIMEOUT_S = 5.0
TEXT, TAGS = CompactString("utf-8"), ("tags", TaggedFields)

log = structlog.get_logger()


class DescribeProducersResponse(Response):  # type: ignore[misc] # aiokafka is untyped
    API_KEY, API_VERSION = 61, 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("topics", CompactArray(
            ("name", TEXT),
            ("partitions", CompactArray(
                ("partition", Int32), ("error_code", Int16), ("error_message", TEXT),
                ("producers", CompactArray(
                    ("producer_id", Int64), ("producer_epoch", Int32), ("last_sequence", Int32),
                    ("last_timestamp", Int64), ("coordinator_epoch", Int32), ("transaction_start", Int64), TAGS,
                )),
                TAGS,
            )),
            TAGS,
        )),
        TAGS,
    )  # fmt: skip


class DescribeProducersStruct(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION, FLEXIBLE_VERSION, RESPONSE_TYPE = 61, 0, True, DescribeProducersResponse
    SCHEMA = Schema(("topics", CompactArray(("name", TEXT), ("partitions", CompactArray(Int32)), TAGS)), TAGS)


class DescribeProducers(Request[DescribeProducersStruct]):  # type: ignore[misc]
    """Asks a partition's leader for its producers; needs READ on the topic."""

    API_KEY = 61

    def __init__(self, topic: str, partitions: list[int]) -> None:
        self._asked: list[Any] = [(topic, partitions, {})]

    def build(self, request_struct_class: Any) -> Any:
        """In the version that the broker knows."""
        return request_struct_class(self._asked, {})


class ListTransactionsResponse(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 66, 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32), ("error_code", Int16), ("unknown_states", CompactArray(TEXT)),
        ("transactions", CompactArray(("transactional_id", TEXT), ("producer_id", Int64), ("state", TEXT), TAGS)),
        TAGS,
    )  # fmt: skip


class ListTransactionsStruct(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION, FLEXIBLE_VERSION, RESPONSE_TYPE = 66, 0, True, ListTransactionsResponse
    SCHEMA = Schema(("states", CompactArray(TEXT)), ("producer_ids", CompactArray(Int64)), TAGS)


class ListTransactions(Request[ListTransactionsStruct]):  # type: ignore[misc]
    """Asks a coordinator for the transactions of producers; it leaves out ids without a permission to DESCRIBE."""

    API_KEY = 66

    def __init__(self, producer_ids: list[int]) -> None:
        self._producer_ids = producer_ids

    def build(self, request_struct_class: Any) -> Any:
        """In the version that the broker knows."""
        return request_struct_class([], self._producer_ids, {})


class Holder(NamedTuple):
    """Who holds a partition, as far as the brokers say."""

    producer_id: int | None = None
    transactional_id: str | None = None


async def holders_of(client: AIOKafkaClient, topic: str, firsts: Mapping[int, int]) -> dict[int, Holder]:
    """Who has a transaction open from the given offset of each partition on; nobody where no broker would say."""
    found: dict[int, Holder] = {}
    try:
        async with asyncio.timeout(NAME_TIMEOUT_S):
            for partition, offset in firsts.items():
                if (producer_id := await _producer_of(client, topic, partition, offset)) is not None:
                    found[partition] = Holder(producer_id)
            names = await _names_of(
                client, sorted({one.producer_id for one in found.values() if one.producer_id is not None})
            )
            found = {p: one._replace(transactional_id=names.get(one.producer_id)) for p, one in found.items()}
    # old brokers do not know the request, others refuse it: the transaction is then reported without a name
    except (TimeoutError, KafkaError, OSError, NotImplementedError, ValueError) as error:
        log.debug("the brokers do not name an open transaction", action="transaction_unnamed", error=repr(error))
    return found


async def _producer_of(client: AIOKafkaClient, topic: str, partition: int, offset: int) -> int | None:
    leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
    if leader is None or leader < 0:
        return None
    response = await client.send(leader, DescribeProducers(topic, [partition]))
    for _, partitions, _ in response.topics:
        for _, _, _, producers, _ in partitions:
            for producer_id, _, _, _, _, first, _ in producers:
                if first == offset:
                    return int(producer_id)
    return None


async def _names_of(client: AIOKafkaClient, producer_ids: list[int]) -> dict[int | None, str]:
    if not producer_ids:
        return {}
    names: dict[int | None, str] = {}
    for broker in client.cluster.brokers():
        response = await client.send(broker.nodeId, ListTransactions(producer_ids))
        names |= {producer_id: name for name, producer_id, _, _ in response.transactions}
    return names
