"""The connection to the brokers: what a judge learns, and when, while Kafka is unavailable, frozen or wrong."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from devstack import Stack
from devstack.ports import free_port
from solve_producer import BrokerUnreachable, DeliveryUncertain, ProducerError, SolveProducer, TopicMissing
from solve_producer.client import event_of
from solve_projector.operations.setup import provision
from solve_runtime.errors import SolveCountsError
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.events import Event, UserRegistered
from tests.events import at, registered, solved
from tests.producer.topics import records_of
from tests.waiting import until
from tests.world import World

TIMEOUT_S = 2.0


def many(number: int) -> Iterator[Event]:
    return (solved(str(one), f"u{one}", "p") for one in range(number))


@pytest.fixture
def frozen(breakable: World, stack: Stack) -> Iterator[Stack]:
    """Kafka, which the test freezes; it goes on afterwards."""
    yield stack
    stack.kafka.resume()


@pytest.mark.parametrize("events", [1, 500, 30_000])
async def test_a_call_ends_within_its_timeout_when_kafka_freezes(breakable: World, frozen: Stack, events: int) -> None:
    async with SolveProducer(breakable.connection, delivery_timeout_s=TIMEOUT_S) as producer:
        await producer.send(registered("u"))
        frozen.kafka.pause()
        async with asyncio.timeout(TIMEOUT_S + 1):
            with pytest.raises(DeliveryUncertain, match=r"confirmed 0 events.*Send them again: the same event counts"):
                await producer.publish(many(events))
        async with asyncio.timeout(TIMEOUT_S + 1):
            with pytest.raises(BrokerUnreachable, match="check KAFKA_BOOTSTRAP_SERVERS and the brokers, then send"):
                await producer.publish(many(events))
        async with asyncio.timeout(TIMEOUT_S + 1):
            await producer.stop()


async def test_a_stop_ends_within_the_timeout_while_calls_wait_for_a_frozen_kafka(
    breakable: World, frozen: Stack
) -> None:
    producer = SolveProducer(breakable.connection, delivery_timeout_s=TIMEOUT_S)
    await producer.start()
    await producer.send(registered("u"))
    frozen.kafka.pause()
    calls = [asyncio.create_task(producer.send(event)) for event in many(3)]
    await asyncio.sleep(0)
    async with asyncio.timeout(TIMEOUT_S + 1):
        await producer.stop()
        ended = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(error) for error in ended} <= {DeliveryUncertain}


async def test_a_producer_started_while_kafka_is_frozen_ends_its_calls_in_time_too(
    breakable: World, frozen: Stack
) -> None:
    frozen.kafka.pause()
    async with asyncio.timeout(TIMEOUT_S + 1):
        async with SolveProducer(breakable.connection, delivery_timeout_s=TIMEOUT_S) as producer:
            with pytest.raises(BrokerUnreachable):
                await producer.send(registered("u"))


async def test_after_the_freeze_the_same_producer_goes_on_and_nothing_counts_twice(
    breakable: World, frozen: Stack
) -> None:
    some = [registered("u"), solved("1", "u", "p")]
    async with SolveProducer(breakable.connection, delivery_timeout_s=TIMEOUT_S) as producer:
        await producer.send(some[0])
        frozen.kafka.pause()
        with pytest.raises(DeliveryUncertain):
            await producer.send(some[1])
        frozen.kafka.resume()

        async def sent() -> bool:
            try:
                await producer.send(some[1])
            except ProducerError:
                return False
            return True

        await until(sent)
    await breakable.run_once()
    assert await breakable.differences(some) == []


async def test_a_judge_starts_without_kafka_and_publishes_once_it_is_there(breakable: World, stack: Stack) -> None:
    stack.kafka.kill()
    async with SolveProducer(breakable.connection, delivery_timeout_s=60) as producer:
        call = asyncio.create_task(producer.publish(many(3)))
        await asyncio.to_thread(stack.kafka.start)
        assert await call == 3
    assert len(await records_of(breakable)) == 3


async def test_the_first_call_says_that_no_broker_answers_and_what_to_check() -> None:
    where = f"127.0.0.1:{free_port()}"
    async with SolveProducer(bootstrap_servers=where, delivery_timeout_s=0.5) as producer:
        for _ in range(2):
            with pytest.raises(BrokerUnreachable) as caught:
                await producer.send(registered("u"))
            assert str(caught.value) == (
                f"no Kafka broker answers at {where}; check KAFKA_BOOTSTRAP_SERVERS and the brokers, then send again"
            )


async def test_connect_waits_for_one_attempt_only(world: World) -> None:
    """A program that would rather not start learns of it at once, long before the timeout."""
    async with SolveProducer(bootstrap_servers=f"127.0.0.1:{free_port()}", delivery_timeout_s=300) as producer:
        with pytest.raises(BrokerUnreachable):
            await producer.connect()
    async with SolveProducer(world.connection) as producer:
        await producer.connect()


async def test_a_missing_topic_is_named_at_once_and_found_once_it_is_made(world: World) -> None:
    missing = world.connection.model_copy(update={"topic": f"{world.connection.topic}-later"})
    async with SolveProducer(missing, delivery_timeout_s=300) as producer:
        with pytest.raises(TopicMissing, match=r"later does not exist at .*create it with: solve-projector setup"):
            await producer.send(registered("u"))
        await provision(missing, world.settings, 1)

        async def sent() -> bool:
            try:
                await producer.send(registered("u"))
            except TopicMissing:
                return False
            return True

        await until(sent)


async def test_an_error_of_the_judges_own_iterable_is_not_taken_for_kafkas(world: World) -> None:
    def broken() -> Iterator[Event]:
        yield registered("u")
        raise TimeoutError("the judge's own database")

    async def broken_too() -> AsyncIterator[Event]:
        yield registered("u")
        raise OSError("the judge's own disk")

    async with SolveProducer(world.connection) as producer:
        client = producer._brokers and producer._brokers.client
        with pytest.raises(TimeoutError, match="own database"):
            await producer.publish(broken())
        with pytest.raises(OSError, match="own disk"):
            await producer.publish(broken_too())
        await producer.send(registered("u"))
        assert client is None or (producer._brokers and producer._brokers.client is client)


async def test_a_slow_iterable_takes_no_time_from_its_events(world: World) -> None:
    """It waits for longer than the timeout before each event."""

    async def slow() -> AsyncIterator[Event]:
        for number in range(2):
            await asyncio.sleep(1.5)
            yield event_of(UserRegistered, user_id=number, username="n", registered_at=at(0))

    async with SolveProducer(world.connection, delivery_timeout_s=1) as producer:
        await producer.connect()
        assert await producer.publish(slow()) == 2


def test_a_certificate_that_cannot_be_read_is_named_when_it_starts() -> None:
    changes = {"security_protocol": "SSL", "ssl_cafile": Path("/nowhere/ca.pem")}
    with pytest.raises(SolveCountsError, match="KAFKA_SSL_CAFILE"):
        asyncio.run(
            SolveProducer(KafkaConnection().model_copy(update=changes)).start()
        )  # it was there when it was read
