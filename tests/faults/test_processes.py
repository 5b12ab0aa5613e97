"""Is every count right when projector processes die, freeze and come back? (I2, I3)"""

import asyncio
import json
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from producer.simulation import Season, simulate
from tests.events import BEGIN, registered, solved
from tests.waiting import until
from tests.world import World

EVENTS_A_ROUND = 4_000


def season(seed: int, events: int) -> Season:
    return Season(start=BEGIN, users=200, problems=100, events=events, seed=seed)


@asynccontextmanager
async def flow(world: World, seed: int, events: int) -> AsyncIterator[asyncio.Task[None]]:
    """Publishes a season in small pieces while the test does its worst."""

    async def publish() -> None:
        some = list(simulate(season(seed, events)))
        for begin in range(0, len(some), 250):
            await world.publish(some[begin : begin + 250])

    task = asyncio.create_task(publish())
    try:
        yield task
        await task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def applied(world: World) -> int:
    return await world.value("SELECT coalesce(sum(next_offset), 0)::bigint FROM partition_offsets") or 0


async def kill_at_random_moments(world: World, times: int) -> None:
    rng = random.Random(times)
    async with flow(world, times, EVENTS_A_ROUND):
        for _ in range(times):
            async with world.process() as process:
                goal = await applied(world) + rng.randrange(1, EVENTS_A_ROUND // times // 2 + 2)
                await until(lambda goal=goal: _at_least(world, goal), f"offset {goal}")
                process.kill()
    async with world.process():
        await world.until_right()
    assert await applied(world) == EVENTS_A_ROUND


async def _at_least(world: World, goal: int) -> bool:
    return await applied(world) >= goal


async def test_a_projector_killed_at_random_moments_counts_everything_once(world: World) -> None:
    await kill_at_random_moments(world, 3)


@pytest.mark.soak
async def test_a_projector_killed_twenty_times_counts_everything_once(world: World) -> None:
    await kill_at_random_moments(world, 20)


async def test_a_paused_projector_that_wakes_as_a_zombie_changes_nothing(world: World) -> None:
    """Both share the partitions; one freezes until the other has its partitions, and then goes on with stale batches."""
    async with world.process() as first, world.process() as second, flow(world, 5, EVENTS_A_ROUND):
        await until(lambda: _at_least(world, 200))
        first.send_signal(signal.SIGSTOP)
        frozen_at = {
            row[0]: row[1] for row in await world.fetch("SELECT partition, next_offset FROM partition_offsets")
        }
        await until(lambda: _all_moved(world, frozen_at), "the second to have all partitions")
        first.send_signal(signal.SIGCONT)
        await world.until_right()
        assert second.returncode is None
        first.terminate()
        _, log = await first.output  # type: ignore[attr-defined]
    assert first.returncode == 0, log.decode()
    assert await applied(world) == EVENTS_A_ROUND


async def _all_moved(world: World, before: dict[int, int]) -> bool:
    now = {row[0]: row[1] for row in await world.fetch("SELECT partition, next_offset FROM partition_offsets")}
    return len(now) == 3 and all(now[partition] > offset for partition, offset in before.items())


async def test_a_writer_stopped_inside_its_transaction_is_overcome(world: World) -> None:
    """A trigger holds the first writer's transaction open at the worst place; SIGSTOP freezes it there."""
    await world.publish([registered("u"), solved("0", "u", "p0")], 0)
    await world.run_once()
    async with world.database() as blocker:
        # the row lock makes the projector wait in the middle of its transaction, with the offset rows locked
        async with blocker.transaction():
            await blocker.execute("SELECT 1 FROM users FOR UPDATE")
            await world.publish([solved("1", "u", "p1", 1)], 0)
            async with world.process() as frozen:
                await until(lambda: _waits_for_a_lock(world), "the writer to wait inside its transaction")
                frozen.send_signal(signal.SIGSTOP)
                await blocker.execute("SELECT 1")
                await blocker.execute("COMMIT")
                async with world.process():
                    await world.until_right()
                    frozen.send_signal(signal.SIGCONT)
                    await world.publish([solved("2", "u", "p2", 2)], 0)
                    await world.until_right()
            await blocker.execute("BEGIN")
    assert await world.value("SELECT problems_solved FROM users") == 3


async def _waits_for_a_lock(world: World) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await world.value(waiting))


async def test_sigterm_under_load_leaves_no_half_batch_and_exits_0(world: World) -> None:
    async with flow(world, 9, EVENTS_A_ROUND):
        async with world.process() as process:
            await until(lambda: _at_least(world, 500))
            process.terminate()
            _, log = await process.output  # type: ignore[attr-defined]
        assert process.returncode == 0, log.decode()
        assert b"Traceback" not in log
        offsets = await world.fetch("SELECT partition, next_offset FROM partition_offsets")
        assert sum(row[1] for row in offsets) == await applied(world)
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
    async with world.process("run", "--once", LOG_LEVEL="DEBUG") as process:
        out, log = await process.output  # type: ignore[attr-defined]
    assert process.returncode == 0
    assert b"PostgreSQL and Redis have everything" in out
    lines = [json.loads(line) for line in log.splitlines()]
    assert {"assigned", "applied"} <= {line.get("action") for line in lines}
    password = world.settings.database_url.get_secret_value().split(":")[2].split("@")[0]
    assert password.encode() not in out + log
