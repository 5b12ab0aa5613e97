"""Kept boards: shared by processes, taken over from a killed one, bounded in number, and as old as they say."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from solve_api.database import open_request_pool
from solve_api.ranking import board_builds, kept_boards
from solve_api.ranking.board_builds import ALL_TIME, KEPT_SQL, Kept, build_first, build_next, kept_of
from solve_api.ranking.kept_boards import KeptBoards, KeptPage, keeping_boards
from solve_api.ranking.periods import TimeRange
from solve_projector.domain.ranking import Mode, PageRequest, RankKey
from solve_projector.live.recounts import Recounts
from solve_projector.store.postgresql import DATABASE_ERRORS, open_pool
from solve_schemas.events import Event
from tests.api.expected import BEFORE_EVERYTHING, Place, State, is_shown, is_withdrawn, order_of, page_of, rank_of
from tests.api.ranking.test_boards import expected, rank_on
from tests.events import at
from tests.events import events as any_events
from tests.projector.store.test_counts import Log, empty
from tests.waiting import until
from tests.world import World

EVERYWHERE = TimeRange(at(-3600), at(3600))


@asynccontextmanager
async def processes(world: World, number: int) -> AsyncIterator[list[tuple[asyncpg.Pool, KeptBoards]]]:
    """As many processes of the API, as far as kept boards go."""
    async with AsyncExitStack() as stack:
        pools = [await stack.enter_async_context(open_request_pool(world.settings, 2)) for _ in range(number)]
        yield [(pool, await stack.enter_async_context(keeping_boards(pool))) for pool in pools]


async def first_page(boards: KeptBoards, period: TimeRange, client: str = "an address") -> KeptPage:
    async def page() -> KeptPage | None:
        # what this process knows to be kept, or has just built, may have been dropped by another build
        return await boards.read(period, PageRequest(10), []) if await boards.ready(period, client, 60) else None

    return await until(page, "a page")


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
        built = await first_page(first, EVERYWHERE)
        async with world.database() as database, database.transaction():
            await database.execute("LOCK TABLE solves")  # a build of its own would wait
            assert await first_page(second, EVERYWHERE) == built


async def test_a_board_says_when_it_is_from_and_is_built_again_while_somebody_reads(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_boards, "CHEAP_S", 0)  # as a large one, which nobody waits for
    await add_solves(world, 1)
    async with processes(world, 1) as [(_, boards)]:
        before = datetime.now(UTC)
        first = await first_page(boards, ALL_TIME)
        assert before <= first.as_of <= datetime.now(UTC)
        async with world.database() as database:
            await database.execute("UPDATE users SET problems_solved = 7")
        solved_at = datetime.now(UTC)

        async def seen() -> KeptPage | None:
            found = await first_page(boards, ALL_TIME)
            has_it = found.reading.rows[0].problems_solved == 7
            assert has_it or found.as_of < solved_at, "it claims to be newer than it is"
            return found if has_it else None

        await until(seen, "the board to be built again")


SLOW = """
    ALTER TABLE solves RENAME TO kept;
    CREATE VIEW solves AS SELECT * FROM kept WHERE (SELECT count(*) FROM pg_advisory_xact_lock_shared(7)) = 1
"""


async def test_a_board_lacks_what_is_committed_while_it_is_built_and_says_so(world: World) -> None:
    await add_solves(world, 2)
    async with processes(world, 1) as [(pool, boards)], world.database() as database, world.database() as other:
        await database.execute(SLOW)
        async with database.transaction():
            await database.execute("SELECT pg_advisory_xact_lock(7)")
            building = asyncio.create_task(build_first(pool, EVERYWHERE))
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted"
            await until(lambda: other.fetchval(waiting), "the build to have its snapshot")
            await other.execute("DELETE FROM kept WHERE user_id = 'u1'")
            committed_at = datetime.now(UTC)
        await building
        found = await boards.read(EVERYWHERE, PageRequest(10), [])
    assert found
    assert found.reading.total == 2
    assert found.as_of < committed_at


async def test_nobody_waits_for_a_large_board_that_is_built_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_boards, "CHEAP_S", 0)
    await add_solves(world, 1)
    async with processes(world, 1) as [(_, boards)], world.database() as database:
        await first_page(boards, EVERYWHERE)
        async with database.transaction():
            await database.execute("LOCK TABLE solves")
            first = await first_page(boards, EVERYWHERE)  # has it built again, also if that was done just before
            waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'solves'::regclass AND NOT granted"
            await until(lambda: world.value(waiting), "the next build")
            assert await first_page(boards, EVERYWHERE) == first
            assert await world.value(waiting), "it waited until the build gave up"


async def test_a_build_whose_process_was_killed_leaves_the_board_and_the_lock(world: World) -> None:
    await add_solves(world, 1)
    async with processes(world, 1) as [(pool, boards)], world.database() as database, world.database() as other:
        first = await first_page(boards, EVERYWHERE)
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


async def test_a_process_that_ends_while_it_builds_reports_no_failure(world: World) -> None:
    await add_solves(world, 1)
    waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'solves'::regclass AND NOT granted"
    with capture_logs() as logs:
        async with world.database() as database, processes(world, 1) as [(_, boards)]:
            await first_page(boards, EVERYWHERE)
            await database.execute("BEGIN; LOCK TABLE solves")
            await boards.read(EVERYWHERE, PageRequest(10), [])
            await until(lambda: world.value(waiting), "the next build")
    assert logs == []


async def test_few_boards_are_kept_and_none_that_nobody_asks_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_builds, "KEPT_MAX", 3)
    await add_solves(world, 1)
    days = [TimeRange(at(0) - timedelta(days=n), at(3600)) for n in range(5)]
    async with processes(world, 1) as [(pool, boards)], world.database() as database:
        for number, day in enumerate(days):
            await first_page(boards, day, f"address {number}")
        async with pool.acquire() as connection:
            assert set(await kept_of(connection, days)) == set(days[2:])
        for table in ("kept_places", "kept_ranks"):
            orphans = f"SELECT count(*) FROM {table} WHERE generation NOT IN (SELECT generation FROM kept_boards)"
            assert await database.fetchval(orphans) == 0
        await database.execute("UPDATE kept_boards SET asked_at = now() - interval '1 hour'")
        await first_page(boards, days[0])
        async with pool.acquire() as connection:
            assert set(await kept_of(connection, days)) == {days[0]}


class Clock:
    """What these processes take the time to be; PostgreSQL's own is moved in the table."""

    def __init__(self) -> None:
        self.later_s = 0.0

    def __call__(self) -> float:
        return monotonic() + self.later_s

    async def passes(self, world: World, seconds: float) -> None:
        self.later_s += seconds
        async with world.database() as database:
            await database.execute("UPDATE kept_boards SET asked_at = asked_at - $1 * interval '1 second'", seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(kept_boards, "monotonic", clock)
    monkeypatch.setattr(kept_boards, "CHEAP_S", 0)  # nothing is built before it is read
    return clock


DAYS = [TimeRange(at(0) - timedelta(days=n), at(3600)) for n in range(3)]


@pytest.mark.parametrize("restarted", [True, False], ids=["in a new process", "in the same process"])
async def test_a_board_that_is_asked_for_again_after_a_rest_outlives_the_next_build(
    world: World, clock: Clock, restarted: bool
) -> None:
    await add_solves(world, 1)
    async with open_request_pool(world.settings, 2) as pool:
        boards = KeptBoards(pool)  # which renews nothing by itself
        for day in DAYS:
            await first_page(boards, day)
        await clock.passes(world, 420)
        if restarted:
            boards = KeptBoards(pool)
        for day in DAYS:
            assert await boards.ready(day, "an address", 60)
            assert await boards.read(day, PageRequest(10), [])
        await built_beside_again(world, DAYS[0])
        for day in DAYS:
            assert await boards.read(day, PageRequest(10), []), "it was served, and then dropped"


async def test_a_build_drops_no_board_that_somebody_begins_to_ask_for(world: World, clock: Clock) -> None:
    await add_solves(world, 1)
    async with processes(world, 1) as [(_, boards)], world.database() as database:
        for day in DAYS[:2]:
            await first_page(boards, day)
        await clock.passes(world, 420)
        async with database.transaction():
            await database.execute("UPDATE kept_boards SET asked_at = now() WHERE begins_at = $1", DAYS[1].begins_at)
            await built_beside_again(world, DAYS[0])
        assert await world.value("SELECT count(*) FROM kept_boards") == 2


async def built_beside_again(world: World, period: TimeRange) -> None:
    """Builds a board in another process, which knows of nobody who asks."""
    async with open_request_pool(world.settings, 1) as pool:
        await until(lambda: build_next(pool, period), "a build in another process", poll_s=0.01)


async def test_a_board_of_several_thousand_places_is_read_across_its_rows(world: World) -> None:
    await add_solves(world, 2500)
    board = [RankKey(1, int(at(n).timestamp()), f"u{n}") for n in range(1, 2501)]
    async with processes(world, 1) as [(_, boards)]:
        for period in (ALL_TIME, EVERYWHERE):
            await first_page(boards, period)
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


async def test_a_rank_reads_each_row_of_places_once(world: World) -> None:
    await add_solves(world, 2500)
    explain = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + KEPT_SQL["read_board"]
    async with processes(world, 1) as [(pool, boards)]:
        await first_page(boards, EVERYWHERE)
        for mode in (Mode.AFTER, Mode.AROUND):
            some = ["u700", "u900", "u2000"]
            found = await pool.fetchval(explain, *EVERYWHERE, mode, 50, -1, int(at(900).timestamp()), "u900", some)
            plan = json.loads(found)[0]["Plan"]
            assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 500


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
            await first_page(boards, period)
            for place in (0, 498, 499, 500, 999, 1000, 2500, 2998, 2999, 3000, 3499):
                found = await boards.read(period, PageRequest(3, Mode.AFTER, board[place]), [board[place].user_id])
                assert found
                reading = found.reading
                assert reading.ranked() == [(rank_on(board, board.index(row)), row) for row in reading.rows]
                assert reading.places == {board[place].user_id: (rank_on(board, place), board[place])}


def _ranks(*ranks: int) -> list[tuple[str, int]]:
    return [(f"u{rank}", rank) for rank in ranks]


SOME = TimeRange(at(1), at(3))  # of what may happen in seconds 0 to 3
CHUNK = 3  # places in one row, of which a page reads two at most


def board_then(state: State, period: TimeRange) -> list[Place]:
    """The places of a period, as the oracle has them."""
    times: dict[str, list[datetime]] = {}
    for (user, problem), first in state.model.firsts.items():
        if is_withdrawn(problem, state.model):
            continue
        if is_shown(state.model, user) and period.begins_at <= first.solved_at < period.ends_at:
            times.setdefault(user, []).append(first.solved_at)
    places = [(user, len(some), max(some).replace(microsecond=0)) for user, some in times.items()]
    return sorted(places, key=order_of)


class Checked:
    """The kept boards of one process, each answer of which is compared with what stood at its `as_of`."""

    def __init__(self, boards: KeptBoards, states: list[State]) -> None:
        self._boards = boards
        self._states = states

    async def page(self, period: TimeRange, question: tuple[str, Any], limit: int) -> list[Place]:
        """One page, with the rank of somebody."""
        mode, what = question
        place = what if isinstance(what, tuple) else (what or "", 0, at(0))
        position = RankKey(place[1], int(place[2].timestamp()), place[0])
        found = await self._boards.read(period, PageRequest(limit, Mode(mode), position), ["a", "nobody"])
        assert found
        reading = found.reading
        rows = [(user, solved, datetime.fromtimestamp(second, UTC)) for solved, second, user in reading.rows]
        ranks = {user: rank for user, (rank, _) in reading.places.items()}
        models = [one for one in self._states if one.committed_at <= found.as_of][-1:]
        models += [one for one in self._states if one.committed_at > found.as_of]
        said = reading.total, rows, [rank for rank, _ in reading.ranked()], ranks
        assert said in [answer_then(board_then(one, period), question, limit) for one in models]
        return rows


def answer_then(board: list[Place], question: tuple[str, Any], limit: int) -> object:
    entries = page_of(board, question, limit)["entries"]
    rows = [(one["user_id"], one["problems_solved"], one["last_solved_at"]) for one in entries]
    ranks = {one[0]: rank_of(one, board) for one in board if one[0] == "a"}
    return len(board), rows, [one["rank"] for one in entries], ranks


@pytest.fixture
def small_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (board_builds, kept_boards):
        queries = {name: text.replace("1000", str(CHUNK)) for name, text in kept_boards.KEPT_SQL.items()}
        monkeypatch.setattr(module, "KEPT_SQL", queries)
    monkeypatch.setattr(board_builds, "PAUSE_OF_NEXT", 0)
    monkeypatch.setattr(board_builds, "PAUSE_OF_FIRST", 0)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.lists(any_events, max_size=9), st.booleans()), max_size=4), st.integers(1, CHUNK))
async def test_a_kept_board_is_the_oracles_as_of_its_time(
    world: World, small_rows: None, steps: list[tuple[list[Event], bool]], limit: int
) -> None:
    async with open_pool(world.settings) as projector, processes(world, 1) as [(pool, boards)]:
        await empty(projector)
        await projector.execute("TRUNCATE kept_boards, kept_places, kept_ranks")
        log, published = Log(projector), list[Event]()
        states = [State(BEFORE_EVERYTHING, world.model([]))]
        states.append(State(datetime.now(UTC), world.model([])))
        checked = Checked(boards, states)
        for period in (ALL_TIME, SOME):
            await build_first(pool, period)
        for some, builds in [*steps, ([], True)]:
            if some:
                await log.apply(some)
                await Recounts(projector).all()
            published += some
            states.append(State(datetime.now(UTC), world.model(published)))
            for period in (ALL_TIME, SOME):
                while builds and not await build_next(pool, period):
                    pass  # the background builds
                seen = rows = await checked.page(period, ("begin", None), limit)
                while len(rows) == limit:
                    rows = await checked.page(period, ("after", rows[-1]), limit)
                    seen = seen + rows
                if builds:
                    assert seen == board_then(states[-1], period)
                for user, solved, second in [*seen, ("a", 1, at(1))]:
                    await checked.page(period, ("before", (user, solved, second)), limit)
                    await checked.page(period, ("around", user), limit)
