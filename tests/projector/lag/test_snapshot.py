"""The lag of each stage, against a real log, database and board."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from devstack import Stack
from solve_producer.demo.simulation import Season, simulate
from solve_projector.lag.snapshot import Observer, Snapshot, Stage, open_observer
from solve_projector.lag.status import Status
from solve_projector.lag.windows import CommitWindows
from solve_schemas.record import encode
from tests.events import BEGIN, registered, solved
from tests.projector.log.test_inspection import delete_records
from tests.waiting import until
from tests.world import World

SEASON = Season(start=BEGIN, users=50, problems=30, events=600, seed=4)


@asynccontextmanager
async def observing(world: World) -> AsyncIterator[Observer]:
    async with open_observer(world.connection, world.settings, with_backlog=True) as observer:
        yield observer


def lags(snapshot: Snapshot, stage: Stage) -> Mapping[int, int]:
    return {one.partition: one.stages[stage].lag for one in snapshot.partitions}


def seconds(snapshot: Snapshot, stage: Stage) -> list[float]:
    return [one.stages[stage].seconds for one in snapshot.partitions]


async def test_lag_rises_with_what_is_published_and_falls_with_what_is_applied(world: World) -> None:
    await world.publish(simulate(SEASON))
    await world.run_once()
    async with observing(world) as observer:
        for stage in Stage:
            snapshot = await observer.snapshot()
            assert lags(snapshot, stage) == {0: 0, 1: 0, 2: 0}
            assert seconds(snapshot, stage) == [0.0, 0.0, 0.0]
        await world.publish([registered("u"), *(solved(str(n), "u", f"p{n}", n) for n in range(9))], partition=1)
        snapshot = await observer.snapshot()
        later = await observer.snapshot()
        for stage in Stage:
            assert lags(snapshot, stage) == {0: 0, 1: 10, 2: 0}
            # the oldest of them grows older, and quiet partitions stay at nothing
            assert 0 < seconds(snapshot, stage)[1] < seconds(later, stage)[1]
            assert [seconds(later, stage)[quiet] for quiet in (0, 2)] == [0.0, 0.0]
        await world.run_once()
        assert lags(await observer.snapshot(), Stage.POSTGRESQL) == {0: 0, 1: 0, 2: 0}
        assert (await observer.snapshot()).problems == {}


async def test_the_oldest_is_the_first_that_was_not_applied(world: World) -> None:
    await world.publish([registered("u"), solved("1", "u", "p", 1)], partition=0)
    await world.run_once()
    async with observing(world) as observer:
        await world.publish([solved("2", "u", "q", 2)], partition=0)
        first = await observer.snapshot()
        await world.publish([solved("3", "u", "r", 3)], partition=0)
        second = await observer.snapshot()
        assert lags(second, Stage.POSTGRESQL)[0] == 2
        assert (
            second.at_s - first.at_s <= seconds(second, Stage.POSTGRESQL)[0] - seconds(first, Stage.POSTGRESQL)[0] + 0.1
        )
        await world.run_once()
        await world.publish([solved("4", "u", "s", 4)], partition=0)
        third = await observer.snapshot()
    assert seconds(third, Stage.POSTGRESQL)[0] < seconds(second, Stage.POSTGRESQL)[0] + third.at_s - second.at_s


async def test_transaction_markers_and_aborted_records_are_no_lag(world: World) -> None:
    topic = world.connection.topic
    await world.publish([registered("u")], partition=0)
    await world.run_once()
    async with world.raw_producer(transactional_id=topic) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, encode(solved("1", "u", "p")).value, partition=0)
        await producer.abort_transaction()
    async with observing(world) as observer:
        snapshot = await observer.snapshot()
        assert snapshot.partitions[0].end == 3
        assert snapshot.partitions[0].stages[Stage.POSTGRESQL].offset == 1
        assert lags(snapshot, Stage.POSTGRESQL) == {0: 0, 1: 0, 2: 0}
        assert seconds(snapshot, Stage.POSTGRESQL) == [0.0, 0.0, 0.0]
        await world.publish([solved("2", "u", "q", 2)], partition=0)
        assert lags(await observer.snapshot(), Stage.POSTGRESQL) == {0: 3, 1: 0, 2: 0}


async def test_lag_is_never_negative_beside_a_projector_at_full_speed(world: World) -> None:
    async with observing(world) as observer, world.running() as task:
        publishing = asyncio.create_task(world.publish(simulate(SEASON)))
        while not publishing.done() and not task.done():
            snapshot = await observer.snapshot()
            for stage in Stage:
                assert all(one.stages[stage].lag >= 0 for one in snapshot.partitions if stage in one.stages)
        await publishing
        await until(lambda: _caught_up(observer), "every stage to have everything")


async def _caught_up(observer: Observer) -> bool:
    snapshot = await observer.snapshot()
    return all(one.stages[stage].lag == 0 for one in snapshot.partitions for stage in Stage if stage in one.stages)


async def test_a_flushed_redis_is_stale_in_its_stage_alone(world: World) -> None:
    await world.publish(simulate(SEASON))
    await world.run_once()
    from redis.asyncio import Redis

    async with Redis.from_url(world.settings.redis_url.get_secret_value()) as redis:
        async for key in redis.scan_iter(match=f"*{world.settings.leaderboard_prefix}*"):
            await redis.delete(key)
    async with observing(world) as observer:
        snapshot = await observer.snapshot()
    assert sum(lags(snapshot, Stage.REDIS).values()) == len(world.published)
    assert (
        min(
            one
            for one, lag in zip(seconds(snapshot, Stage.REDIS), lags(snapshot, Stage.REDIS).values(), strict=True)
            if lag
        )
        > 0
    )
    assert sum(lags(snapshot, Stage.POSTGRESQL).values()) == sum(lags(snapshot, Stage.KAFKA_GROUP).values()) == 0


async def test_a_server_that_is_unavailable_is_named_and_the_other_stages_go_on(breakable: World, stack: Stack) -> None:
    world = breakable
    await world.publish(simulate(SEASON))
    async with world.running(), observing(world) as observer:
        await world.until_right()
        stack.valkey.kill()
        await world.publish([registered("late"), solved("late", "late", "p")])
        await until(lambda: _lag(observer, Stage.POSTGRESQL, 0), "PostgreSQL to have it")
        snapshot = await observer.snapshot()
        assert set(snapshot.problems) == {"redis"}
        assert all(Stage.REDIS not in one.stages for one in snapshot.partitions)
        await asyncio.to_thread(stack.start)
        await until(lambda: _lag(observer, Stage.REDIS, 0), "Redis to have it")
        stack.postgres.kill()
        snapshot = await observer.snapshot()
        assert set(snapshot.problems) == {"postgresql"}
        assert all(set(one.stages) == {Stage.KAFKA_GROUP, Stage.REDIS} for one in snapshot.partitions)
        await asyncio.to_thread(stack.start)
        await until(lambda: _lag(observer, Stage.POSTGRESQL, 0), "PostgreSQL to answer again")


async def _lag(observer: Observer, stage: Stage, wanted: int) -> bool:
    snapshot = await observer.snapshot()
    return all(stage in one.stages for one in snapshot.partitions) and sum(lags(snapshot, stage).values()) == wanted


async def test_what_needs_an_operator_is_counted(world: World) -> None:
    async with world.raw_producer() as producer:
        for value in (b"{", b"{}", None):
            await producer.send_and_wait(world.connection.topic, value, key=b"k")
    await world.publish([solved("1", "nobody", "p"), solved("2", "nobody", "q"), solved("3", "nobody else", "p")])
    await world.run_once()
    async with observing(world) as observer:
        backlog = (await observer.snapshot()).backlog
    assert backlog is not None
    assert backlog.dead_letters == {"not-json": 1, "invalid-event": 1, "tombstone": 1}
    assert (backlog.parked_users, backlog.parked_events, backlog.outbox_rows) == (2, 3, 0)
    assert backlog.last_replay is None


async def test_a_large_backlog_is_estimated_and_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solve_projector.lag.backlog.COUNTED_MAX", 100)
    await world.run_once()
    async with world.database() as database:
        await database.execute(
            "INSERT INTO parked_events (user_id, problem_id, submission_id, solved, judged_at, submitted_at, language,"
            " contest_id, reason, source_partition, source_offset)"
            " SELECT 'u' || n / 10, 'p', n, true, now(), now(), '', '', '', 0, n FROM generate_series(0, 899) AS n"
        )
        await database.execute(
            'INSERT INTO dead_letters (topic, partition, "offset", broker_timestamp_ms, header_names, header_values,'
            " reason, detail) SELECT $1, 0, n, 0, '{}', '{}', CASE WHEN n < 3 THEN 'tombstone' ELSE 'not-json' END, ''"
            " FROM generate_series(0, 499) AS n",
            world.connection.topic,
        )
        await database.execute("ANALYZE parked_events, dead_letters")
    async with observing(world) as observer:
        backlog = (await observer.snapshot()).backlog
    assert backlog is not None
    assert backlog.estimated == {"parked_events", "dead_letters"}
    assert backlog.parked_users == 90  # counted
    assert backlog.parked_events == pytest.approx(900, rel=0.1)
    assert backlog.dead_letters == {"tombstone": 3, "not-json": pytest.approx(497, rel=0.1)}


async def test_an_audits_drift_is_seen_until_a_replay_has_repaired_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from solve_projector.replay.replaying import ReplayOptions, replay

    await world.publish(simulate(SEASON))
    await world.run_once()

    async def found(*, dry_run: bool) -> tuple[bool, int]:
        await replay(world.connection, world.settings, ReplayOptions(dry_run=dry_run), lambda *_: None)
        async with observing(world) as observer:
            backlog = (await observer.snapshot()).backlog
        assert backlog is not None
        assert backlog.last_replay is not None
        assert backlog.last_replay.finished_at_s > 0
        return backlog.last_replay.drift, backlog.last_replay.users

    monkeypatch.setattr("solve_projector.replay.replaying.RUNS_KEPT", 2)
    assert await found(dry_run=True) == (False, 0)
    async with world.database() as connection:
        await connection.execute("UPDATE users SET problems_solved = problems_solved + 1 WHERE problems_solved > 20")
    drift, users = await found(dry_run=True)
    assert drift
    assert users > 0
    assert await found(dry_run=False) == (False, 0)
    assert await found(dry_run=True) == (False, 0)
    assert await world.value("SELECT count(*) FROM replay_runs") == 2  # the newest


async def test_records_deleted_before_they_were_applied_are_an_error_of_the_partition_and_not_of_kafka(
    world: World,
) -> None:
    await world.publish([registered("u"), *(solved(str(n), "u", f"p{n}", n) for n in range(4))], partition=0)
    await delete_records(world, 2)
    async with observing(world) as observer:
        snapshot = await observer.snapshot()
    assert snapshot.problems == {}
    assert snapshot.partitions[0].stages[Stage.POSTGRESQL].lag == 5
    assert snapshot.partitions[0].stages[Stage.POSTGRESQL].seconds > 0
    assert CommitWindows(5, 50).add(snapshot)[0].status is Status.ERR


async def test_a_locked_table_of_dead_letters_does_not_hide_the_lag(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("solve_projector.lag.snapshot.STORE_TIMEOUT_S", 1.0)
    await world.publish([registered("u")], partition=0)
    async with observing(world) as observer, world.database() as blocker:
        await blocker.execute("BEGIN")
        await blocker.execute("LOCK TABLE dead_letters IN ACCESS EXCLUSIVE MODE")
        snapshot = await observer.snapshot()
    assert set(snapshot.problems) == {"backlog"}
    assert lags(snapshot, Stage.POSTGRESQL) == {0: 1, 1: 0, 2: 0}


async def test_a_frozen_postgresql_is_named_and_the_other_stages_go_on(
    breakable: World, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("solve_projector.lag.snapshot.STORE_TIMEOUT_S", 1.0)
    async with observing(breakable) as observer:
        assert (await observer.snapshot()).problems == {}
        stack.postgres.pause()
        snapshot = await observer.snapshot()
        stack.postgres.resume()
    assert set(snapshot.problems) == {"postgresql"}
    assert all(Stage.REDIS in one.stages for one in snapshot.partitions)
