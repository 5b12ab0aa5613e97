"""Counts that stay right when PostgreSQL, Redis and Kafka die and come back under a running projector (I6)."""

import asyncio
import subprocess
from collections.abc import Callable

import asyncpg
import pytest

from devstack import Server, Stack
from solve_producer.client import SolveProducer
from solve_producer.demo.simulation import Season, simulate
from solve_producer.errors import ProducerError
from tests.events import BEGIN, registered, solved
from tests.waiting import until
from tests.world import World

SEASON = Season(start=BEGIN, users=200, problems=100, events=4_000, seed=11)


async def applied(world: World) -> int:
    try:
        return int(await world.value("SELECT coalesce(sum(next_offset), 0) FROM partition_offsets"))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return -1


async def publish_through_anything(world: World) -> None:
    """What a judge does: publish the same piece again until the broker has confirmed it."""
    some = list(simulate(SEASON))
    world.published += some
    async with SolveProducer(world.connection, delivery_timeout_s=5) as producer:
        for begin in range(0, len(some), 200):
            while True:
                try:
                    await producer.publish(some[begin : begin + 200])
                except ProducerError:
                    await asyncio.sleep(0.1)
                else:
                    break


def kill_and_start(server: Server) -> Callable[[], None]:
    def act() -> None:
        server.kill()
        server.start()

    return act


@pytest.mark.parametrize("name", ["postgres", "valkey", "kafka"])
async def test_a_server_killed_under_load_costs_nothing(breakable: World, stack: Stack, name: str) -> None:
    world, server = breakable, getattr(stack, name)
    async with world.running() as run:
        judge = asyncio.create_task(publish_through_anything(world))
        for goal in (300, 1_500):
            await until(lambda goal=goal: _reached(world, goal), f"offset {goal}")
            await asyncio.to_thread(kill_and_start(server))
        await judge
        await world.until_right()
        assert not run.done()


async def _reached(world: World, goal: int) -> bool:
    return await applied(world) >= goal


async def test_postgresql_moves_on_while_redis_is_unavailable(breakable: World, stack: Stack) -> None:
    world = breakable
    async with world.running():
        await world.publish(simulate(SEASON))
        await until(lambda: _reached(world, 1))
        stack.valkey.kill()
        await world.publish([registered("late"), solved("late", "late", "p")])
        await until(lambda: _reached(world, len(world.published)), "PostgreSQL to have everything")
        assert await world.value("SELECT problems_solved FROM users WHERE user_id = 'late'") == 1
        await asyncio.to_thread(stack.valkey.start)
        await world.until_right()


async def test_a_frozen_redis_does_not_hold_up_postgresql(breakable: World, stack: Stack) -> None:
    world = breakable
    async with world.running():
        await world.publish([registered("u"), solved("0", "u", "p0")])
        await world.until_right()
        stack.valkey.pause()
        await world.publish(solved(str(number), "u", f"p{number}", number) for number in range(1, 500))
        await until(lambda: _reached(world, len(world.published)), "PostgreSQL to have everything")
        stack.valkey.resume()
        await world.until_right()


async def test_a_restored_backup_brings_both_stores_right_by_itself(breakable: World, stack: Stack, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """An older dump of PostgreSQL, and a leaderboard ahead of it."""
    world = breakable
    url = world.settings.database_url.get_secret_value()
    some = list(simulate(SEASON))
    await world.publish(some[:2_000])
    await world.run_once()
    dump = tmp_path / "backup.sql"
    words = [stack.postgres.tool("pg_dump"), "--clean", "--if-exists", "-f", str(dump), url]
    await asyncio.to_thread(subprocess.run, words, check=True)
    async with world.running():
        await world.publish(some[2_000:])
        await world.until_right()
        ahead = await world.board()
        await asyncio.to_thread(
            subprocess.run,
            [stack.postgres.tool("psql"), "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", str(dump), url],
            check=True,
            capture_output=True,
        )
        await world.publish([registered("after"), solved("after", "after", "p")])
        await world.until_right()
        assert len(await world.board()) == len(ahead) + 1
    assert await world.value("SELECT epoch FROM leaderboard_epoch") > 1
