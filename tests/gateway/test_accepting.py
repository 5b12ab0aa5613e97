"""The events of one request: some are published at a time, in order, and none after one that Kafka did not take."""

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from solve_gateway.accepting import PUBLISHED_AT_ONCE, Accepting, Read
from solve_gateway.outcomes import Outcome, Refusal
from solve_gateway.publishing import UNCONFIRMED, Publisher
from solve_gateway.telemetry import GatewayMetrics
from solve_producer.client import SolveProducer
from solve_producer.deliveries import Place
from solve_runtime.http.problem import Problem
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.record import EncodedRecord, encode
from tests.asking import by_labels, series_of
from tests.conftest import make_topic
from tests.events import registered

BAD = Refusal(400, "invalid-event", "`user_id` is missing")


class Kafka:
    """Takes what it is given until it has had enough."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.refusal = UNCONFIRMED
        self.given: list[str] = []
        self.at_once: list[int] = []

    async def publish(self, records: Sequence[EncodedRecord], token: str) -> list[Outcome]:
        self.at_once.append(len(records))
        self.given += [record.key.decode() for record in records]
        taken = min(self.takes, len(records))
        self.takes -= taken
        return [*(Place(0, at) for at in range(taken)), *[self.refusal] * (len(records) - taken)]


async def events(number: int) -> AsyncIterator[Read]:
    for one in range(number):
        yield BAD if one == 2 else encode(registered(f"u-{one}"))


async def test_nothing_overtakes_an_event_that_was_not_taken() -> None:
    kafka, metrics = Kafka(takes=PUBLISHED_AT_ONCE + 10), GatewayMetrics()
    accepting = Accepting(kafka, metrics, "judge", 10_000)
    number = 3 * PUBLISHED_AT_ONCE
    await accepting.take_all(events(number))
    assert kafka.at_once == [PUBLISHED_AT_ONCE, PUBLISHED_AT_ONCE]
    assert kafka.given == [f"u-{one}" for one in range(2 * PUBLISHED_AT_ONCE + 1) if one != 2]
    accepted = [index for index, one in enumerate(accepting.outcomes) if not isinstance(one, Refusal)]
    assert accepted == [one for one in range(PUBLISHED_AT_ONCE + 11) if one != 2]
    assert accepting.outcomes[2] == BAD
    assert set(accepting.outcomes[PUBLISHED_AT_ONCE + 11 :]) == {UNCONFIRMED}
    counted = by_labels(series_of(metrics.registry), "solve_gateway_events_total")
    assert counted == {("invalid-event", "judge"): 1, ("not-confirmed", "judge"): number - 2 * PUBLISHED_AT_ONCE - 1}


async def test_too_many_events_are_refused_once_those_before_are_published() -> None:
    kafka = Kafka(takes=10_000)
    accepting = Accepting(kafka, GatewayMetrics(), "judge", 7)
    with pytest.raises(Problem, match="7 events"):
        await accepting.take_all(events(8))
    assert len(kafka.given) == 6
    assert len(accepting.outcomes) == 7


async def test_any_refusal_of_kafka_ends_what_is_published() -> None:
    """Also one with a status of the client, after which a later event would overtake it."""
    refused, kafka = Refusal(413, "too-large", "x"), Kafka(takes=0)
    kafka.refusal = refused
    accepting = Accepting(kafka, GatewayMetrics(), "judge", 10_000)
    await accepting.take_all(events(2 * PUBLISHED_AT_ONCE))
    assert kafka.at_once == [PUBLISHED_AT_ONCE]
    assert set(accepting.outcomes) == {BAD, refused}


async def test_events_of_a_batch_that_is_too_large_are_to_be_sent_again(servers: Mapping[str, str]) -> None:
    connection = KafkaConnection(
        bootstrap_servers=servers["KAFKA_BOOTSTRAP_SERVERS"], topic=f"judge-events-{uuid.uuid4().hex[:12]}"
    )
    await make_topic(connection)
    client = AIOKafkaAdminClient(bootstrap_servers=connection.bootstrap_servers)
    await client.start()
    try:
        limit = {"max.message.bytes": "2000"}
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, connection.topic, limit)])
    finally:
        await client.close()
    records = [encode(registered(uuid.uuid4().hex, username=uuid.uuid4().hex)) for _ in range(500)]
    async with SolveProducer(connection) as producer:
        outcomes = await Publisher(producer, GatewayMetrics()).publish(records, "judge")
        assert {one for one in outcomes if isinstance(one, Refusal)} == {UNCONFIRMED}
        (alone,) = await Publisher(producer, GatewayMetrics()).publish(records[:1], "judge")
        assert isinstance(alone, Place)  # the client goes on
