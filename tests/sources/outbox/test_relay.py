"""The guarantees of the relay, on PostgreSQL and on MariaDB: the judge's own table is the oracle."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from solve_producer.client import SolveProducer
from solve_producer.errors import RecordTooLarge
from solve_sources.errors import OutboxBusy, SourceUnusable
from solve_sources.outbox import mysql, postgresql
from solve_sources.outbox.relay import _each, open_outbox
from solve_sources.outbox.table import Refused
from tests.events import registered, solved
from tests.producer.topics import records_of
from tests.sources.commands import counts
from tests.sources.outbox.judges import Judge, row_of
from tests.sources.outbox.relaying import relay_once, relaying, settings_of
from tests.waiting import until
from tests.world import World

INSERT = "INSERT INTO solve_outbox (aggregateid, type, payload) VALUES ('u', '{}', '{}')"
STATES = "SELECT state, reason FROM solve_outbox ORDER BY seq"


class Gated:
    """A producer that publishes once its gate is open."""

    def __init__(self, producer: SolveProducer) -> None:
        self._producer = producer
        self.asked, self.gate = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    async def publish_records(self, records: Any) -> int:
        self.asked.set()
        await self.gate.wait()
        return await self._producer.publish_records(records)


async def test_every_committed_verdict_counts_once_and_its_row_is_gone(world: World, judge: Judge) -> None:
    await judge.register("ada", "bob")
    await judge.judge("ada", 0, 40)
    await judge.judge("bob", 100, 40)
    done = await relay_once(world, judge)
    assert done.published > 60
    assert await judge.run("SELECT count(*) FROM solve_outbox") == [(0,)]
    assert await counts(world) == await judge.counts()
    assert (await relay_once(world, judge)).published == 0


async def test_rows_may_be_kept_and_are_published_once(world: World, judge: Judge) -> None:
    await judge.register("ada")
    assert (await relay_once(world, judge, keep=True)).published == 1
    assert await judge.run(STATES) == [("published", None)]
    assert (await relay_once(world, judge, keep=True)).published == 0


async def test_a_row_that_is_committed_late_is_not_skipped(world: World, judge: Judge) -> None:
    await judge.register("ada")
    async with judge.session() as run:
        await run(row_of(solved("1", "ada", "p1", 1)))  # has the smaller number
        await judge.add(solved("2", "ada", "p2", 2))
        assert (await relay_once(world, judge)).published == 2
    assert (await relay_once(world, judge)).published == 1
    assert await counts(world) == {"ada": 2}


async def test_bad_rows_are_set_aside_and_hold_up_nobody(world: World, judge: Judge) -> None:
    good = solved("1", "u", "p")
    await judge.run(
        INSERT.format("submission.solved.v1", "{}"),
        INSERT.format("no.such.v1", good.model_dump_json(exclude_none=True)),
        INSERT.format("submission.solved.v1", '{"verdict":"WA"}'),
        INSERT.format("submission.solved.v1", f'{{"language":"{"x" * 70_000}"}}'),
        INSERT.format("submission.solved.v1", good.model_dump_json(exclude_none=True).replace("2026", "2999")),
        row_of(registered("u")),
        row_of(good),
    )
    done = await relay_once(world, judge, outbox_batch_rows=2)
    assert (done.published, done.refused) == (2, 5)
    assert await counts(world) == {"u": 1}
    rows = await judge.run(STATES)
    assert [state for state, _ in rows] == ["refused"] * 5
    words = ("invalid-event: ", "unknown-type: ", "type-mismatch: ", "too-large: ", "time-out-of-range: ")
    assert all(reason.startswith(word) for word, (_, reason) in zip(words, rows, strict=True))
    await judge.run(
        "UPDATE solve_outbox SET type = 'submission.solved.v1' WHERE type = 'no.such.v1'",
        "UPDATE solve_outbox SET state = 'waiting'",
    )
    assert (await relay_once(world, judge)).published == 1


async def test_what_the_broker_takes_from_nobody_is_set_aside(world: World, judge: Judge) -> None:
    class Choosy(Gated):
        async def publish_records(self, records: Any) -> int:
            (record, *more) = [record async for record in records]
            if more or record.key == b"wide":
                raise RecordTooLarge("one of them" if more else "this one")
            return await self._producer.publish_records(_each([record]))

    await judge.register("ada", "wide", "bob")
    async with SolveProducer(world.connection) as producer, relaying(judge, Choosy(producer)) as relay:
        await until(lambda: relay.done.published == 2)
    assert await judge.run(STATES) == [("refused", "too-large: this one")]


async def test_two_relays_publish_each_row_once_and_in_the_order_of_each_user(world: World, judge: Judge) -> None:
    users = [f"u{number}" for number in range(4)]
    await judge.register(*users)
    async with (
        SolveProducer(world.connection) as producer,
        relaying(judge, producer) as one,
        relaying(judge, producer) as other,
    ):
        await asyncio.gather(*(judge.judge(user, 1_000 * i, 40) for i, user in enumerate(users)))
        await until(lambda: _is_empty(judge))
    records = await records_of(world)
    assert len(records) == one.done.published + other.done.published
    assert len({str(record) for record in records}) == len(records)
    for user in users:
        of_user = [one["judged_at"] for one in records if one["user_id"] == user and "judged_at" in one]
        times = [datetime.fromisoformat(time) for time in of_user]
        assert times == sorted(times)
        assert len(times) > 30
    assert await counts(world) == await judge.counts()


async def test_a_relay_that_lost_its_session_has_lost_its_lock_and_settles_nothing(world: World, judge: Judge) -> None:
    await judge.register("ada")
    await judge.add(solved("1", "ada", "p"))
    async with SolveProducer(world.connection) as producer:
        slow = Gated(producer)
        async with relaying(judge, slow) as loser:
            await slow.asked.wait()
            with pytest.raises(OutboxBusy, match="another relay"):
                await relay_once(world, judge)
            await judge.end_other_sessions()
            assert (await relay_once(world, judge)).published == 2
            await judge.add(solved("2", "ada", "q"))
            slow.gate.set()
            await until(lambda: _is_empty(judge))
        assert loser.done.published == 1  # what it read before was settled by the other
    assert await counts(world) == {"ada": 2}


async def test_a_relay_that_hangs_loses_its_lock(world: World, judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "HELD_MAX_S", 1)
    monkeypatch.setattr(mysql, "PREPARATIONS", (*mysql.PREPARATIONS, "SET SESSION wait_timeout = 1"))
    await judge.register("ada")
    async with SolveProducer(world.connection) as producer:
        hanging = Gated(producer)
        async with relaying(judge, hanging):
            await hanging.asked.wait()
            async with relaying(judge, producer) as other:
                await until(lambda: _is_empty(judge), "the other relay to get the lock")
            assert other.done.published == 1
            hanging.gate.set()
    assert await counts(world) == {}


async def test_what_settles_outside_the_lock_fails(judge: Judge) -> None:
    outbox = await open_outbox(settings_of(judge))
    await judge.register("ada")
    try:
        with pytest.raises(SourceUnusable, match=r"lost|says"):  # noqa: PT012 - the batch is the test
            async with outbox.batch(10) as rows:
                assert rows is not None
                await judge.end_other_sessions()
                await outbox.settle([rows[0].seq], [Refused(rows[0].seq, "never")], keep=False)
    finally:
        await outbox.close()
    assert await judge.waiting() == 1


@pytest.mark.parametrize("judge", ["postgresql"], indirect=True)
async def test_postgresql_wakes_the_relay(judge: Judge) -> None:
    outbox = await open_outbox(settings_of(judge))
    woken = asyncio.create_task(outbox.wait(3_600))
    try:
        await judge.register("ada")
        await until(woken.done, "the notification")
    finally:
        woken.cancel()
        await outbox.close()


async def test_a_backlog_is_counted(judge: Judge) -> None:
    outbox = await open_outbox(settings_of(judge))
    try:
        assert await outbox.backlog() == (0, 0, 0)
        await judge.register("ada", "bob")
        await judge.run("UPDATE solve_outbox SET state = 'refused' WHERE aggregateid = 'bob'")
        rows, oldest_s, refused = await outbox.backlog()
        assert (rows, refused) == (1, 1)
        assert 0 < oldest_s < 3_600
    finally:
        await outbox.close()


async def test_a_missing_table_says_how_to_make_it(world: World, judge: Judge) -> None:
    await judge.run("DROP TABLE solve_outbox")
    with pytest.raises(SourceUnusable, match=f"solve-producer outbox ddl --for {judge.dialect}"):
        await relay_once(world, judge)


async def _is_empty(judge: Judge) -> bool:
    return await judge.waiting() == 0
