"""Boards over HTTP: how pages lead to each other, and that whoever asks for every period holds nobody up."""

import asyncio
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import httpx
import pytest

from solve_api.ranking import kept_boards
from solve_api.ranking.board_builds import Kept, build_first
from solve_api.ranking.periods import TimeRange, time_range_of
from solve_projector.leaderboard.board import Leaderboard
from tests.api.served import problem_of, serving
from tests.events import BEGIN, registered, solved
from tests.waiting import until
from tests.world import World


async def test_boards_of_many_time_zones_leave_connections_to_whoever_asks_for_little(world: World) -> None:
    await world.publish([registered("u")])
    await world.run_once()
    async with serving(world, api_pool_size=4) as api, world.database() as database, database.transaction():
        await api.until_from("redis")
        await database.execute("LOCK TABLE solves")  # as if every period took long to compute
        zones = [f"Etc/GMT+{hours}" for hours in range(1, 9)]
        asked = [
            asyncio.create_task(api.anybody.get("/api/leaderboard", params={"period": "day", "tz": zone}))
            for zone in zones
        ]
        await until(lambda: _waiting_for_solves(world), "a board to be computed")
        assert (await api.get("/api/leaderboard"))["total"] == 0
        for one in await asyncio.gather(*asked):
            problem_of(one, 503, "board-not-ready")
            assert one.headers["retry-after"] == "2"


async def test_a_check_of_the_board_that_fails_leaves_nobody_with_an_old_board(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fails(self: Leaderboard, epoch: int) -> Any:
        raise KeyError("a reply of a newer version")

    await world.publish([registered("u"), solved("1", "u", "p")])
    await world.run_once()
    async with serving(world) as api:
        await api.until_from("redis")
        with monkeypatch.context() as broken:
            broken.setattr(Leaderboard, "state", fails)
            await api.until_from("postgresql")
        assert "Freshness.watch stopped, and starts again" in capsys.readouterr().out
        await api.until_from("redis")


async def test_one_address_that_asks_for_every_period_holds_up_neither_the_home_page_nor_another_address(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[TimeRange] = []
    may_go_on = asyncio.Semaphore(0)

    async def compute(pool: asyncpg.Pool, period: TimeRange) -> Kept:
        computed.append(period)
        await may_go_on.acquire()
        return await build_first(pool, period)

    async def ask(client: str, period: str, zone: str) -> httpx.Response:
        query = {"period": period, "tz": zone}
        return await api.anybody.get("/api/leaderboard", params=query, headers={"X-Forwarded-For": client})

    await world.publish([registered("u"), solved("1", "u", "p", (datetime.now(UTC) - BEGIN).total_seconds())])
    await world.run_once()
    monkeypatch.setattr(kept_boards, "build_first", compute)
    async with serving(world, api_pool_size=4, api_trusted_proxies=("127.0.0.1",)) as api:

        async def home_shows_today() -> bool:
            return 'id="today-u"' in (await api.anybody.get("/")).text

        async def is_answered() -> bool:
            return (await ask("192.0.2.2", "day", "Asia/Tokyo")).status_code == 200

        await api.until_from("redis")
        first = await api.anybody.get("/")
        assert "Being computed" in first.text
        assert "data-poll" in first.text
        may_go_on.release()
        await until(home_shows_today, "today's board")
        # each other day, week and month; one after the other so that their order is known
        zones = [f"Etc/GMT+{hours}" for hours in range(1, 13)]
        many = [ask("192.0.2.1", period, zone) for zone in zones for period in ("day", "week", "month")]
        answers = await asyncio.gather(*many)
        refused = [one for one in answers if one.status_code == 429]
        assert len(refused) >= len(many) - kept_boards.WAITING_MAX - 1
        for one in refused:
            problem_of(one, 429, "too-many-requests")
            assert one.headers["retry-after"] == "2"
        for one in answers:
            if one not in refused:
                problem_of(one, 503, "board-not-ready")
        assert await home_shows_today(), "it waited for boards of others"
        assert len(computed) == 2
        # two zones whose days begin at the same moments
        await asyncio.gather(ask("192.0.2.2", "day", "Asia/Tokyo"), ask("192.0.2.2", "day", "Asia/Seoul"))
        for _ in range(3):  # the one that runs, the next of the many, and the other address's
            may_go_on.release()
        await until(is_answered, "the other address's turn")
        assert computed[3] == time_range_of("day", ZoneInfo("Asia/Tokyo"), datetime.now(UTC))
        assert len(set(computed)) == len(computed)


async def _waiting_for_solves(world: World) -> bool:
    waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'solves'::regclass AND NOT granted"
    return bool(await world.value(waiting))


async def test_pages_of_a_board_lead_to_each_other(world: World) -> None:
    users = [f"u{number:02}" for number in range(25)]
    await world.publish(registered(user) for user in users)
    await world.publish(solved(f"s{user}", user, "p", number) for number, user in enumerate(users))
    await world.run_once()
    async with serving(world) as api:
        first = await api.get("/api/leaderboard", params={"limit": 10, "me": "u13"})
        assert (first["total"], first["previous_cursor"], first["me"]["rank"]) == (25, None, 14)
        second = await api.get("/api/leaderboard", params={"limit": 10, "cursor": first["next_cursor"]})
        third = await api.get("/api/leaderboard", params={"limit": 10, "cursor": second["next_cursor"]})
        assert third["next_cursor"] is None
        ranks = [one["rank"] for page in (first, second, third) for one in page["entries"]]
        assert all(after == before + 1 for before, after in pairwise(ranks))
        back = await api.get("/api/leaderboard", params={"limit": 10, "cursor": third["previous_cursor"]})
        assert back["entries"] == second["entries"]
        around = await api.get("/api/leaderboard", params={"limit": 5, "around": "u13"})
        assert [one["user_id"] for one in around["entries"]] == ["u11", "u12", "u13", "u14", "u15"]
        friends = await api.get("/api/leaderboard", params={"friends": "u20,u03,nobody,u20"})
        assert [(one["rank"], one["user_id"]) for one in friends["entries"]] == [(4, "u03"), (21, "u20")]
        assert friends["unranked"] == ["nobody"]
