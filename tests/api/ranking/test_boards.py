"""One order of the board, whether it is read from Redis, PostgreSQL, memory or a plain sorted list."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from solve_api.database import open_request_pool
from solve_api.errors import CursorRefused
from solve_api.ranking.boards import Boards, Sourced
from solve_api.ranking.bodies import BoardEntry, LeaderboardPage
from solve_api.ranking.cursor import cursor_of, next_cursor, page_request_of, previous_cursor
from solve_api.ranking.freshness import Freshness
from solve_api.ranking.kept_boards import keeping_boards
from solve_api.ranking.leaderboard import BoardQuestion, leaderboard, period_of
from solve_api.ranking.periods import TimeRange
from solve_projector.domain.ranking import Mode, PageRequest, RankKey
from solve_projector.errors import UserUnknown
from solve_projector.leaderboard.board import Leaderboard, open_leaderboard
from solve_projector.operations.retry_dead_letters import retry
from solve_projector.store.dead_letters import Selection
from tests.events import at, registered, solved
from tests.projector.dead_letters import add_dead_letters
from tests.world import World

UTC_ZONE = ZoneInfo("UTC")
# ids in an order that only bytes give, and ties in count and second
USERS = ["a", "B", "b", "é", "z", "𝄞", "aa", "a b", "~", "日本"]


@asynccontextmanager
async def boards_of(world: World) -> AsyncIterator[tuple[asyncpg.Pool, Boards, Leaderboard, Freshness]]:
    topic = world.connection.topic
    async with (
        open_request_pool(world.settings, 4) as pool,
        open_leaderboard(world.settings, topic) as board,
        keeping_boards(pool) as kept,
    ):
        freshness = Freshness(pool, board, topic)
        await freshness.check()
        yield pool, Boards(pool, board, freshness, kept), board, freshness


async def crowd(world: World) -> list[RankKey]:
    """Ten users on the board, one who is not; the board as a sorted list."""
    events = [registered(user) for user in [*USERS, "nothing"]]
    for number, user in enumerate(USERS):
        when = 60 * (number // 4) + 0.25 * (number % 4)
        events += [solved(f"{user}-{problem}", user, f"p{problem}", when) for problem in range(1 + number % 3)]
    await world.publish(events)
    await world.run_once()
    return [
        RankKey(user.problems_solved, int(user.last_solved_at.timestamp()), user_id)
        for user_id, user in sorted(
            ((one, found) for one, found in world.model().solved.items() if found.problems_solved),
            key=lambda item: (-item[1].problems_solved, int(item[1].last_solved_at.timestamp()), item[0].encode()),
        )
    ]


def rank_on(board: list[RankKey], place: int) -> int:
    """One more than those who are better; who is equal shares it."""
    mine = board[place]
    return 1 + sum((one.problems_solved, -one.seconds) > (mine.problems_solved, -mine.seconds) for one in board)


def expected(board: list[RankKey], request: PageRequest) -> list[RankKey]:
    """A few plain lines."""
    key = [(-solved, seconds, user_id.encode()) for solved, seconds, user_id in board]
    solved, seconds, user_id = request.position
    here = (-solved, seconds, user_id.encode())
    if request.mode is Mode.AFTER:
        return [row for row, at in zip(board, key, strict=True) if at > here][: request.limit]
    if request.mode is Mode.BEFORE:
        return [row for row, at in zip(board, key, strict=True) if at < here][-request.limit :]
    index = [row.user_id for row in board].index(user_id) if request.mode is Mode.AROUND else 0
    begin = max(0, index - request.limit // 2)
    return board[begin : begin + request.limit]


async def test_redis_postgresql_memory_and_a_plain_list_give_the_same_requests(world: World) -> None:
    board = await crowd(world)
    everywhere = TimeRange(at(-3600), at(3600))
    positions = [*board, RankKey(9, 0, "x"), RankKey(0, 0, ""), RankKey(2, board[0].seconds, "b\x7f")]
    requests = [PageRequest(limit) for limit in (1, 3, 50)]
    for limit in (1, 3, 50):
        requests += [PageRequest(limit, mode, one) for mode in (Mode.AFTER, Mode.BEFORE) for one in positions]
        requests += [PageRequest(limit, Mode.AROUND, one) for one in board]
    async with boards_of(world) as (_, boards, _, freshness):
        for request in requests:
            said = expected(board, request)
            for source in ("postgresql", "redis"):
                freshness.in_sync = source == "redis"
                found = await boards.read(request, ["b", "nothing", "nobody"], None)
                assert found.source == source
                check(found, said, board)
            await boards.require(everywhere, "an address")
            check(await boards.read(request, ["b", "nothing", "nobody"], everywhere), said, board)


def check(found: Sourced, said: list[RankKey], board: list[RankKey]) -> None:
    reading = found.reading
    assert reading.rows == said
    assert reading.total == len(board)
    assert [board[reading.begin + number] for number in range(len(said))] == said
    assert reading.ranked() == [(rank_on(board, reading.begin + number), row) for number, row in enumerate(said)]
    assert reading.places == {
        one.user_id: (rank_on(board, board.index(one)), one) for one in board if one.user_id == "b"
    }


@given(cursor=st.text(max_size=60))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_a_cursor_of_ours_or_refused(cursor: str) -> None:
    with suppress(CursorRefused):
        request = page_request_of(cursor, 10)
        assert page_request_of(cursor_of(request.mode, request.position), 10) == request


async def test_pages_lead_through_the_whole_board_and_back(world: World) -> None:
    board = [one.user_id for one in await crowd(world)]
    async with boards_of(world) as (_, boards, _, freshness):
        freshness.in_sync = True

        async def page(cursor: str | None) -> LeaderboardPage:
            return await leaderboard(boards, BoardQuestion("all", UTC_ZONE, 4, cursor))

        first = await page(None)
        second = await page(first.next_cursor)
        third = await page(second.next_cursor)
        seen = [*first.entries, *second.entries, *third.entries]
        assert [one.user_id for one in seen] == board
        assert [one.rank for one in seen] == [1, 2, 3, 4, 5, 5, 7, 7, 9, 10]
        assert {one.user_id: one.username for one in seen}["b"] == "name of b"
        assert (first.previous_cursor, third.next_cursor) == (None, None)
        back = await page(third.previous_cursor)
        assert back.entries == second.entries
        assert (await page(back.previous_cursor)).entries == first.entries


async def test_a_page_that_everybody_has_left_leads_back_to_the_end_they_went_to(world: World) -> None:
    board = await crowd(world)
    async with boards_of(world) as (_, boards, _, freshness):
        everywhere = TimeRange(at(-3600), at(3600))
        for window, source in ((None, "redis"), (None, "postgresql"), (everywhere, "postgresql")):
            freshness.in_sync = source == "redis"
            below = await boards.read(PageRequest(4, Mode.AFTER, board[-1]), [], window)
            above = await boards.read(PageRequest(4, Mode.BEFORE, board[0]), [], window)
            assert (below.source, below.reading.rows, above.reading.rows) == (source, [], [])
            assert (next_cursor(below.reading), previous_cursor(above.reading)) == (None, None)
            last = await boards.read(page_request_of(previous_cursor(below.reading) or "", 4), [], window)
            first = await boards.read(page_request_of(next_cursor(above.reading) or "", 4), [], window)
            assert (last.reading.rows, first.reading.rows) == (board[-4:], board[:4])
        nobody = TimeRange(at(3600), at(7200))
        empty = (await boards.read(PageRequest(4, Mode.AFTER, board[-1]), [], nobody)).reading
        assert (empty.total, next_cursor(empty), previous_cursor(empty)) == (0, None, None)


async def test_who_moves_between_two_pages_shifts_nobody_else_out(world: World) -> None:
    board = [one.user_id for one in await crowd(world)]
    async with boards_of(world) as (_, boards, _, freshness):
        freshness.in_sync = True
        first = await leaderboard(boards, BoardQuestion("all", UTC_ZONE, 4))
        last = board[-1]
        await world.publish([solved(f"new-{n}", last, f"new-{n}", 9000) for n in range(9)])
        await world.run_once()
        second = await leaderboard(boards, BoardQuestion("all", UTC_ZONE, 4, first.next_cursor))
        assert [one.user_id for one in second.entries] == board[4:8]
        assert [one.rank for one in second.entries] == [6, 6, 8, 8]


async def test_around_friends_and_me(world: World) -> None:
    ranked = await crowd(world)
    board = [one.user_id for one in ranked]
    async with boards_of(world) as (_, boards, _, freshness):
        freshness.in_sync = True
        place = 4
        near = await leaderboard(boards, BoardQuestion("all", UTC_ZONE, 3, around=board[place]))
        assert [one.user_id for one in near.entries] == board[place - 1 : place + 2]
        assert isinstance(near.me, BoardEntry)
        assert near.me.rank == rank_on(ranked, place)
        friends = await leaderboard(
            boards, BoardQuestion("all", UTC_ZONE, 3, friends=("nothing", "z", "a", "nobody"), me="nothing")
        )
        assert [one.user_id for one in friends.entries] == sorted(["z", "a"], key=board.index)
        assert friends.unranked == ["nothing", "nobody"]
        assert friends.me is None
        assert (friends.next_cursor, friends.previous_cursor) == (None, None)
        with pytest.raises(UserUnknown, match="nobody"):
            await leaderboard(boards, BoardQuestion("all", UTC_ZONE, 3, around="nobody"))


async def test_a_period_counts_first_solves_alone(world: World) -> None:
    """A problem solved before the period, and again in it, is none of it."""
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    seconds = (today - at(0)).total_seconds()
    await world.publish(
        [
            registered("u"),
            registered("v"),
            solved("1", "u", "old", seconds - 60),
            solved("2", "u", "old", seconds + 1),
            solved("3", "u", "new", seconds + 2),
            solved("4", "u", "new", seconds + 3),
            solved("5", "v", "old", seconds - 1),
        ]
    )
    await world.run_once()
    async with boards_of(world) as (_, boards, _, _):
        asked = BoardQuestion("day", UTC_ZONE, 10, me="v")
        page = await leaderboard(boards, asked, await period_of(boards, asked, "an address"))
    assert [(one.user_id, one.problems_solved, one.last_solved_at) for one in page.entries] == [
        ("u", 1, today.replace(second=2))
    ]
    assert (page.total, page.me, page.begins_at, page.source) == (1, None, today, "postgresql")


async def test_a_board_that_lacks_what_postgresql_had_before_is_not_read(world: World) -> None:
    await crowd(world)
    async with boards_of(world) as (_, boards, board, freshness):
        await freshness.check()
        await freshness.check()
        assert freshness.in_sync
        async with world.database() as database:  # as if a write to Redis had been lost
            await database.execute("UPDATE partition_offsets SET next_offset = next_offset + 1")
        await freshness.check()
        assert freshness.in_sync, "one check cannot tell a lost write from one on its way"
        await freshness.check()
        assert not freshness.in_sync
        assert (await boards.read(PageRequest(1), [], None)).source == "postgresql"
        standing = (await board.rows_of(["b"]))["b"]
        rank = await boards.rank_of(RankKey(3, int(standing.last_solved_at.timestamp()), "b"))
        assert rank
        assert rank.rank == standing.rank


async def test_a_process_that_starts_does_not_read_a_stale_board(world: World) -> None:
    await crowd(world)
    async with world.database() as database:  # as if a write to Redis had been lost
        await database.execute("UPDATE partition_offsets SET next_offset = next_offset + 1")
    async with boards_of(world) as (_, _, _, freshness):
        await freshness.check()
        assert not freshness.in_sync
        async with world.database() as database:
            await database.execute("UPDATE partition_offsets SET next_offset = next_offset - 1")
    async with boards_of(world) as (_, _, _, freshness):
        await freshness.check()
        assert freshness.in_sync


async def test_a_board_whose_members_were_evicted_is_not_read(world: World) -> None:
    board = await crowd(world)
    async with boards_of(world) as (_, boards, _, freshness):
        await freshness.check()
        assert freshness.in_sync
        async with Redis.from_url(world.settings.redis_url.get_secret_value()) as redis:
            (key,) = await redis.keys(f"*{world.settings.leaderboard_prefix}*:board")
            await redis.delete(key)
        await freshness.check()
        found = await boards.read(PageRequest(1), [], None)
        assert (found.source, found.reading.total) == ("postgresql", len(board))


async def test_a_board_that_lacks_what_no_offset_stands_for_is_not_read(world: World) -> None:
    """A dead letter that is retried while no projector runs: nobody but a projector writes to Redis."""
    await crowd(world)
    dead = await add_dead_letters(world, [solved("late", "b", "late", 5000)])
    async with boards_of(world) as (_, boards, _, freshness), world.database() as database:
        await freshness.check()
        await freshness.check()
        assert freshness.in_sync
        assert (await retry(database, world.connection.topic, Selection(tuple(dead)))).applied == 1
        retried_at = datetime.now(UTC)
        await freshness.check()
        await freshness.check()
        found = await boards.read(PageRequest(0), ["b"], None)
        assert found.as_of >= retried_at
        assert (found.source, found.reading.places["b"][1].problems_solved) == ("postgresql", 4)
        await world.run_once()
        await freshness.check()
        assert freshness.in_sync
        assert (await boards.read(PageRequest(0), ["b"], None)).reading.places["b"][1].problems_solved == 4


async def test_a_board_of_another_epoch_is_not_read(world: World) -> None:
    await crowd(world)
    async with boards_of(world) as (_, _, _, freshness):
        await freshness.check()
        assert freshness.in_sync
        async with world.database() as database:
            epoch = await database.fetchval("UPDATE leaderboard_epoch SET epoch = epoch + 1 RETURNING epoch")
        await freshness.check()
        assert not freshness.in_sync
        async with Redis.from_url(world.settings.redis_url.get_secret_value(), decode_responses=True) as redis:
            for what in ("board", "watermarks"):  # as if it was built, and readers not yet switched
                (key,) = await redis.keys(f"*{world.settings.leaderboard_prefix}*:{what}")
                await redis.copy(key, key.replace(f":{epoch - 1}:", f":{epoch}:"))
        await freshness.check()
        assert not freshness.in_sync
