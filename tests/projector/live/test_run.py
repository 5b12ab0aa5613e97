"""Events that become counts, from the broker to both stores (I4, I5, I9, I11)."""

import asyncio
import json
import random

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from solve_producer.demo.simulation import Season, bad_records, simulate
from solve_projector.errors import LeaderboardUnavailable
from solve_schemas.events import SubmissionSolved
from solve_schemas.record import encode
from solve_schemas.rejection import Reason
from solve_sources.clics import conversion as clics
from tests.events import BEGIN, at, registered, revoked, solved
from tests.waiting import until
from tests.world import World

SEASON = Season(start=BEGIN, users=60, problems=40, events=3_000, seed=3)


async def test_a_season_is_counted_and_ranked(world: World) -> None:
    await world.publish(simulate(SEASON))
    totals = await world.run_once()
    assert totals.records == 3_000
    assert await world.differences() == []
    assert await world.value("SELECT count(*) FROM parked_events") == len(world.model().parked) > 0


async def test_a_second_run_finds_nothing_to_do(world: World) -> None:
    await world.publish(simulate(SEASON))
    await world.run_once()
    assert (await world.run_once()).records == 0
    assert await world.differences() == []


async def test_publishing_everything_again_in_another_order_changes_nothing(world: World) -> None:
    events = list(simulate(SEASON))
    await world.publish(events)
    await world.run_once()
    before = await world.fetch("SELECT * FROM users ORDER BY user_id")
    random.Random(1).shuffle(events)
    await world.publish(events)
    await world.run_once()
    assert await world.fetch("SELECT * FROM users ORDER BY user_id") == before
    assert await world.differences() == []


async def test_the_world_finals_come_out_as_the_scoreboard_says(world: World, wf47) -> None:  # type: ignore[no-untyped-def]
    with (wf47 / "event-feed.ndjson").open("rb") as feed:
        conversion = clics.convert(feed, "wf47")
    events = conversion.events * 3
    random.Random(47).shuffle(events)
    await world.publish(events)
    async with world.process() as process:
        await until(
            lambda: world.value("SELECT sum(next_offset) > 300 FROM partition_offsets"), "a third to be projected"
        )
        process.kill()
    await world.run_once()
    rows = json.loads((wf47 / "scoreboard.json").read_text())["rows"]
    board = {
        f"wf47_finals:{row['team_id']}": sum(1 for one in row["problems"] if one["solved"] and one["time"] < 240)
        for row in rows
    }
    counts = dict(await world.fetch("SELECT user_id, problems_solved FROM users"))
    assert counts == board
    assert sum(counts.values()) == 519
    assert await world.differences() == []


async def test_nothing_of_another_form_counts_with_the_wrong_sign(world: World) -> None:
    solve, retract = solved("s", "u", "p", 1), revoked("s", "u", "p", 2)
    flat, later = encode(solve).value, encode(retract).value
    records: list[tuple[bytes, list[tuple[str, bytes]]]] = [
        (flat, []),
        (later, [("CE_Type", b"submission.revoked.v1")]),
        (encode(solved("t", "u", "q", 1)).value, [("eventType", b"submission.solved.v1")]),
        (json.dumps(json.loads(flat) | {"problem_id": "r", "verdict": "WRONG_ANSWER"}).encode(), []),
        (json.dumps({"schema": {}, "payload": json.loads(flat)}).encode(), []),
        (b"\0\0\0\0\7" + flat, [("ce_type", b"submission.solved.v1")]),
    ]
    structured = {
        "specversion": "1.0",
        "type": "submission.solved.v1",
        "data": json.loads(encode(solved("v", "v", "p", 1)).value),
    }
    records.append((json.dumps(structured).encode(), [("content-type", b"application/cloudevents+json")]))
    await world.publish([registered("u"), registered("v")])
    async with world.raw_producer() as producer:
        for value, headers in records:
            await producer.send_and_wait(world.connection.topic, value, key=b"u", headers=headers)
    await world.run_once()
    assert dict(await world.fetch("SELECT user_id, problems_solved FROM users")) == {"u": 0, "v": 1}
    reasons = [reason for (reason,) in await world.fetch('SELECT reason FROM dead_letters ORDER BY "offset"')]
    assert reasons == [Reason.UNKNOWN_TYPE, Reason.TYPE_MISMATCH, Reason.FOREIGN_FORMAT, Reason.FOREIGN_FORMAT]


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
async def test_every_codec_is_read(world: World, codec: str | None) -> None:
    events = [registered("u"), *(solved(str(number), "u", f"p{number}", number) for number in range(50))]
    async with world.raw_producer(compression_type=codec) as producer:
        for event in events:
            record = encode(event)
            await producer.send(world.connection.topic, record.value, key=record.key, headers=record.headers)
    await world.run_once()
    assert await world.differences(events) == []


async def test_a_plain_producer_needs_no_headers_and_no_key(world: World) -> None:
    await world.publish([registered("u")])
    line = b'{"submission_id":"1","user_id":"u","problem_id":"p","judged_at":"2026-01-01T00:00:01Z"}'
    async with world.raw_producer() as producer:
        await producer.send_and_wait(world.connection.topic, line)
        await producer.send_and_wait(world.connection.topic, line.replace(b'"p"', b'"q"'), key=b"somebody else")
    totals = await world.run_once()
    assert await world.value("SELECT problems_solved FROM users") == 2
    assert totals.mis_keyed == 2


async def test_transaction_markers_and_aborted_records_move_the_offset(world: World) -> None:
    topic = world.connection.topic
    async with world.raw_producer(transactional_id=topic) as producer:
        async with producer.transaction():
            for event in (registered("u"), solved("1", "u", "p", 1)):
                await producer.send(topic, encode(event).value, headers=encode(event).headers, partition=0)
        await producer.begin_transaction()
        await producer.send_and_wait(topic, encode(solved("2", "u", "q", 2)).value, partition=0)
        await producer.abort_transaction()
    await world.run_once()
    assert await world.value("SELECT problems_solved FROM users") == 1
    # two records, a marker, an aborted record, a marker
    assert await world.value("SELECT next_offset FROM partition_offsets WHERE partition = 0") == 5


async def test_each_poison_record_is_a_dead_letter_and_its_neighbours_are_applied(world: World) -> None:
    topic = world.connection.topic
    poison = [record for _, record in zip(range(13), bad_records(SEASON), strict=False)]
    reasons = [
        Reason.NOT_JSON, Reason.NOT_JSON, Reason.INVALID_EVENT, Reason.INVALID_EVENT, Reason.INVALID_EVENT,
        Reason.INVALID_EVENT, Reason.INVALID_EVENT, Reason.NOT_JSON, Reason.INVALID_EVENT, Reason.TIME_OUT_OF_RANGE,
        Reason.TIME_OUT_OF_RANGE, Reason.TIME_OUT_OF_RANGE, Reason.UNKNOWN_TYPE, Reason.TOMBSTONE,
    ]  # fmt: skip
    good = [registered("u"), *(solved(str(number), "u", f"p{number}", number) for number in range(14))]
    async with world.raw_producer() as producer:
        await producer.send(topic, encode(good[0]).value, headers=encode(good[0]).headers, partition=0)
        for record, event in zip(poison, good[1:14], strict=True):
            await producer.send(topic, record.value, key=record.key, headers=record.headers, partition=0)
            await producer.send(topic, encode(event).value, headers=encode(event).headers, partition=0)
        await producer.send(topic, None, key=b"u", partition=0)
        await producer.send(topic, encode(good[14]).value, headers=encode(good[14]).headers, partition=0)
    await world.run_once()
    letters = await world.fetch('SELECT * FROM dead_letters ORDER BY "offset"')
    assert [letter["reason"] for letter in letters] == [reason.value for reason in reasons]
    assert [letter["offset"] for letter in letters] == list(range(1, 28, 2))
    assert [letter["value"] for letter in letters[:13]] == [record.value for record in poison]
    assert letters[13]["value"] is None
    assert all(letter["broker_timestamp_ms"] > 0 and letter["detail"] for letter in letters)
    names = dict(zip(letters[0]["header_names"], letters[0]["header_values"], strict=True))
    assert names["ce_type"] == SubmissionSolved.type_name.encode()
    assert await world.differences(good) == []


async def test_a_record_that_postgresql_refuses_is_found_by_halving(world: World) -> None:
    async with world.database() as connection:
        await connection.execute("ALTER TABLE verdicts ADD CHECK (submission_id <> 'refused')")
    good = [registered("u"), *(solved(str(number), "u", f"p{number}", number) for number in range(200))]
    await world.publish([*good[:90], solved("refused", "u", "x", 1), *good[90:], solved("refused", "u", "y", 1)], 1)
    await world.run_once()
    letters = await world.fetch('SELECT * FROM dead_letters ORDER BY "offset"')
    assert [(letter["offset"], letter["reason"]) for letter in letters] == [
        (90, Reason.REFUSED_BY_DATABASE.value),
        (202, Reason.REFUSED_BY_DATABASE.value),
    ]
    assert "verdicts_submission_id_check" in letters[0]["detail"]
    assert await world.differences(good) == []


async def test_a_batch_that_takes_too_long_is_halved_until_it_does_not(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A trigger plays the slow disk: 30 rows would take 1.5 seconds, and a batch may take one."""
    async with world.database() as connection:
        await connection.execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql "
            "AS 'BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END';"
            "CREATE TRIGGER slow BEFORE INSERT ON verdicts FOR EACH ROW EXECUTE FUNCTION slow()"
        )
    await world.publish([registered("u"), *(solved(str(number), "u", f"p{number}", number) for number in range(30))])
    await world.run_once(transaction_timeout_ms=1_000)
    assert "SOLVE_TRANSACTION_TIMEOUT_MS" in capsys.readouterr().out
    assert await world.differences() == []


async def test_a_refused_parked_event_costs_neither_the_registration_nor_its_neighbours(world: World) -> None:
    async with world.database() as connection:
        await connection.execute("ALTER TABLE verdicts ADD CHECK (submission_id <> 'refused')")
    good = [solved("1", "u", "p", 1), solved("2", "u", "q", 2)]
    await world.publish([*good, solved("refused", "u", "x", 1)])
    await world.run_once()
    await world.publish([registered("u", 5)])
    await world.run_once()
    (letter,) = await world.fetch("SELECT * FROM dead_letters")
    assert json.loads(letter["value"])["submission_id"] == "refused"
    assert await world.differences([*good, registered("u", 5)]) == []


async def test_a_large_batch_is_cut_into_transactions_by_bytes(world: World) -> None:
    await world.publish([registered("u"), *(solved(str(number), "u", f"p{number}") for number in range(300))])
    totals = await world.run_once(batch_max_bytes=2_048)
    assert totals.batches > 20
    assert await world.differences() == []


async def test_an_unknown_user_is_seen_and_counted_once_registered(world: World) -> None:
    await world.publish([solved("1", "u", "p", 1)])
    totals = await world.run_once()
    assert totals.parked == 1
    assert await world.value("SELECT user_id FROM parked_events") == "u"
    await world.publish([registered("u", 9)])
    await world.run_once()
    assert await world.differences() == []
    assert await world.board() != {}


async def test_the_running_sweep_counts_users_whom_the_site_inserts(world: World) -> None:
    await world.publish([solved("1", "u", "p", 1)])
    async with world.running():
        await until(lambda: world.value("SELECT count(*) FROM parked_events"))
        async with world.database() as connection:
            await connection.execute("INSERT INTO users (user_id, username) VALUES ('u', 'from the site')")
        await until(lambda: world.value("SELECT problems_solved FROM users"))
        await until(world.board, "the swept user on the board")


async def test_two_users_may_share_a_name_and_one_may_change_it(world: World) -> None:
    await world.publish([registered("u", 0, "twin"), registered("v", 0, "twin"), registered("v", 5, "other")])
    await world.publish([solved("1", "u", "p"), solved("2", "v", "p"), revoked("2", "v", "p", 3)])
    await world.run_once()
    assert await world.differences() == []


async def test_partitions_added_to_the_live_topic_are_projected(world: World) -> None:
    """Then a user's events are in two partitions, with no order between them."""
    users = [f"user {number}" for number in range(40)]
    await world.publish([*map(registered, users), *(solved(f"a{user}", user, "p", 1) for user in users)])
    async with world.running():
        await until(lambda: world.value("SELECT count(*) = 40 FROM users WHERE problems_solved = 1"))
        admin = AIOKafkaAdminClient(bootstrap_servers=world.connection.bootstrap_servers)
        await admin.start()
        await admin.create_partitions({world.connection.topic: NewPartitions(total_count=6)})
        await admin.close()
        await world.publish(
            [
                *(solved(f"b{user}", user, "q", 2) for user in users),
                *(revoked(f"a{user}", user, "p", 3) for user in users[:9]),
            ]
        )
        await world.until_right()
    assert await world.value("SELECT count(*) FROM partition_offsets") == 6


async def test_kafkas_group_offsets_follow_postgresql_and_resetting_them_changes_nothing(world: World) -> None:
    await world.publish(simulate(SEASON))
    await world.run_once()
    partitions = [TopicPartition(world.connection.topic, number) for number in range(3)]

    async def committed(change_to: int | None = None) -> list[int | None]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=world.connection.bootstrap_servers,
            group_id=world.settings.group_id,
            enable_auto_commit=False,
        )
        await consumer.start()
        consumer.assign(partitions)
        if change_to is not None:
            await consumer.commit(dict.fromkeys(partitions, change_to))
        found = [await consumer.committed(partition) for partition in partitions]
        await consumer.stop()
        return found

    truth = [row[0] for row in await world.fetch("SELECT next_offset FROM partition_offsets ORDER BY partition")]
    assert await committed() == truth
    for moved in (0, 10_000_000):
        await committed(change_to=moved)
        assert (await world.run_once()).records == 0
        assert await committed() == truth
    assert await world.differences() == []


async def test_once_ends_when_somebody_else_projected_the_log(world: World) -> None:
    await world.publish(simulate(SEASON))
    async with world.running():
        await until(lambda: world.value("SELECT sum(next_offset) > 0 FROM partition_offsets"))
        await world.run_once()
        assert await world.differences() == []


async def test_once_says_that_postgresql_is_right_if_redis_is_unavailable(world: World) -> None:
    from pydantic import SecretStr

    await world.publish([registered("u"), solved("1", "u", "p", at(1).second)])
    with pytest.raises(LeaderboardUnavailable, match="PostgreSQL is right"):
        await world.run_once(redis_url=SecretStr("redis://127.0.0.1:1/0"))
    assert await world.value("SELECT problems_solved FROM users") == 1


async def test_two_projectors_share_the_partitions(world: World) -> None:
    events = list(simulate(SEASON))
    async with world.running(), world.running():
        for begin in range(0, len(events), 300):
            await world.publish(events[begin : begin + 300])
            await asyncio.sleep(0)
        await world.until_right()
    assert await world.value("SELECT sum(next_offset) FROM partition_offsets") == len(events)


async def test_a_database_shared_with_a_site_has_our_tables_in_a_schema_of_their_own(world: World) -> None:
    from solve_projector.errors import SchemaMismatch
    from solve_projector.store.migrate import migrate

    async with world.database() as connection:
        await connection.execute("CREATE SCHEMA shared; CREATE TABLE shared.users (id int)")
    with pytest.raises(SchemaMismatch, match="already has a table users that is not ours"):
        await migrate(world.settings.model_copy(update={"database_schema": "shared"}))
    await migrate(world.settings.model_copy(update={"database_schema": "solves"}))
    await world.publish([registered("u"), solved("1", "u", "p")])
    await world.run_once(database_schema="solves")
    assert await world.value("SELECT problems_solved FROM solves.users") == 1
    assert await world.value("SELECT count(*) FROM public.users") == 0
    assert isinstance(connection, asyncpg.Connection)
