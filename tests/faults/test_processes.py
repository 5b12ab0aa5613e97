"""Counts that stay right when projector processes die, freeze and come back (I2, I3)."""

import asyncio
import json
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from solve_producer.demo.simulation import Season, simulate
from tests.events import BEGIN, registered, solved
from tests.stalling import StallingProxy
from tests.waiting import until
from tests.world import World

EVENTS_A_ROUND = 4_000
MAX_BACKLOG = 2_000


def season(seed: int, events: int) -> Season:
    return Season(start=BEGIN, users=200, problems=100, events=events, seed=seed)


@asynccontextmanager
async def flow(world: World, seed: int, at_least: int = EVENTS_A_ROUND) -> AsyncIterator[None]:
    """Publishes a season in small pieces until the test has done its faults."""
    done = asyncio.Event()

    async def publish() -> None:
        events = simulate(season(seed, 1_000_000))
        while len(world.published) < at_least or not done.is_set():
            if len(world.published) - await applied(world) > MAX_BACKLOG:
                await asyncio.sleep(0.05)  # a judge that never waits would only make the end longer
            else:
                await world.publish(islice(events, 250))

    async with asyncio.TaskGroup() as beside:  # a judge that fails ends the test, and not its patience
        publishing = beside.create_task(publish())
        try:
            yield
            done.set()
            await publishing
        finally:
            publishing.cancel()


async def applied(world: World) -> int:
    return await world.value("SELECT coalesce(sum(next_offset), 0)::bigint FROM partition_offsets") or 0


async def kill_at_random_moments(world: World, times: int) -> None:
    rng = random.Random(times)
    async with flow(world, times):
        for _ in range(times):
            async with world.process() as process:
                goal = await applied(world) + rng.randrange(1, 1_000)
                await until(lambda goal=goal: _at_least(world, goal), f"offset {goal}")
                process.kill()
    async with world.process():
        await world.until_right()
    assert await applied(world) == len(world.published)


async def _at_least(world: World, goal: int) -> bool:
    return await applied(world) >= goal


async def test_a_projector_killed_at_random_moments_counts_everything_once(world: World) -> None:
    await kill_at_random_moments(world, 3)


@pytest.mark.soak
async def test_a_projector_killed_twenty_times_counts_everything_once(world: World) -> None:
    await kill_at_random_moments(world, 20)


async def test_a_paused_projector_that_wakes_as_a_zombie_changes_nothing(world: World) -> None:
    """Both share the partitions; one freezes until the other has them all, and goes on with stale batches."""
    async with world.process() as first, world.process() as second:
        async with flow(world, 5):
            await until(lambda: _both_have_partitions(world), "both to have partitions")
            first.send_signal(signal.SIGSTOP)
            frozen_at = await offsets(world)
            await until(lambda: _all_moved(world, frozen_at, second), "the second to have all partitions")
            first.send_signal(signal.SIGCONT)
        await world.until_right()
        assert second.returncode is None
        first.terminate()
        _, log = await first.output  # type: ignore[attr-defined]
    assert first.returncode == 0, log.decode()
    assert await applied(world) == len(world.published)


async def _both_have_partitions(world: World) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=world.connection.bootstrap_servers)
    await admin.start()
    try:
        (response,) = await admin.describe_consumer_groups([world.settings.group_id])
    except GroupCoordinatorNotAvailableError:  # a broker that makes the groups' topic for the first time
        return False
    finally:
        await admin.close()
    state, members = response.groups[0][2], response.groups[0][5]
    return state == "Stable" and len(members) == 2


async def offsets(world: World) -> dict[int, int]:
    return dict(await world.fetch("SELECT partition, next_offset FROM partition_offsets"))


async def _all_moved(world: World, before: dict[int, int], by: asyncio.subprocess.Process) -> bool:
    assert by.returncode is None, "the process that was to take over has ended"
    now = await offsets(world)
    return len(now) == 3 and all(now[partition] > offset for partition, offset in before.items())


async def test_a_writer_stopped_inside_its_transaction_is_overcome(world: World) -> None:
    """A locked row keeps the first writer inside its transaction, holding the offset rows; SIGSTOP freezes it."""
    await world.publish([registered("u"), solved("0", "u", "p0")], 0)
    await world.run_once()
    async with world.database() as blocker, world.process() as frozen:
        await blocker.execute("BEGIN")
        await blocker.execute("SELECT 1 FROM users FOR UPDATE")
        await world.publish([solved("1", "u", "p1", 1)], 0)
        await until(lambda: _waits_for_a_lock(world), "the writer to wait inside its transaction")
        frozen.send_signal(signal.SIGSTOP)
        await blocker.execute("COMMIT")
        async with world.process():
            await world.until_right()
            frozen.send_signal(signal.SIGCONT)
            await world.publish([solved("2", "u", "p2", 2)], 0)
            await world.until_right()
    assert await world.value("SELECT problems_solved FROM users") == 3


async def test_a_writer_stopped_between_two_messages_of_a_statement_is_overcome(world: World) -> None:
    """PostgreSQL calls it active, so that neither its idle timeout nor its statement timeout ends it."""
    proxy = StallingProxy(world.settings.database_url.get_secret_value(), b"-- Upserts verdicts")
    async with (
        proxy.serving() as url,
        world.process(DATABASE_URL=url, SOLVE_TRANSACTION_TIMEOUT_MS="3000") as frozen,
    ):
        await world.publish([registered("u"), solved("0", "u", "p0")])
        await until(proxy.stalled.is_set, "the writer to be between two messages, with its rows locked")
        frozen.send_signal(signal.SIGSTOP)
        async with world.process():
            await world.until_right()
            frozen.send_signal(signal.SIGCONT)
            await world.publish([solved("1", "u", "p1", 1)])
            await world.until_right()
    assert await world.value("SELECT problems_solved FROM users") == 2


async def _waits_for_a_lock(world: World) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await world.value(waiting))


async def test_sigterm_under_load_leaves_no_half_batch_and_exits_0(world: World) -> None:
    async with flow(world, 9):
        async with world.process() as process:
            await until(lambda: _at_least(world, 500))
            process.terminate()
            _, log = await process.output  # type: ignore[attr-defined]
        assert process.returncode == 0, log.decode()
        assert b"Traceback" not in log
    await world.run_once()
    assert await world.differences() == []


async def test_ctrl_c_ends_a_projector_that_waits_for_events(world: World) -> None:
    async with world.process() as process:
        await until(lambda: world.value("SELECT count(*) = 3 FROM partition_offsets"))
        process.send_signal(signal.SIGINT)
        _, log = await process.output  # type: ignore[attr-defined]
    assert process.returncode == 0, log.decode()


async def test_log_lines_are_json_and_hold_no_secret(world: World) -> None:
    await world.publish(simulate(season(2, 200)))
    async with world.process("run", "--once", SOLVE_LOG_LEVEL="DEBUG") as process:
        out, log = await process.output  # type: ignore[attr-defined]
    assert process.returncode == 0
    assert b"PostgreSQL and Redis have everything" in out
    lines = [json.loads(line) for line in log.splitlines()]
    assert {"assigned", "applied"} <= {line.get("action") for line in lines}
    password = world.settings.database_url.get_secret_value().split(":")[2].split("@")[0]
    assert password.encode() not in out + log
