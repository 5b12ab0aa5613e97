"""A process that nobody looks at leaves its servers alone, and is right at once for whoever comes back."""

import asyncio
from typing import Any

import pytest

from solve_api import attention
from solve_api.stores import Stores
from solve_projector.leaderboard.board import open_leaderboard
from tests.api.listening import hearing
from tests.api.served import Served, serving
from tests.events import registered, solved
from tests.waiting import until
from tests.world import World

BOARD = "/api/leaderboard"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "REST_AFTER_S", 0.1)


def stores_of(server: Any) -> Stores:
    found: Stores = server.config.app.state.stores
    return found


async def until_resting(stores: Stores) -> None:
    """Waits until nothing of the process measures, checks or follows."""
    parts = (stores.boards._freshness, stores.changes, stores.lag)
    await until(lambda: all(one.attention.resting for one in parts), "the process to rest")


async def statements(world: World) -> dict[int, Any]:
    """When each of the API's connections to PostgreSQL last did something."""
    asked = (
        "SELECT pid, query_start FROM pg_stat_activity WHERE application_name IN ('solve-api', 'solve-projector-lag')"
    )
    return {row[0]: row[1] for row in await world.fetch(asked + " AND datname = current_database()")}


async def commands(world: World) -> dict[str, str]:
    """How much each of the API's connections ever sent to Redis."""
    async with open_leaderboard(world.settings, world.connection.topic) as board, board._redis.session() as redis:
        clients = await redis.client_list()
    return {one["id"]: one["tot-net-in"] for one in clients if one["name"] == "solve-api"}


async def use(api: Served) -> int:
    """Looks at a board, and says how often the process has checked by now."""
    await api.get(BOARD)
    return stores_of(api._server).boards._freshness.checks


async def test_a_process_that_nobody_looks_at_asks_no_server(world: World) -> None:
    async with serving(world) as idle:
        await use(idle)
        resting = stores_of(idle._server)
        await until_resting(resting)
        before = await statements(world), await commands(world), await use_nothing(resting)
        async with serving(world) as busy:
            first = await use(busy)

            async def has_checked() -> bool:
                return await use(busy) >= first + 3

            await until(has_checked, "a process that is looked at to check")
            after = await statements(world), await commands(world), await use_nothing(resting)
        assert {pid: after[0].get(pid, at) for pid, at in before[0].items()} == before[0]
        assert {one: after[1].get(one, sent) for one, sent in before[1].items()} == before[1]
        assert after[2] == before[2]


async def use_nothing(stores: Stores) -> tuple[int, bool]:
    """What would change if the process did something."""
    return stores.boards._freshness.checks, stores.changes.attention.resting


def waking_within(seconds: float) -> set[str]:
    """Tasks of this event loop whose sleep or time limit is over so soon, each by its innermost function."""
    loop: Any = asyncio.get_running_loop()
    due = [one for one in loop._scheduled if not one.cancelled() and one.when() < loop.time() + seconds]
    sleeps = {argument for one in due for argument in one._args or () if isinstance(argument, asyncio.Future)}
    limited = {getattr(getattr(one._callback, "__self__", None), "_task", None) for one in due}
    found = set()
    task: Any
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        if task in limited or task._fut_waiter in sleeps:
            coroutine, names = task.get_coro(), []
            while hasattr(coroutine, "cr_await"):
                names.append(coroutine.__qualname__)
                coroutine = coroutine.cr_await
            found.add([name for name in names if name != "sleep"][-1])
    return found


async def test_a_process_that_nobody_looks_at_wakes_for_nothing(world: World) -> None:
    async with serving(world) as api:
        await use(api)
        assert {"Server.main_loop"} < waking_within(10)
        await until_resting(stores_of(api._server))
        found: set[str] = set()

        def is_alone() -> bool:
            nonlocal found
            found = waking_within(10)
            return found == {"Server.main_loop"}

        try:
            await until(is_alone, "only uvicorn's own clock")
        except AssertionError as error:
            raise AssertionError(f"{error}: {found}") from None


async def test_whoever_comes_back_reads_what_is_right_now(world: World) -> None:
    await world.publish([registered("a"), solved("1", "a", "p", 1)])
    await world.run_once()
    async with serving(world) as api:
        await api.until_from("redis")
        await until_resting(stores_of(api._server))
        await world.publish([solved("2", "a", "q", 2)])
        await world.run_once()
        async with (
            open_leaderboard(world.settings, world.connection.topic) as board,
            board._redis.session() as redis,
        ):
            await redis.delete(  # as if Redis had lost its board
                *[one async for one in redis.scan_iter(match=f"*{world.settings.leaderboard_prefix}*")]
            )
        found = await api.anybody.get(BOARD)
        assert [one["problems_solved"] for one in found.json()["entries"]] == [2]
        assert found.headers["x-leaderboard-source"] == "postgresql"
        async with api.admin() as admin:
            await until_resting(stores_of(api._server))
            assert (await admin.get("/api/admin/lag")).json()["lag"] == 0


async def test_a_stream_that_opens_after_a_rest_hears_everything(world: World) -> None:
    await world.publish([registered("a")])
    async with world.running(), hearing(world) as api:
        await world.until_right()
        for count in (1, 2):
            await until_resting(stores_of(api.server))
            page = await api.listen("a", board=True)
            await world.publish([solved(str(count), "a", str(count), count)])
            await page.until_counts("a", count)
            await page.until_board("a")
            await page.close()
