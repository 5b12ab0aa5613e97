"""A copy of the log without the names of erased users: the same counts, whatever stops it (I7, I13)."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from solve_producer.demo.simulation import Season, simulate
from solve_projector.domain.nameless_copy import Content
from solve_projector.errors import CopyRefused, SettingsError
from solve_projector.log.copying import SET_OF_THE_TOPIC, LogCopy
from solve_projector.log.inspection import describe_settings, open_inspector
from solve_projector.log.scan import open_scan
from solve_projector.operations import copy_log as module
from solve_projector.operations.copy_log import CopyReport, copy_log
from solve_projector.replay.replaying import ReplayOptions, replay
from solve_schemas.events import UserRegistered
from solve_schemas.topic import TOPIC_SETTINGS
from tests.events import BEGIN, at, registered, removed, solved
from tests.world import World

NAME = "Ada Lovelace"
TABLES = (
    "SELECT user_id, username, registered_at, listed, removed, problems_solved, last_solved_at FROM users ORDER BY 1",
    "SELECT * FROM user_removals ORDER BY 1",
    "SELECT * FROM solves ORDER BY 1, 2",
    "SELECT user_id, submission_id, judged_at FROM verdicts ORDER BY 1, 2",
    "SELECT user_id, submission_id FROM parked_events ORDER BY 1, 2",
    "SELECT count(*) FROM dead_letters",
)


def target(world: World) -> World:
    """The world that reads the copy."""
    return replace(world, connection=world.connection.model_copy(update={"topic": f"{world.connection.topic}-copy"}))


async def copied(world: World) -> CopyReport:
    return await copy_log(world.connection, target(world).connection.topic, lambda *_: None)


async def records(world: World) -> dict[int, list[Any]]:
    """By partition."""
    async with open_inspector(world.connection) as inspector, open_scan(world.connection) as scan:
        ends = (await inspector.state()).ends
        found: dict[int, list[Any]] = {partition: [] for partition in ends}
        async for some in scan.read({partition: (0, end) for partition, end in ends.items()}):
            found[some[0].partition] += some
    return found


async def tables(world: World) -> list[list[Any]]:
    return [await world.fetch(query) for query in TABLES]


async def send(world: World, value: bytes, *headers: tuple[str, bytes | None], key: bytes = b"k") -> None:
    async with world.raw_producer() as producer:
        await producer.send_and_wait(world.connection.topic, value, key=key, headers=list(headers))


async def publish_names(world: World) -> None:
    """Names of one who is erased, in every kind of record that can hold one; and of others."""
    await world.publish(simulate(Season(start=BEGIN, users=20, problems=20, events=300, seed=5)))
    await world.publish([registered("ada", username=NAME), solved("1", "ada", "p", 1), solved("2", "ada", "q", 2)])
    await world.publish([registered("ada", 2, f"{NAME} again", listed=False), removed("ada", 3, "asked", erase=True)])
    event = {"user_id": "ada", "username": NAME, "registered_at": at(1).isoformat(), "nickname": NAME}
    typed = ("ce_type", b"user.registered.v1")
    await send(world, json.dumps(event).encode(), typed, ("ce_subject", NAME.encode()), key=NAME.encode())
    await send(world, json.dumps(event | {"registered_at": "yesterday"}).encode(), typed, key=b"ada")
    await world.publish([registered("back", username="old name"), removed("back", 1, erase=True)])
    await world.publish(
        [registered("back", 2, "new name"), removed("eve", 1), registered("eve", username="name of eve")]
    )
    await send(world, b"", ("ce_type", None), key=b"")
    await send(world, b'{"user_id": "eve", "username": "name of eve", "judged_at": "never"}')
    await send(world, json.dumps({**json.loads(late()), "judged_at": "2999-01-01T00:00:00Z"}).encode())


def late() -> str:
    return solved("late", "eve", "p", 1).model_dump_json(exclude_none=True)


async def test_the_copy_has_the_same_counts_and_no_erased_name(world: World) -> None:
    await publish_names(world)
    await world.run_once()
    before, original = await tables(world), await records(world)
    report = await copied(world)
    assert (report.names_left_out, report.dead_letters_blanked, report.users_erased) == (4, 1, 2)
    assert report.records.total() == report.copied == sum(map(len, original.values()))
    found = await records(target(world))
    for partition, some in original.items():
        assert [one.timestamp for one in found[partition]] == [one.timestamp for one in some]
        same = [one for one, copy in zip(some, found[partition], strict=True) if contents(one) == contents(copy)]
        assert len(some) - len(same) in range(6)
    everything = str([contents(one) for some in found.values() for one in some])
    assert NAME not in everything
    assert "old name" not in everything
    assert "new name" in everything
    assert everything.count("name of eve") == 2
    async with world.database() as connection:
        await connection.execute(
            "TRUNCATE users, user_removals, verdicts, solves, parked_events, dead_letters, partition_offsets"
        )
    assert (await replay(target(world).connection, world.settings, ReplayOptions(), lambda *_: None)).cold
    assert await tables(world) == before


def contents(record: Any) -> Content:
    return Content(record.timestamp, record.key, record.value, tuple(record.headers))


async def test_a_copy_that_is_stopped_goes_on_and_one_that_is_complete_gets_what_came_since(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish_names(world)
    monkeypatch.setattr(module, "WRITTEN_AT_ONCE", 10)
    write, written = LogCopy.write, 0

    async def stopped(self: LogCopy, partition: int, some: Iterable[Content]) -> None:
        nonlocal written
        some = list(some)
        written += len(some)
        await write(self, partition, some)
        if written > 100:
            raise KeyboardInterrupt

    with monkeypatch.context() as stopping:
        stopping.setattr(LogCopy, "write", stopped)
        with pytest.raises(KeyboardInterrupt):
            await copied(world)
    async with open_inspector(target(world).connection) as inspector:
        assert (await inspector.state()).unsafe_settings() == {"message.timestamp.type": "CreateTime"}
    report = await copied(world)
    assert report.found == written
    assert report.found + report.copied == report.records.total()
    await world.publish([solved("3", "ada", "r", 9), UserRegistered(user_id="site", registered_at=at(1))])
    again = await copied(world)
    assert (again.found, again.copied) == (report.records.total(), 2)
    async with open_inspector(target(world).connection) as inspector:
        (await inspector.state()).require_safe()
    await world.publish([removed("eve", 9, erase=True)])
    with pytest.raises(CopyRefused, match="somebody was erased since"):
        await copied(world)


async def test_a_topic_that_is_no_copy_is_left_as_it_is(world: World) -> None:
    await world.publish([registered("a")])
    with pytest.raises(SettingsError, match="is the log itself"):
        await copy_log(world.connection, world.connection.topic, lambda *_: None)
    await copied(world)
    await send(target(world), b"somebody else's", key=b"a")
    before = await records(target(world))
    with pytest.raises(CopyRefused, match="is not empty, and no beginning of this copy"):
        await copied(world)
    assert await records(target(world)) == before
    async with open_inspector(target(world).connection) as inspector:
        (await inspector.state()).require_safe()


async def test_a_topic_made_beforehand_keeps_its_other_settings(world: World) -> None:
    await world.publish([registered("a")])
    to = target(world).connection
    admin = AIOKafkaAdminClient(**to.client_options())
    await admin.start()
    try:
        settings = {"min.insync.replicas": "1", "segment.bytes": "2000000", "retention.ms": "1000"}
        await admin.create_topics([NewTopic(to.topic, len(await records(world)), 1, topic_configs=settings)])
        await copied(world)
        entries = await describe_settings(admin, to.topic)
    finally:
        await admin.close()
    found = {entry[0]: entry[1] for entry in entries if entry[3] == SET_OF_THE_TOPIC}
    assert found == settings | TOPIC_SETTINGS


async def test_the_command_says_what_it_left_out(world: World) -> None:
    await world.publish([registered("ada", username=NAME), removed("ada", 1, erase=True)])
    async with world.process("copy-log", "--to", target(world).connection.topic, "--json") as process:
        out, err = await process.output  # type: ignore[attr-defined]
    assert process.returncode == 0, err.decode()
    said = json.loads(out)
    assert (said["copied"], said["names_left_out"], said["success"]) == (2, 1, True)
    assert said["records"] == {"registrations": 1, "removals": 1}
