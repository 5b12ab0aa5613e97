"""Loud stops where the log cannot be trusted, and loud warnings where stopping would lose more (I10)."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from solve_projector.errors import (
    KafkaUnavailable,
    LogHeadGone,
    LogRewritten,
    OffsetOutOfRange,
    SchemaMismatch,
    TopicMissing,
    TopicUnsafe,
)
from solve_projector.log.inspection import open_inspector
from solve_projector.operations.setup import provision
from solve_schemas.topic import TOPIC_SETTINGS
from tests.events import registered, solved
from tests.waiting import until
from tests.world import World

EVENTS = [registered("u"), *(solved(str(number), "u", f"p{number}", number) for number in range(20))]
PARTITION = 0


@asynccontextmanager
async def admin_of(world: World) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=world.connection.bootstrap_servers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def set_topic(world: World, **changes: str) -> None:
    settings = dict(TOPIC_SETTINGS) | {name.replace("_", "."): value for name, value in changes.items()}
    async with admin_of(world) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, world.connection.topic, settings)])


async def delete_topic(world: World) -> None:
    async with admin_of(world) as admin:
        await admin.delete_topics([world.connection.topic])

        async def gone() -> bool:
            return world.connection.topic not in await admin.list_topics()

        await until(gone, "the topic to be gone")


async def create_topic(world: World, partitions: int = 3) -> None:
    async with admin_of(world) as admin:
        new = NewTopic(world.connection.topic, partitions, 1, topic_configs=dict(TOPIC_SETTINGS))

        async def created() -> bool:
            response = await admin.create_topics([new])
            return all(error[1] in {0, 36} for error in response.topic_errors)

        await until(created, "the topic to be created")
    async with open_inspector(world.connection) as inspector:
        await inspector.state_of_new_topic()


async def delete_records(world: World, before: int) -> None:
    async with admin_of(world) as admin:
        partition = TopicPartition(world.connection.topic, PARTITION)
        await admin.delete_records({partition: RecordsToDelete(before_offset=before)})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"retention_ms": "3600000"}, "retention.ms=3600000"),
        ({"retention_bytes": "1000000"}, "retention.bytes=1000000"),
        ({"cleanup_policy": "compact"}, "cleanup.policy=compact"),
        ({"message_timestamp_type": "CreateTime"}, "message.timestamp.type=CreateTime"),
    ],
)
async def test_setup_and_a_first_run_refuse_unsafe_settings_and_say_what_to_do(
    world: World, changes: dict[str, str], said: str
) -> None:
    await set_topic(world, **changes)
    with pytest.raises(TopicUnsafe, match=f"{said}.*kafka-configs.sh"):
        await provision(world.connection, world.settings)
    with pytest.raises(TopicUnsafe, match=said):
        await world.run_once()


async def test_a_first_run_refuses_a_log_whose_head_is_gone(world: World) -> None:
    await world.publish(EVENTS, PARTITION)
    await delete_records(world, 5)
    with pytest.raises(LogHeadGone, match="partition 0 begins at offset 5"):
        await world.run_once()
    with pytest.raises(LogHeadGone):
        await provision(world.connection, world.settings)
    assert await world.value("SELECT count(*) FROM users") == 0


@pytest.mark.parametrize("changes", [{"retention_ms": "3600000000"}, {"cleanup_policy": "compact,delete"}])
async def test_a_running_projector_goes_on_loudly_when_retention_becomes_finite(
    world: World, changes: dict[str, str]
) -> None:
    await world.publish(EVENTS, PARTITION)
    async with world.process() as process:
        await world.until_right()
        await set_topic(world, **changes)
        await world.publish([solved("late", "u", "late", 99)])
        await world.until_right()
        reader = process.output  # type: ignore[attr-defined]
        await until(lambda: world.value("SELECT true"), "a turn")
        async with open_inspector(world.connection) as inspector:
            await until(lambda: _unsafe(inspector), "the broker to know")
        await _until_checked(world)
        process.terminate()
        _, log = await reader
        assert process.returncode == 0
    said = [json.loads(line) for line in log.splitlines() if b"log_unsafe" in line]
    assert said, "the log line that says so loudly"
    assert said[0]["level"] == "error"


async def _unsafe(inspector: object) -> bool:
    return bool((await inspector.state()).unsafe_settings())  # type: ignore[attr-defined]


async def _until_checked(world: World) -> None:
    """Two more rounds of the log check are over once two more published events were counted after one each."""
    for number in range(4):
        await world.publish([solved(f"round {number}", "u", f"round {number}", 100 + number)])
        await world.until_right()
        async with open_inspector(world.connection) as inspector:
            await inspector.state()


async def test_a_missing_topic_is_a_named_error(world: World) -> None:
    await delete_topic(world)
    with pytest.raises(TopicMissing, match="solve-projector setup"):
        await world.run_once()


async def test_a_deleted_topic_stops_a_running_projector(world: World) -> None:
    await world.publish(EVENTS, PARTITION)
    async with world.process() as process:
        await world.until_right()
        await delete_topic(world)
        _, log = await process.output  # type: ignore[attr-defined]
    assert process.returncode == 1
    assert b"does not exist" in log or b"is gone" in log


async def test_a_shorter_topic_of_the_same_name_is_refused(world: World) -> None:
    await world.publish(EVENTS, PARTITION)
    await world.run_once()
    await delete_topic(world)
    await create_topic(world)
    with pytest.raises(OffsetOutOfRange, match="ends at offset 0, but PostgreSQL has applied it up to 21"):
        await world.run_once()
    assert await world.value("SELECT problems_solved FROM users") == 20


@pytest.mark.parametrize("more", [0, 7])
async def test_a_topic_refilled_to_the_same_length_or_more_is_refused(world: World, more: int) -> None:
    await world.publish(EVENTS, PARTITION)
    await world.run_once()
    await delete_topic(world)
    await create_topic(world)
    others = [registered("v"), *(solved(f"other {number}", "v", f"q{number}", number) for number in range(20 + more))]
    await world.publish(others, PARTITION)
    with pytest.raises(LogRewritten, match="is not the log that was applied"):
        await world.run_once()
    assert await world.value("SELECT count(*) FROM users") == 1


async def test_a_topic_recreated_with_fewer_partitions_is_refused(world: World) -> None:
    for partition in range(3):
        await world.publish(EVENTS, partition)
    await world.run_once()
    await delete_topic(world)
    await create_topic(world, partitions=1)
    await world.publish([*EVENTS, *EVENTS], PARTITION)
    with pytest.raises((LogRewritten, OffsetOutOfRange)):
        await world.run_once()


async def test_records_deleted_before_they_were_applied_are_a_named_error(world: World) -> None:
    await world.publish(EVENTS, PARTITION)
    await world.run_once()
    await world.publish([solved("lost", "u", "lost", 50), solved("kept", "u", "kept", 51)], PARTITION)
    await delete_records(world, 22)
    with pytest.raises(OffsetOutOfRange, match="begins at offset 22, but PostgreSQL needs 21"):
        await world.run_once()


async def test_a_head_deleted_after_it_was_applied_does_not_lose_the_tail(world: World) -> None:
    await world.publish(EVENTS, PARTITION)
    await world.run_once()
    await delete_records(world, 10)
    await world.publish([solved("tail", "u", "tail", 50)], PARTITION)
    await world.run_once()
    assert await world.differences() == []


async def test_a_recreated_topic_stops_a_running_projector(world: World) -> None:
    await world.publish(EVENTS, PARTITION)
    async with world.process() as process:
        await world.until_right()
        await delete_topic(world)
        await create_topic(world)
        _, log = await process.output  # type: ignore[attr-defined]
    assert process.returncode == 1
    assert b"the log" in log or b"recreated" in log or b"does not exist" in log
    assert await world.value("SELECT problems_solved FROM users") == 20


async def test_setup_is_idempotent_and_safe_twice_at_once(world: World) -> None:
    import asyncio

    fresh = world.connection.model_copy(update={"topic": world.connection.topic + "-fresh"})
    settings = world.settings.model_copy(update={"database_schema": "fresh"})
    done = await asyncio.gather(*(provision(fresh, settings, 5) for _ in range(3)))
    assert [one.partitions for one in done] == [5, 5, 5]
    assert sum(one.topic_created for one in done) == 1


async def test_a_run_without_tables_says_to_run_setup(world: World) -> None:
    with pytest.raises(SchemaMismatch, match="solve-projector setup"):
        await world.run_once(database_schema="nothing_here")


async def test_no_broker_is_a_named_error(world: World) -> None:
    nowhere = world.connection.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})
    with pytest.raises(KafkaUnavailable, match="KAFKA_BOOTSTRAP_SERVERS"):
        await provision(nowhere, world.settings)
