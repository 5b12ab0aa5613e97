"""The two stores side by side, also where they differ."""

import pytest
from redis.asyncio import Redis

from solve_projector.errors import UserUnknown
from solve_projector.leaderboard.board import open_leaderboard, score
from solve_projector.operations.user_record import top_places, user_record
from solve_projector.store.postgresql import open_pool
from tests.events import at, registered, solved, withdrawn
from tests.world import World


async def test_top_asks_redis_for_exactly_its_users(world: World) -> None:
    names = ("a", "b", "c", "d")
    await world.publish(
        [registered(name) for name in names]
        + [solved(f"{name}{n}", name, f"p{n}", n) for rank, name in enumerate(names) for n in range(4 - rank)]
    )
    await world.run_once()
    redis = Redis.from_url(world.settings.redis_url.get_secret_value())
    async with (
        redis,
        open_pool(world.settings) as pool,
        open_leaderboard(world.settings, world.connection.topic) as board,
    ):
        key = f"{{{world.settings.leaderboard_prefix}}}:{await board.current_epoch()}:board"
        await redis.zadd(key, {"a": score(1, at(0))})  # an incident: the first is shown among the last
        await redis.zrem(key, "b")
        places, problem = await top_places(pool, board, 2)
    assert problem is None
    assert [(place.user_id, place.problems_solved, place.agrees) for place in places] == [
        ("a", 4, False),
        ("b", 3, False),
    ]
    moved, absent = places
    assert moved.redis is not None
    assert (moved.redis.rank, moved.redis.problems_solved) == (2, 1)
    assert absent.redis is None


async def test_an_unknown_user_is_named_with_what_waits_for_them(world: World) -> None:
    await world.publish([solved("1", "guest", "p")])
    await world.run_once()
    async with open_pool(world.settings) as pool, open_leaderboard(world.settings, world.connection.topic) as board:
        with pytest.raises(UserUnknown, match=r'no user "guest" in PostgreSQL; parked events that wait .*: 1'):
            await user_record(pool, board, "guest")


async def test_a_verdict_on_a_withdrawn_problem_says_so(world: World) -> None:
    await world.publish([registered("u"), solved("1", "u", "p"), solved("2", "u", "q"), withdrawn("p", 1)])
    await world.run_once()
    async with open_pool(world.settings) as pool, open_leaderboard(world.settings, world.connection.topic) as board:
        record = await user_record(pool, board, "u")
    assert record["postgresql"]["problems_solved"] == record["redis"]["problems_solved"] == 1
    assert {one["problem_id"]: one["withdrawn"] for one in record["verdicts"]} == {"p": True, "q": False}
