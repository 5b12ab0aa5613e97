"""Kept boards: shared by processes, taken over from a killed one, bounded in number, and as old as they say."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from solve_api.database import open_request_pool
from solve_api.ranking import board_builds, kept_boards
from solve_api.ranking.board_builds import ALL_TIME, Kept, build_next, kept_of
from solve_api.ranking.kept_boards import KeptBoards, KeptPage, keeping_boards
from solve_api.ranking.periods import TimeRange
from solve_projector.domain.ranking import Mode, PageRequest, RankKey
from solve_projector.store.postgresql import DATABASE_ERRORS
from tests.api.ranking.test_boards import expected, rank_on
from tests.events import at
from tests.waiting import until
from tests.world import World

EVERYWHERE = TimeRange(at(-3600), at(3600))


@asynccontextmanager
async def processes(world: World, number: int) -> AsyncIterator[list[tuple[asyncpg.Pool, KeptBoards]]]:
    """As many processes of the API, as far as kept boards go."""
    async with AsyncExitStack() as stack:
        pools = [await stack.enter_async_context(open_request_pool(world.settings, 2)) for _ in range(number)]
        yield [(pool, await stack.enter_async_context(keeping_boards(pool))) for pool in pools]


async def page_of(boards: KeptBoards, period: TimeRange, client: str = "an address") -> KeptPage:
    while True:  # what this process knows to be kept may have been dropped by another
        assert await boards.ready(period, client, 60)
        if found := await boards.read(period, PageRequest(10), []):
            return found


async def add_solves(world: World, users: int) -> None:
    async with world.database() as database:
        await database.execute(
            "INSERT INTO users (user_id, username, problems_solved, last_solved_at)"
            " SELECT 'u' || n, 'u', 1, $1::timestamptz + n * interval '1 second' FROM generate_series(1, $2) AS n",
            at(0),
            users,
        )
        await database.execute(
            "INSERT INTO solves SELECT user_id, 'p', last_solved_at, 's' || user_id, '', '' FROM users"
        )


async def test_a_second_process_reads_the_board_that_the_first_built(world: World) -> None:
    await add_solves(world, 3)
    async with processes(world, 2) as [(_, first), (_, second)]:
        built = await page_of(first, EVERYWHERE)
        async with world.database() as database, database.transaction():
            await database.execute("LOCK TABLE solves")  # a build of its own would wait
            assert await page_of(second, EVERYWHERE) == built


async def test_a_board_says_when_it_is_from_and_is_built_again_while_somebody_reads(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_boards, "CHEAP_S", 0)  # as a large one, which nobody waits for
    await add_solves(world, 1)
    async with processes(world, 1) as [(_, boards)]:
        before = datetime.now(UTC)
        first = await page_of(boards, ALL_TIME)
        assert before <= first.as_of <= datetime.now(UTC)
        async with world.database() as database:
            await database.execute("UPDATE users SET problems_solved = 7")
        solved_at = datetime.now(UTC)

        async def seen() -> KeptPage | None:
            found = await page_of(boards, ALL_TIME)
            has_it = found.reading.rows[0].problems_solved == 7
            assert has_it or found.as_of < solved_at, "it claims to be newer than it is"
            return found if has_it else None

        await until(seen, "the board to be built again")


async def test_nobody_waits_for_a_large_board_that_is_built_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_boards, "CHEAP_S", 0)
    await add_solves(world, 1)
    async with processes(world, 1) as [(_, boards)], world.database() as database:
        await page_of(boards, EVERYWHERE)
        async with database.transaction():
            await database.execute("LOCK TABLE solves")
            first = await page_of(boards, EVERYWHERE)  # has it built again, also if that was done just before
            waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'solves'::regclass AND NOT granted"
            await until(lambda: world.value(waiting), "the next build")
            assert await page_of(boards, EVERYWHERE) == first


async def test_a_build_whose_process_was_killed_leaves_the_board_and_the_lock(world: World) -> None:
    await add_solves(world, 1)
    async with processes(world, 1) as [(pool, boards)], world.database() as database, world.database() as other:
        first = await page_of(boards, EVERYWHERE)
        async with database.transaction():
            await database.execute("LOCK TABLE solves")
            building = asyncio.create_task(built_again(pool))
            waiting = "SELECT pid FROM pg_locks WHERE relation = 'solves'::regclass AND NOT granted"
            pid = await until(lambda: other.fetchval(waiting), "the build")
            assert await built_beside(world) is None, "two builds at once"
            await other.execute("SELECT pg_terminate_backend($1)", pid)
            with pytest.raises(DATABASE_ERRORS):
                await building
            kept = await boards.read(EVERYWHERE, PageRequest(10), [])
            assert kept
            assert kept.as_of >= first.as_of
        await until(lambda: built_beside(world), "another process to build it")


async def built_again(pool: asyncpg.Pool) -> Kept:
    while True:  # after the pause
        if found := await build_next(pool, EVERYWHERE):
            return found
        await asyncio.sleep(0.01)


async def built_beside(world: World) -> Kept | None:
    async with open_request_pool(world.settings, 1) as pool:
        return await build_next(pool, EVERYWHERE)


async def test_few_boards_are_kept_and_none_that_nobody_asks_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_builds, "KEPT_MAX", 3)
    await add_solves(world, 1)
    days = [TimeRange(at(0) - timedelta(days=n), at(3600)) for n in range(5)]
    async with processes(world, 1) as [(pool, boards)], world.database() as database:
        for number, day in enumerate(days):
            await page_of(boards, day, f"address {number}")
        async with pool.acquire() as connection:
            assert set(await kept_of(connection, days)) == set(days[2:])
        for table in ("kept_places", "kept_ranks"):
            orphans = f"SELECT count(*) FROM {table} WHERE generation NOT IN (SELECT generation FROM kept_boards)"
            assert await database.fetchval(orphans) == 0
        await database.execute("UPDATE kept_boards SET asked_at = now() - interval '1 hour'")
        await page_of(boards, days[0])
        async with pool.acquire() as connection:
            assert set(await kept_of(connection, days)) == {days[0]}


async def test_a_board_of_several_thousand_places_is_read_across_its_rows(world: World) -> None:
    await add_solves(world, 2500)
    board = [RankKey(1, int(at(n).timestamp()), f"u{n}") for n in range(1, 2501)]
    async with processes(world, 1) as [(_, boards)]:
        for period in (ALL_TIME, EVERYWHERE):
            await page_of(boards, period)
            for place in (0, 998, 999, 1000, 1001, 1999, 2000, 2498, 2499):
                for mode in (Mode.AFTER, Mode.BEFORE, Mode.AROUND):
                    request = PageRequest(20, mode, board[place])
                    found = await boards.read(period, request, ["u1", "u1000", "u1001", "u2500", "u0"])
                    assert found
                    reading = found.reading
                    assert reading.rows == expected(board, request)
                    assert reading.total == 2500
                    assert board[reading.begin : reading.begin + len(reading.rows)] == reading.rows
                    ranks = {one: (rank, board[rank - 1]) for one, rank in _ranks(1, 1000, 1001, 2500)}
                    assert reading.places == ranks


async def test_who_is_equal_shares_a_rank_across_the_rows_of_a_board(world: World) -> None:
    await add_solves(world, 3500)
    equal = range(500, 3000)  # ends in one row of 1,000 places, and begins in another
    async with world.database() as database:
        for table, column in (("users", "last_solved_at"), ("solves", "solved_at")):
            await database.execute(
                f"UPDATE {table} SET {column} = $1 WHERE {column} BETWEEN $1 AND $2", at(equal[0]), at(equal[-1])
            )
    board = sorted(
        (RankKey(1, int(at(equal[0] if n in equal else n).timestamp()), f"u{n}") for n in range(1, 3501)),
        key=lambda one: (one.seconds, one.user_id),
    )
    async with processes(world, 1) as [(_, boards)]:
        for period in (ALL_TIME, EVERYWHERE):
            await page_of(boards, period)
            for place in (0, 498, 499, 500, 999, 1000, 2500, 2998, 2999, 3000, 3499):
                found = await boards.read(period, PageRequest(3, Mode.AFTER, board[place]), [board[place].user_id])
                assert found
                reading = found.reading
                assert reading.ranked() == [(rank_on(board, board.index(row)), row) for row in reading.rows]
                assert reading.places == {board[place].user_id: (rank_on(board, place), board[place])}


def _ranks(*ranks: int) -> list[tuple[str, int]]:
    return [(f"u{rank}", rank) for rank in ranks]
