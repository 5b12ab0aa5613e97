"""The client's counters in the registry of the judge that embeds it."""

from collections.abc import AsyncIterator, Iterator

import pytest
from prometheus_client import CollectorRegistry

from solve_producer.client import SolveProducer
from solve_producer.errors import RecordTooLarge
from solve_schemas.events import Event
from solve_schemas.record import EncodedRecord, encode
from tests.asking import Series, by_labels, series_of
from tests.events import registered, revoked, solved
from tests.world import World

EVENTS = [registered("u"), *(solved(f"{number}", "u", f"p{number}") for number in range(8)), revoked("1", "u", "p1", 9)]


def sent(series: Series) -> dict[tuple[str, ...], float]:
    """Events by error type and topic."""
    return by_labels(series, "messaging_client_sent_messages_total")


async def test_what_the_broker_has_is_counted_by_type(world: World) -> None:
    registry = CollectorRegistry()
    topic = world.connection.topic
    async with SolveProducer(world.connection, registry=registry) as producer:
        await producer.publish(EVENTS)
        await producer.send(solved("late", "u", "p"))
    series = series_of(registry)
    assert sent(series) == {("", topic, "kafka"): 11}
    assert by_labels(series, "solve_producer_events_total") == {
        ("user.registered.v1",): 1,
        ("submission.solved.v1",): 9,
        ("submission.revoked.v1",): 1,
    }
    calls = by_labels(series, "messaging_client_operation_duration_seconds_count")
    assert calls == {(topic, "send", "kafka"): 2}


async def test_producers_of_one_registry_count_together(world: World) -> None:
    registry = CollectorRegistry()
    async with (
        SolveProducer(world.connection, registry=registry) as one,
        SolveProducer(world.connection, registry=registry) as other,
    ):
        await one.send(EVENTS[0])
        await other.publish(EVENTS[1:])
    assert sum(sent(series_of(registry)).values()) == len(EVENTS)


async def test_a_judge_without_a_registry_has_nothing_counted(world: World) -> None:
    async with SolveProducer(world.connection) as producer:
        assert await producer.publish(EVENTS) == len(EVENTS)
        assert producer._metrics is None


async def test_a_refusal_is_counted_by_its_error(world: World) -> None:
    registry = CollectorRegistry()
    topic = world.connection.topic

    async def records() -> AsyncIterator[EncodedRecord]:
        yield EncodedRecord(b"u", b"x" * 2_000_000, [("ce_type", b"submission.unheard-of.v9")])

    async with SolveProducer(world.connection, registry=registry) as producer:
        with pytest.raises(RecordTooLarge):
            await producer.publish_records(records())
    assert sent(series_of(registry)) == {("RecordTooLarge", topic, "kafka"): 1}


async def test_an_iterable_that_fails_leaves_its_events_uncertain(world: World) -> None:
    registry = CollectorRegistry()
    topic = world.connection.topic

    def events() -> Iterator[Event]:
        yield EVENTS[0]
        raise LookupError("the judge's own")

    async with SolveProducer(world.connection, registry=registry) as producer:
        with pytest.raises(LookupError):
            await producer.publish(events())
    assert sent(series_of(registry)) == {("LookupError", topic, "kafka"): 1}


async def test_a_type_nobody_knows_does_not_make_the_series_grow(world: World) -> None:
    registry = CollectorRegistry()
    good = encode(EVENTS[1])

    async def records() -> AsyncIterator[EncodedRecord]:
        for number in range(20):
            yield EncodedRecord(good.key, good.value, [("ce_type", f"type {number}".encode())])
        yield EncodedRecord(good.key, good.value, [])

    async with SolveProducer(world.connection, registry=registry) as producer:
        await producer.publish_records(records())
    assert by_labels(series_of(registry), "solve_producer_events_total") == {("unknown",): 21}
