"""Losses of Redis between two checks: no board is read that lacks what its `as_of` says."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from redis.asyncio import Redis

from solve_projector.domain.ranking import PageRequest
from solve_projector.store.counts import Standing
from tests.api.ranking.test_boards import boards_of, crowd
from tests.events import at, revoked
from tests.world import World

Keys = Mapping[str, str]


async def _lag(redis: Any, keys: Keys) -> None:
    fields = await redis.hkeys(keys["watermarks"])
    await redis.hset(keys["watermarks"], mapping=dict.fromkeys(fields, 0))


async def _restore(redis: Any, keys: Keys) -> None:
    head = keys["current"].removesuffix("current")
    for what in ("board", "watermarks"):
        await redis.copy(keys[what], f"{head}0:{what}")
    await redis.set(keys["current"], 0)


LOSSES: dict[str, Callable[[Any, Keys], Awaitable[object]]] = {
    "the members, evicted": lambda redis, keys: redis.delete(keys["board"]),
    "the newest writes, by a failover": _lag,
    "the watermarks": lambda redis, keys: redis.delete(keys["watermarks"]),
    "the epoch, restored from a backup": _restore,
    "everything": lambda redis, keys: redis.delete(*keys.values()),
}


async def lose(world: World, what: str) -> None:
    async with Redis.from_url(world.settings.redis_url.get_secret_value(), decode_responses=True) as redis:
        keys = {one.rpartition(":")[2]: one for one in await redis.keys(f"*{world.settings.leaderboard_prefix}*")}
        await LOSSES[what](redis, keys)


@pytest.mark.parametrize("lost", LOSSES)
async def test_a_board_that_lost_something_since_the_last_check_is_not_read(world: World, lost: str) -> None:
    board = await crowd(world)
    async with boards_of(world) as (_, boards, _, freshness):
        assert (await boards.read(PageRequest(1), [], None)).source == "redis"
        await lose(world, lost)
        assert freshness.in_sync, "the check has not noticed"
        found = await boards.read(PageRequest(1), [], None)
        assert (found.source, found.reading.total) == ("postgresql", len(board))


@pytest.mark.parametrize("again", [0, 2_000])
async def test_a_board_that_was_evicted_and_grows_again_is_not_read(world: World, again: int) -> None:
    """Also to more members than it had."""
    board = await crowd(world)
    async with boards_of(world) as (_, boards, redis, freshness):
        await lose(world, "the members, evicted")
        epoch = await world.value("SELECT epoch FROM leaderboard_epoch")
        version = await world.value("SELECT version FROM users WHERE user_id = 'b'")
        async with world.database() as connection:
            await connection.execute(
                "INSERT INTO users (user_id, username, problems_solved, last_solved_at) "
                "SELECT n, n, 3, '2026-01-01Z' FROM generate_series(0, $1 - 1) AS n",
                again,
            )
        await redis.write(epoch, [Standing(name, 3, at(0), version) for name in ("b", *map(str, range(again)))])
        for _ in range(3):
            found = await boards.read(PageRequest(1), [], None)
            assert (found.source, found.reading.total) == ("postgresql", len(board) + again)
            await freshness.check()


async def test_a_board_that_somebody_has_left_is_read(world: World) -> None:
    board = await crowd(world)
    last = board[-1].user_id
    async with boards_of(world) as (_, boards, _, freshness):
        await world.publish(revoked(f"{last}-{problem}", last, f"p{problem}", 9000) for problem in range(3))
        await world.run_once()
        for _ in range(2):
            await freshness.check()
            found = await boards.read(PageRequest(1), [], None)
            assert (found.source, found.reading.total) == ("redis", len(board) - 1)
