"""Live updates: every change arrives, whatever fails, and never an older one after a newer one."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import NoReturn

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from devstack import Stack
from solve_projector.leaderboard.board import changes_key, open_leaderboard
from solve_projector.replay.replaying import ReplayOptions, replay
from solve_projector.store.counts import Standing
from tests.api.listening import Listener, hearing
from tests.events import at, registered, solved
from tests.waiting import until
from tests.world import World

NOWHERE = SecretStr("redis://127.0.0.1:1/0")


@pytest.fixture
async def redis(world: World) -> AsyncIterator[Redis]:
    client = Redis.from_url(world.settings.redis_url.get_secret_value())
    yield client
    await client.aclose()


async def test_a_solve_is_heard_by_who_watches_the_user_and_the_board(world: World) -> None:
    async with world.running(), hearing(world) as api:
        await api.started()
        page, other = await api.listen("a", "é 𝄞", board=True), await api.listen("b")
        assert page.headers["content-type"].startswith("text/event-stream")
        assert (page.headers["cache-control"], page.headers["x-accel-buffering"]) == ("no-store", "no")
        await world.publish([registered("a"), registered("é 𝄞"), solved("1", "a", "p", 7.5)])
        await page.until_counts("a", 1)
        await page.until_board("a")
        await world.publish([solved("2", "é 𝄞", "p", 8)])
        await page.until_counts("é 𝄞", 1)
        (first, *_) = page.of("user")
        assert first | {"version": 0} == {
            "user_id": "a",
            "problems_solved": 1,
            "last_solved_at": "2026-01-01T00:00:07Z",
            "version": 0,
        }
        assert await world.value("SELECT version FROM users WHERE user_id = 'a'") == first["version"]
        assert other.heard == []


async def test_a_new_stream_starts_with_the_standings_of_its_users(world: World) -> None:
    await world.publish([registered("a"), registered("idle"), solved("1", "a", "p", 1)])
    await world.run_once()
    async with hearing(world) as api:
        page = await api.listen("a", "idle", "nobody")
        await page.until_counts("a", 1)
        await page.until_counts("idle", 0)
        assert {data["user_id"]: data["last_solved_at"] for data in page.of("user")} == {
            "a": "2026-01-01T00:00:01Z",
            "idle": None,
        }


async def test_streams_go_on_after_an_unexpected_error(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails_once(*_: object) -> NoReturn:
        monkeypatch.undo()
        raise KeyError("an entry of a newer version")

    async with world.running(), hearing(world) as api:
        await api.started()
        page = await api.listen("a", board=True)
        monkeypatch.setattr("solve_api.live.changes.read_entry", fails_once)
        await world.publish([registered("a"), solved("1", "a", "p", 1)])
        await page.until_counts("a", 1)
        await world.publish([solved("2", "a", "q", 2)])
        await page.until_counts("a", 2)
        assert "Changes.follow stopped, and starts again" in capsys.readouterr().out


@pytest.mark.parametrize("by", ["header", "query"])
async def test_a_stream_that_was_cut_off_goes_on_where_it_was(world: World, by: str) -> None:
    async with world.running(), hearing(world) as api:
        await api.started()
        page = await api.listen("a", "b", board=True)
        await world.publish([registered("a"), registered("b"), registered("c"), solved("1", "a", "p", 1)])
        await page.until_counts("a", 1)
        await page.until_board("a")
        await page.close()
        here = await api.listen("a", board=True)
        for number in range(2, 6):
            await world.publish([solved(f"a{number}", "a", f"p{number}", number)])
            await here.until_counts("a", number)
        await world.publish([solved("b", "b", "p", 9), solved("c", "c", "p", 9)])
        await here.until_board("b", "c")
        resumed = await api.listen(
            "a", "b", board=True, **({"last_id": page.last_id} if by == "header" else {"last_event_id": page.last_id})
        )
        await resumed.until_board("a", "b", "c")
        await resumed.until_counts("a", 5)
        await resumed.until_counts("b", 1)
        assert resumed.of("reset") == []
        assert resumed.counts("a") == [5]  # only the newest is sent
        newest = {row["user_id"]: row["problems_solved"] for row in resumed.of("board")[0]["changed"]}
        assert newest == {"a": 5, "b": 1, "c": 1}
        await world.publish([solved("a6", "a", "p6", 10)])
        await resumed.until_counts("a", 6)


async def test_a_reader_that_missed_nothing_is_sent_nothing(world: World) -> None:
    async with world.running(), hearing(world) as api:
        await api.started()
        page = await api.listen(board=True)
        await world.publish([registered("a"), solved("1", "a", "p", 1)])
        await page.until_board("a")
        resumed = await api.listen(board=True, last_id=page.last_id)
        await until(lambda: resumed.last_id == page.last_id)
        assert resumed.heard == []


async def test_a_reader_that_missed_too_many_changes_fetches_the_board(world: World) -> None:
    async with open_leaderboard(world.settings, world.connection.topic) as board, hearing(world) as api:
        await api.started()
        await board.write(1, [Standing("a", 1, at(1), 1)])
        page = await api.listen(board=True)
        await until(lambda: page.last_id != "0-0" and page.last_id)
        for version in range(2, 300):
            await board.write(1, [Standing("a", version, at(1), version)])
        await until(
            lambda: api.changes.hub.board_notified_to == api.changes.hub.users_notified_to, "everything to be shown"
        )
        await page.until_board("a")
        first = page.heard[0].id if page.heard else page.last_id
        resumed = await api.listen(board=True, last_id=first)
        await until(lambda: resumed.of("board"))
        assert resumed.of("reset") == []


@pytest.mark.parametrize("last_id", ["trimmed", "malformed", "of the future", "never was"])
async def test_a_reader_that_cannot_continue_is_reset(world: World, redis: Redis, last_id: str) -> None:
    key = changes_key(world.settings.leaderboard_prefix)
    async with world.running(), hearing(world) as api:
        await api.started()
        page = await api.listen("a", board=True)
        await world.publish([registered("a"), solved("1", "a", "p", 1)])
        await page.until_counts("a", 1)
        await page.until_board("a")
        stale = page.last_id
        await page.close()
        here = await api.listen("a", board=True)
        await world.publish([solved("2", "a", "q", 2)])
        await here.until_counts("a", 2)
        await here.until_board("a")
        assert await redis.xtrim(key, maxlen=1, approximate=False)
        said = {"trimmed": stale, "malformed": "7", "of the future": "9" * 16 + "-0", "never was": "1-0"}[last_id]
        resumed = await api.listen("a", board=True, last_id=said)
        await until(lambda: resumed.of("reset"), "the reset")
        assert resumed.heard[0].kind == "reset"
        await resumed.until_counts("a", 2)
        assert (await _first_event(await api.listen("a", last_id=said))) == "reset"
        assert (await _first_event(await api.listen("a", last_id=here.last_id))) == "user"


async def _first_event(page: Listener) -> str:
    await until(lambda: page.heard)
    return page.heard[0].kind


async def test_what_a_replay_repairs_and_what_a_sweep_applies_is_heard(world: World) -> None:
    await world.publish([registered("a"), solved("1", "a", "p", 1), solved("2", "late", "p", 2)])
    await world.run_once()
    async with world.database() as connection:
        await connection.execute("UPDATE users SET problems_solved = 7 WHERE user_id = 'a'")
    async with world.running(), hearing(world) as api:
        await api.started()
        page = await api.listen("a", "late", board=True)
        await page.until_counts("a", 7)
        await replay(world.connection, world.settings, ReplayOptions(), lambda *_: None)
        await page.until_counts("a", 1)
        await page.until_board("a")
        async with world.database() as connection:
            await connection.execute("INSERT INTO users (user_id, username) VALUES ('late', 'x')")
        await page.until_counts("late", 1)
        await page.until_board("late")


async def test_a_write_that_never_reached_redis_is_heard(world: World) -> None:
    async with world.running(redis_url=NOWHERE), hearing(world) as api:
        await api.started()
        page = await api.listen("a")
        await world.publish([registered("a"), solved("1", "a", "p", 1)])
        await page.until_counts("a", 1)


async def test_a_database_that_went_back_begins_everything_anew(world: World) -> None:
    await world.publish([registered("a"), solved("1", "a", "p", 1)])
    await world.run_once()
    async with hearing(world) as api:
        page = await api.listen("a", board=True)
        await page.until_counts("a", 1)
        async with world.database() as connection:
            await connection.execute("UPDATE users SET problems_solved = 0, last_solved_at = NULL, version = 1")
            await connection.execute("UPDATE leaderboard_epoch SET epoch = epoch + 1")
        await until(lambda: page.counts("a") == [1, 0])
        assert [event.kind for event in page.heard if event.kind != "board"] == ["user", "reset", "user"]
        await until(lambda: any(data["many"] for data in page.of("board")))


async def test_redis_killed_costs_no_news_and_its_return_is_noticed(breakable: World, stack: Stack) -> None:
    world = breakable
    async with world.running(), hearing(world) as api:
        await api.started()
        page = await api.listen("a", board=True)
        await world.publish([registered("a"), solved("1", "a", "p1", 1)])
        await page.until_counts("a", 1)
        await page.until_board("a")
        stack.valkey.kill()
        await until(lambda: api.changes.unavailable, "the loss to be noticed")
        known = page.last_id
        await world.publish([solved("2", "a", "p2", 2)])
        await page.until_counts("a", 2)
        assert page.last_id == known
        assert (await _first_event(await api.listen("a", last_id=known))) == "reset"
        boards = len(page.of("board"))
        stack.valkey.start()
        await world.until_right()
        await until(lambda: any(data["many"] for data in page.of("board")[boards:]), "the board to be fetched anew")
        await api.started()
        await world.publish([solved("3", "a", "p3", 3)])
        await page.until_counts("a", 3)
        await until(lambda: page.last_id not in ("", known), "ids to go on")


async def test_who_reads_the_board_fetches_it_anew_after_a_connection_that_broke(breakable: World) -> None:
    url, topic = breakable.settings.redis_url.get_secret_value(), breakable.connection.topic
    async with (
        open_leaderboard(breakable.settings, topic) as board,
        hearing(breakable) as api,
        Redis.from_url(url) as redis,
    ):
        await api.started()
        page = await api.listen(board=True)
        await board.write(1, [Standing("a", 1, at(1), 1)])
        await page.until_board("a")
        boards = len(page.of("board"))
        (reader,) = [one for one in await redis.client_list() if one["name"] == "solve-api"]
        await redis.client_kill_filter(_id=reader["id"])
        await until(lambda: any(data["many"] for data in page.of("board")[boards:]), "the board to be fetched anew")
        assert page.of("reset") == []


async def test_an_entry_nobody_understands_is_a_reason_to_fetch_the_board_anew(world: World, redis: Redis) -> None:
    async with open_leaderboard(world.settings, world.connection.topic) as board, hearing(world) as api:
        await api.started()
        page = await api.listen("a", board=True)
        entry_id = await redis.xadd(changes_key(world.settings.leaderboard_prefix), {"of": "a later version"})
        await until(lambda: page.last_id == entry_id.decode() and page.of("board"), "the entry to be passed over")
        assert page.of("board")[-1] == {"changed": [], "many": True}
        await board.write(1, [Standing("a", 1, at(1), 1)])
        await page.until_counts("a", 1)


async def test_streams_stay_open_while_postgresql_is_unavailable(breakable: World, stack: Stack) -> None:
    world = breakable
    async with world.running(), hearing(world) as api:
        await api.started()
        page = await api.listen("a", board=True)
        await world.publish([registered("a"), solved("1", "a", "p1", 1)])
        await page.until_counts("a", 1)
        stack.postgres.kill()

        async def refused() -> Listener | None:
            page = await api.listen("a")
            return page if page.status != 200 else None

        answer = await until(refused, "PostgreSQL to be missed")
        assert (answer.status, answer.headers["content-type"]) == (503, "application/problem+json")
        assert json.loads(answer.body)["type"] == "urn:solve-counts:problem:postgresql-unavailable"
        await world.publish([solved("2", "a", "p2", 2)])
        await asyncio.to_thread(stack.postgres.start)
        await page.until_counts("a", 2)
        assert page.open
