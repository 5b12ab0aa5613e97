"""Answers while PostgreSQL, Redis or Kafka is unavailable, and after it is back."""

import asyncio
import gc
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from devstack import Stack
from solve_api import database as database_module
from solve_api.ranking import kept_boards
from solve_api.ranking.board_builds import Kept, build_first
from solve_api.ranking.kept_boards import KeptBoards
from solve_api.ranking.periods import TimeRange, time_range_of
from solve_producer.demo.simulation import Season, simulate
from tests.api.served import Served, problem_of, serving
from tests.events import BEGIN, registered
from tests.waiting import until
from tests.world import World

SEASON = Season(start=BEGIN, users=60, problems=40, events=1_500, seed=5)
INSIDES = ("asyncpg", "postgres://", "postgresql://", "127.0.0.1", "traceback", "connection refused", "select ")


async def boards_of(api: Served) -> list[Any]:
    """The same requests of the board, asked in every way."""
    first = await api.get("/api/leaderboard", params={"limit": 20})
    user_id = first["entries"][7]["user_id"]
    asked: list[dict[str, Any]] = [
        {"limit": 20},
        {"limit": 20, "cursor": first["next_cursor"]},
        {"limit": 5, "around": user_id},
        {"friends": f"{user_id},nobody,{first['entries'][2]['user_id']}"},
        {"limit": 20, "me": user_id},
    ]
    pages = [await api.get("/api/leaderboard", params=params) for params in asked]
    ranks = [(await api.get(f"/api/users/{one['user_id']}"))["rank"] for one in first["entries"][:5]]
    return [*({name: page[name] for name in page if name not in {"as_of", "source"}} for page in pages), ranks]


async def test_while_redis_is_unavailable_boards_are_the_same_and_name_their_source(
    breakable: World, stack: Stack
) -> None:
    world = breakable
    await world.publish(simulate(SEASON))
    await world.run_once()
    async with world.running(), serving(world) as api:
        await api.until_from("redis")
        from_redis = await boards_of(api)
        stack.valkey.kill()
        found = await api.anybody.get("/api/leaderboard")
        assert (found.status_code, found.headers["x-leaderboard-source"]) == (200, "postgresql")
        assert found.json()["source"] == "postgresql"
        assert await boards_of(api) == from_redis
        await asyncio.to_thread(stack.valkey.start)
        await api.until_from("redis")
        assert await boards_of(api) == from_redis


async def test_while_the_board_lacks_what_postgresql_has_it_is_read_from_postgresql(world: World) -> None:
    await world.publish(simulate(SEASON))
    await world.run_once()
    async with serving(world) as api:
        await api.until_from("redis")
        # as if the projector's writes to Redis were lost
        async with world.database() as database:
            await database.execute("UPDATE partition_offsets SET next_offset = next_offset + 1")
        await api.until_from("postgresql")
        async with world.database() as database:
            await database.execute("UPDATE partition_offsets SET next_offset = next_offset - 1")
        await api.until_from("redis")


@pytest.mark.parametrize("damage", ["epoch", "member", "score"])
async def test_what_nobody_of_ours_wrote_into_redis_is_not_read_and_nothing_stops_over_it(
    world: World, damage: str
) -> None:
    await world.publish(simulate(SEASON))
    await world.run_once()
    async with (
        serving(world) as api,
        api.admin() as admin,
        Redis.from_url(world.settings.redis_url.get_secret_value()) as redis,
    ):
        await api.until_from("redis")
        (current,) = await redis.keys(f"*{world.settings.leaderboard_prefix}*:current")
        (board,) = await redis.keys(f"*{world.settings.leaderboard_prefix}*:board")
        epoch = await redis.get(current)
        if damage == "epoch":
            await redis.set(current, "no number")
            await until(lambda: lag_problems(admin, {"redis"}), "the lag to say that Redis cannot be read")
        else:
            await redis.zadd(board, {b"\xff": -(2**52)} if damage == "member" else {"a": "-inf"})
        await api.until_from("postgresql")
        assert (await api.get("/api/leaderboard"))["total"] == len(world.model().solved)
        await redis.set(current, epoch)
        await redis.zrem(board, b"\xff", "a")
        await api.until_from("redis")
        await until(lambda: lag_problems(admin, set()), "the lag to be looked at again")


async def lag_problems(admin: httpx.AsyncClient, names: set[str]) -> bool:
    """Whether the latest snapshot of the lag missed these servers."""
    return (await admin.get("/api/admin/lag")).json()["problems"].keys() == names


async def test_without_postgresql_there_is_a_503_that_says_when_to_come_back_and_it_does(
    breakable: World, stack: Stack
) -> None:
    world = breakable
    await world.publish(simulate(SEASON))
    await world.run_once()
    async with serving(world) as api, api.admin() as admin:
        user_id = (await api.get("/api/leaderboard"))["entries"][0]["user_id"]
        stack.postgres.kill()
        for client, path in (
            (api.anybody, f"/api/users/{user_id}"),
            (api.anybody, "/api/leaderboard"),
            (api.anybody, "/api/leaderboard?period=week"),
            (admin, "/api/admin/session"),
            (admin, "/api/admin/dead-letters"),
        ):
            found = await client.get(path)
            problem_of(found, 503, "postgresql-unavailable")
            assert int(found.headers["retry-after"]) > 0
            assert not [word for word in INSIDES if word in found.text.lower()]
        problem_of(await api.anybody.get("/readyz"), 503, "postgresql-unavailable")
        assert (await api.anybody.get("/livez")).json() == {"status": "alive"}
        tried = await api.anybody.post("/api/admin/login", json={"name": "ada", "password": "wrong"})
        problem_of(tried, 503, "postgresql-unavailable")
        await asyncio.to_thread(stack.postgres.start)

        async def is_back() -> httpx.Response | None:
            found = await api.anybody.get(f"/api/users/{user_id}")
            return found if found.status_code == 200 else None

        async def is_ready() -> bool:
            return (await api.anybody.get("/readyz")).status_code == 200  # an answer is kept for a second

        back = await until(is_back, "the profile to be there again")
        assert back
        assert back.json()["problems_solved"] == world.model().solved[user_id].problems_solved
        assert (await admin.get("/api/admin/session")).status_code == 200
        await until(is_ready, "the API to be ready again")


async def test_a_server_that_starts_without_postgresql_serves_once_it_is_there(breakable: World, stack: Stack) -> None:
    world = breakable
    stack.postgres.kill()
    async with serving(world) as api:
        problem_of(await api.anybody.get("/api/leaderboard"), 503, "postgresql-unavailable")
        await asyncio.to_thread(stack.postgres.start)

        async def is_there() -> bool:
            return (await api.anybody.get("/api/leaderboard")).status_code == 200

        await until(is_there, "the board to be there")


async def test_without_kafka_pages_are_read_and_a_backfill_is_refused_with_nothing_changed(
    breakable: World, stack: Stack
) -> None:
    world = breakable
    await world.publish(simulate(SEASON))
    await world.run_once()
    async with serving(world) as api, api.admin() as admin:
        stack.kafka.kill()
        assert (await api.get("/api/leaderboard"))["total"] == len(world.model().solved)
        refused = await admin.post("/api/admin/backfill-problems-solved")
        problem_of(refused, 503, "kafka-unavailable")
        assert not [word for word in INSIDES if word in refused.text.lower()]
        job = (await admin.get("/api/admin/jobs")).json()["jobs"][0]
        assert job["state"] == "failed"
        assert not [word for word in INSIDES if word in job["error"].lower()]


async def test_a_request_that_finds_no_free_connection_is_refused_with_a_time_to_retry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a frozen PostgreSQL: the first requests wait for it, and the others do not wait for them."""
    await world.publish([registered("a")])
    await world.run_once()
    async with serving(world, api_pool_size=1) as api, world.database() as blocker:
        await blocker.execute("BEGIN; LOCK TABLE users")
        first = asyncio.create_task(api.anybody.get("/api/users/a"))
        await until(lambda: _waits(world), "the only connection to wait inside PostgreSQL")
        with monkeypatch.context() as impatient:
            impatient.setattr(database_module, "ACQUIRE_TIMEOUT_S", 0.2)
            for path in ("/api/users/a", "/readyz", "/api/leaderboard?period=day"):
                refused = await api.anybody.get(path)
                problem_of(refused, 503, "postgresql-unavailable")
                assert int(refused.headers["retry-after"]) > 0
        await blocker.execute("ROLLBACK")
        await first
        assert (await api.get("/api/users/a"))["user_id"] == "a"


async def _waits(world: World) -> bool:
    return bool(
        await world.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
    )


async def test_requests_for_a_period_that_cannot_be_computed_all_fail_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after another, each would wait for all before them."""
    started: list[object] = []

    async def compute(pool: asyncpg.Pool, period: TimeRange) -> Kept:
        started.append(period)
        return await build_first(pool, period)

    monkeypatch.setattr(kept_boards, "build_first", compute)
    async with serving(world) as api, world.database() as blocker:
        await blocker.execute("BEGIN; LOCK TABLE solves")
        questions = [{"period": "day", "limit": str(limit)} for limit in range(1, 8)]
        asked = [asyncio.create_task(api.anybody.get("/api/leaderboard", params=one)) for one in questions]
        for found in await asyncio.gather(*asked):
            problem_of(found, 503, "board-not-ready")
        assert len(started) == 1
        await blocker.execute("ROLLBACK")

        async def is_there() -> bool:
            return (await api.anybody.get("/api/leaderboard", params={"period": "day"})).status_code == 200

        await until(is_there, "the board of the day")


async def test_a_build_that_fails_after_everybody_has_left_is_nobodys_error(monkeypatch: pytest.MonkeyPatch) -> None:
    failing, said = asyncio.Event(), list[dict[str, Any]]()

    async def compute(_pool: asyncpg.Pool, _period: TimeRange) -> Kept:
        await failing.wait()
        raise ConnectionError

    async def nothing_is_kept(_self: KeptBoards, _period: TimeRange) -> None:
        return None

    monkeypatch.setattr(kept_boards, "build_first", compute)
    monkeypatch.setattr(KeptBoards, "_find", nothing_is_kept)
    day = time_range_of("day", ZoneInfo("UTC"), datetime(2026, 1, 1, tzinfo=UTC))
    assert day
    boards = KeptBoards(None)  # type: ignore[arg-type]
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: said.append(context))
    asked = asyncio.create_task(boards.ready(day, "an address", 60))
    for _ in range(10):  # until it is looked for, not found, and built
        await asyncio.sleep(0)
    asked.cancel()
    build = boards._builds[day].task
    failing.set()
    await asyncio.wait([asked, build])
    del boards, build
    gc.collect()
    loop.set_exception_handler(None)
    assert said == []
