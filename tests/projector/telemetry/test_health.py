"""Liveness that fails only if a restart can help, and readiness that says what is missing."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from pydantic import SecretStr, ValidationError

from solve_projector.live.reader import LogReader
from solve_projector.operations.setup import provision
from solve_projector.settings import ProjectorSettings
from solve_projector.store.locks import Lock, unlock, wait_lock
from solve_projector.telemetry.health import Condition, Health, Standstill
from solve_projector.telemetry.monitor import Monitor
from solve_schemas.topic import TOPIC_SETTINGS
from tests.asking import Watched, get, watched
from tests.events import registered, solved
from tests.waiting import until
from tests.world import World

QUICK = {"liveness_timeout_s": 1.0, "log_check_interval_s": 0.1}


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def observe(standstill: Standstill, clock: Clock, after_s: float, offset: int, end: int = 10) -> float:
    """Observes one partition of ours after a time; returns how long it has stood still."""
    clock.now += after_s
    standstill.observe({0: offset}, {0: end}, {0})
    return standstill.seconds


def test_an_idle_log_never_stands_still() -> None:
    clock = Clock()
    standstill = Standstill(clock)
    assert [observe(standstill, clock, 1_000, 10) for _ in range(5)] == [0] * 5
    assert observe(standstill, clock, 10, 10, end=11) == 10


def test_work_without_progress_adds_up_and_progress_ends_it() -> None:
    clock = Clock()
    standstill = Standstill(clock)
    assert [observe(standstill, clock, 10, 4) for _ in range(4)] == [0, 10, 20, 30]
    assert observe(standstill, clock, 10, 5) == 0
    assert observe(standstill, clock, 10, 5) == 10


def test_time_in_which_somebody_did_not_answer_is_not_counted() -> None:
    clock = Clock()
    standstill = Standstill(clock)
    observe(standstill, clock, 0, 4)
    assert observe(standstill, clock, 10, 4) == 10
    for _ in range(20):
        clock.now += 100
        standstill.pause()
    assert observe(standstill, clock, 100, 4) == 10
    assert observe(standstill, clock, 10, 4) == 20


def test_one_partition_that_stands_still_is_seen_beside_others_that_move() -> None:
    clock = Clock()
    standstill = Standstill(clock)
    for turn in range(4):
        clock.now += 10
        standstill.observe({0: turn, 1: 7}, {0: 100, 1: 9}, {0, 1})
    assert standstill.stuck == {0: 0, 1: 30}


def test_what_stands_still_elsewhere_is_not_ours_and_counts_from_when_it_is() -> None:
    clock = Clock()
    standstill = Standstill(clock)
    for _ in range(4):
        clock.now += 10
        standstill.observe({0: 3}, {0: 9}, set())
    assert standstill.seconds == 0
    assert observe(standstill, clock, 10, 3, 9) == 0
    assert observe(standstill, clock, 10, 3, 9) == 10


def test_a_server_that_falls_silent_is_missing_before_it_fails() -> None:
    clock = Clock()
    health = Health(180, check_interval_s=10, clock=clock)
    health.group_problem = lambda: None
    for condition in Condition:
        health.met(condition)
    assert health.not_ready() == {}
    clock.now += 31
    assert health.not_ready() == {"postgresql": "no answer for 31 s", "kafka": "no answer for 31 s"}
    health.met(Condition.KAFKA)
    assert list(health.not_ready()) == ["postgresql"]


@pytest.mark.parametrize(
    ("error", "unavailable"),
    [
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (asyncpg.InterfaceError("connection is closed"), True),
        (asyncpg.AdminShutdownError("said"), True),
        (asyncpg.CannotConnectNowError("said"), True),
        (asyncpg.TooManyConnectionsError("said"), True),
        (asyncpg.ReadOnlySQLTransactionError("said"), True),
        (asyncpg.QueryCanceledError("said"), False),
        (asyncpg.DeadlockDetectedError("said"), False),
        (asyncpg.LockNotAvailableError("said"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_refused_statement_is_an_answer_of_postgresql(error: Exception, unavailable: bool) -> None:
    monitor = Monitor()
    monitor.database_failed(error)
    assert (Condition.POSTGRESQL in monitor.health.not_ready()) == unavailable


def test_a_restart_is_asked_for_only_after_the_process_tried_to_rejoin() -> None:
    with pytest.raises(
        ValidationError, match=r"SOLVE_LIVENESS_TIMEOUT_S \(60\) must be more than SOLVE_STALL_AFTER_S \(60\)"
    ):
        ProjectorSettings(liveness_timeout_s=60, stall_after_s=60)


async def test_a_projector_at_its_work_is_alive_and_ready(world: World) -> None:
    await world.publish([registered("u"), solved("1", "u", "p")])
    async with watched(world) as asked:
        await until(asked.ready, "everything to be met")
        assert await asked.page("/readyz") == (200, {"ready": True, "missing": {}})
        assert (await asked.page("/livez"))[0] == 200
        assert await asked.values("solve_projector_ready_condition") == {(one,): 1 for one in Condition}


async def test_a_client_that_stops_reading_is_dead_and_alive_once_it_reads(world: World) -> None:
    """Before `stall_after_s` there is no new member; after it, the new member repairs what a restart would."""
    async with watched(world, stall_after_s=3, **QUICK) as asked:
        await world.publish([registered("u"), solved("0", "u", "p0")])
        await world.until_right()
        fetcher = asked.projector.reader._consumer._fetcher
        for fetching in (fetcher._fetch_task, *fetcher._pending_tasks):
            fetching.cancel()  # the membership stays, and its heartbeats with it
        await world.publish([solved("1", "u", "p1", 1)])
        said = await until(lambda: _dead(asked), "the process to be called dead")
        assert "no progress" in said["why"]
        assert "PostgreSQL and Kafka answer" in said["why"]
        await world.until_right()
        await until(lambda: _alive(asked), "the process to be called alive")


async def _dead(asked: Watched) -> dict[str, str]:
    status, said = await asked.page("/livez")
    return said if status == 503 else {}


async def _alive(asked: Watched) -> bool:
    return not await _dead(asked)


async def test_a_blocked_event_loop_is_dead(world: World) -> None:
    async with watched(world, **QUICK) as asked:
        await until(asked.ready)
        answers: list[tuple[int, str]] = []
        seen = threading.Event()

        def watch() -> None:
            while not seen.is_set():
                answers.append(get(asked.port, "/livez"))
                if answers[-1][0] == 503:
                    seen.set()

        watching = threading.Thread(target=watch)
        watching.start()
        stuck = seen.wait(60)  # this is the event loop that the projector runs on
        seen.set()
        watching.join()
        assert stuck
        assert "the event loop has been blocked" in answers[-1][1]
        await until(lambda: _alive(asked), "the process to be called alive")


async def test_more_processes_than_partitions_are_all_ready(world: World) -> None:
    one = replace(world, connection=world.connection.model_copy(update={"topic": f"{world.connection.topic}-one"}))
    await provision(one.connection, one.settings, 1)
    async with watched(one) as first, watched(one) as second:

        async def both_are() -> bool:  # while one joins the other is for a moment in no group
            partitions = [await asked.values("solve_projector_assigned_partitions") for asked in (first, second)]
            settled = sorted(partitions, key=len) == [{}, {(): 1}]
            return settled and await first.ready() and await second.ready()

        await until(both_are, "one to have the partition and both to be ready")


async def test_a_client_that_is_not_started_is_no_member(world: World) -> None:
    """A probe may come at any moment, also while the client is being replaced."""

    async def nothing(_partitions: set[int]) -> dict[int, int]:
        return {}

    reader = LogReader(world.connection, world.settings, nothing, Monitor())
    assert f"group {world.settings.group_id}" in str(reader.group_problem())
    assert reader.member_of is None
    await reader.stop()


async def test_an_unavailable_redis_is_named(world: World) -> None:
    async with watched(world, redis_url=SecretStr("redis://:secret@127.0.0.1:1/0")) as asked:
        await until(lambda: _only(asked, "leaderboard"), "everything else to be met")
        assert "check REDIS_URL" in (await asked.missing())["leaderboard"]
        assert "secret" not in (await asked.missing())["leaderboard"]
        assert (await asked.values("solve_projector_retries_total"))["redis",] > 0
        assert (await asked.page("/livez"))[0] == 200


async def _only(asked: Watched, condition: str) -> bool:
    return list(await asked.missing()) == [condition]


@asynccontextmanager
async def admin_of(world: World) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=world.connection.bootstrap_servers)
    await client.start()
    yield client
    await client.close()


async def test_a_log_that_can_lose_its_proof_is_named_until_it_is_safe_again(world: World) -> None:
    await world.publish([registered("u"), solved("1", "u", "p")])
    async with watched(world) as asked, admin_of(world) as admin:
        await until(asked.ready, "everything to be met")
        for retention, missing in (("3600000000", ["log_safe"]), ("-1", [])):
            settings = TOPIC_SETTINGS | {"retention.ms": retention}
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, world.connection.topic, settings)])
            await until(lambda missing=missing: _missing_is(asked, missing), f"{missing} to be missing")
            if missing:
                assert "retention.ms=3600000000" in (await asked.missing())["log_safe"]
                assert await asked.values("solve_projector_ready_condition") == {
                    (one,): 1 for one in Condition if one != "log_safe"
                }
                assert (await asked.page("/livez"))[0] == 200
                await world.publish([solved("2", "u", "q")])
                await world.until_right()


async def _missing_is(asked: Watched, names: list[str]) -> bool:
    return list(await asked.missing()) == names


async def test_a_rebuild_that_is_waited_for_is_no_standstill(world: World) -> None:
    """The offsets of a cold rebuild do not move until it commits, and a restart would only wait again."""
    await world.publish([registered("u"), solved("1", "u", "p")])
    async with world.database() as rebuild:
        await wait_lock(rebuild, Lock.COLD_REBUILD)
        async with watched(world, **QUICK) as asked:
            await until(lambda: asked.projector.start_offsets.rebuild_awaited, "the projector to wait")
            clock = asyncio.get_running_loop().time
            later = clock() + 3 * QUICK["liveness_timeout_s"]
            while clock() < later:
                assert await _alive(asked)
            assert list(await asked.missing()) == ["group"]
            await unlock(rebuild, Lock.COLD_REBUILD)
            await world.until_right()
            await until(asked.ready, "everything to be met")
