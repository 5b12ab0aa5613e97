"""A leaderboard that is right whatever is late, repeated, lost or flushed (I6)."""

import json
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from bench.oracle import Model, Solved, User
from solve_projector.leaderboard.board import Leaderboard, changes_key, open_leaderboard, rank_key, score
from solve_projector.leaderboard.reconciler import BoardReconciler
from solve_projector.store.counts import Standing
from tests.events import BEGIN, at, registered, solved
from tests.waiting import until
from tests.world import World


@pytest.fixture
async def board(world: World) -> AsyncIterator[Leaderboard]:
    async with open_leaderboard(world.settings, world.connection.topic) as opened:
        yield opened


@pytest.fixture
async def redis(world: World) -> AsyncIterator[Redis]:
    client = Redis.from_url(world.settings.redis_url.get_secret_value())
    yield client
    await client.aclose()


@given(st.integers(1, 2_097_151), st.integers(0, 2**32 - 1))
def test_a_score_is_exact_and_leads_back(problems: int, seconds: int) -> None:
    last = BEGIN.fromtimestamp(seconds, BEGIN.tzinfo)
    assert rank_key("u", str(score(problems, last)).encode()) == (problems, seconds, "u")


ranked = st.builds(Standing, st.text(min_size=1, max_size=3), st.integers(1, 3), st.integers(0, 3).map(at), st.just(1))


@given(st.lists(ranked, max_size=10, unique_by=lambda one: one.user_id))
def test_scores_then_ids_order_the_leaderboard_as_the_rule_does(standings: list[Standing]) -> None:
    solves = {one.user_id: Solved(one.problems_solved, one.last_solved_at or BEGIN) for one in standings}
    users = {user_id: User(BEGIN, "name", listed=True, removed=False) for user_id in solves}
    by_score = sorted(solves, key=lambda user_id: (score(*solves[user_id]), user_id.encode()))
    assert by_score == [row[0] for row in Model(users, {}, {}, {}, {}, {}, solves).board()]


async def test_late_and_repeated_writes_change_nothing(board: Leaderboard) -> None:
    writes = [Standing("u", version, at(version), version) for version in range(1, 30)]
    shuffled = writes * 2
    random.Random(1).shuffle(shuffled)
    for write in shuffled:
        await board.write(1, [write])
    await board.publish(1)
    assert await board.scores_of(["u"]) == [score(29, at(29))]


async def test_a_removed_member_keeps_its_version(board: Leaderboard) -> None:
    await board.write(1, [Standing("u", 1, at(1), 5)])
    await board.write(1, [Standing("u", 0, None, 7)])
    await board.write(1, [Standing("u", 1, at(1), 6)])
    await board.publish(1)
    assert await board.scores_of(["u"]) == [None]


async def test_a_watermark_moves_only_from_where_it_is(board: Leaderboard) -> None:
    assert await board.write(1, [], {0: (0, 10)}) == []
    assert await board.write(1, [], {0: (20, 30)}) == [0]
    assert (await board.state(1)).watermarks == {0: 10}


async def test_writes_beyond_a_gap_join_once_the_gap_is_closed(board: Leaderboard) -> None:
    await board.write(1, [], {0: (0, 10)})
    await board.write(1, [], {0: (20, 30)})
    await board.write(1, [], {0: (30, 40)})
    await board.raise_watermarks(1, {0: 25})
    assert (await board.state(1)).watermarks == {0: 40}


async def test_a_run_that_breaks_does_not_hide_the_second_gap(board: Leaderboard) -> None:
    await board.write(1, [], {0: (20, 30)})
    await board.write(1, [], {0: (50, 60)})
    await board.raise_watermarks(1, {0: 25})
    assert (await board.state(1)).watermarks == {0: 25}


async def test_a_late_writer_does_not_move_the_watermark_back(board: Leaderboard) -> None:
    await board.write(1, [], {0: (0, 30)})
    await board.write(1, [], {0: (0, 10)})
    assert (await board.state(1)).watermarks == {0: 30}


async def reported(world: World, redis: Redis) -> list[tuple[int, Any]]:
    """The stream of changes: each entry's epoch, and its users or "many"."""
    entries: Any = await redis.xrange(changes_key(world.settings.leaderboard_prefix))
    return [
        (int(fields[b"epoch"]), json.loads(fields[b"users"]) if b"users" in fields else "many") for _, fields in entries
    ]


async def test_only_newer_standings_are_reported(world: World, board: Leaderboard, redis: Redis) -> None:
    version = 1_767_225_600_123_456  # microseconds: more digits than a double is usually written with
    await board.write(1, [Standing('é/"𝄞\u2028\\', 3, at(7.9), version), Standing("b", 2_097_151, at(0), 5)])
    await board.write(1, [Standing("b", 2_097_151, at(0), 5), Standing('é/"𝄞\u2028\\', 2, at(1), version - 1)])
    await board.write(1, [], {0: (0, 10)})
    await board.write(1, [Standing("b", 0, None, 6), Standing('é/"𝄞\u2028\\', 2, at(1), version - 1)])
    begin = int(BEGIN.timestamp())
    assert await reported(world, redis) == [
        (1, [['é/"𝄞\u2028\\', 3, begin + 7, version], ["b", 2_097_151, begin, 5]]),
        (1, [["b", 0, None, 6]]),
    ]


@pytest.mark.parametrize(("number", "length", "many"), [(200, 10, False), (201, 10, True), (200, 200, True)])
async def test_a_backlog_is_reported_without_its_users(
    world: World, board: Leaderboard, redis: Redis, number: int, length: int, many: bool
) -> None:
    await board.write(1, [Standing(f"{user:0{length}}", 1, at(1), 1) for user in range(number)])
    ((_, users),) = await reported(world, redis)
    assert (users == "many") is many


async def test_another_epoch_is_reported_and_outlives_the_old_one(
    world: World, board: Leaderboard, redis: Redis
) -> None:
    await board.write(1, [Standing("u", 1, at(1), 9)])
    await board.write(2, [Standing("u", 1, at(1), 8)])
    await board.publish(2)
    assert [epoch for epoch, _ in await reported(world, redis)] == [1, 2, 2]


async def test_old_changes_are_trimmed(world: World, board: Leaderboard, redis: Redis) -> None:
    for version in range(1, 1_500):
        await board.write(1, [Standing("u", version, at(version), version)])
    entries = await reported(world, redis)
    assert entries[-1] == (1, [["u", 1_499, int(at(1_499).timestamp()), 1_499]])
    assert 1_000 <= len(entries) < 1_200  # the server trims a node of some entries at a time


async def solve_some(world: World, tag: str, number: int = 20) -> None:
    await world.publish(
        [registered(f"user {tag}"), *(solved(f"{tag}{i}", f"user {tag}", f"p{i}", i) for i in range(number))]
    )


@pytest.mark.parametrize("what", ["everything", "the board", "the versions", "the watermarks", "the pointer"])
async def test_an_idle_leaderboard_is_repaired_whatever_is_lost_of_it(world: World, redis: Redis, what: str) -> None:
    await solve_some(world, "a")
    async with world.running():
        await world.until_right()
        prefix = f"{{{world.settings.leaderboard_prefix}}}"
        lost = {
            "everything": await redis.keys(f"{prefix}*"),
            "the board": [f"{prefix}:1:board"],
            "the versions": [f"{prefix}:1:versions", f"{prefix}:1:board"],
            "the watermarks": [f"{prefix}:1:watermarks"],
            "the pointer": [f"{prefix}:current"],
        }[what]
        assert await redis.delete(*lost) == len(lost)
        await world.until_right()


async def test_a_write_lost_between_commit_and_redis_is_found_and_repaired(world: World) -> None:
    """What a crash at that moment leaves: PostgreSQL moved, the watermark did not."""
    await solve_some(world, "a")
    await world.run_once()
    await solve_some(world, "b")
    nowhere = world.settings.redis_url.__class__("redis://127.0.0.1:1/0")
    async with world.running(redis_url=nowhere):
        await until(lambda: world.value("SELECT count(*) = 2 FROM users WHERE problems_solved = 20"))
    assert await world.differences() != []
    async with world.running():
        await world.until_right()


async def test_a_restored_postgresql_starts_a_new_epoch(world: World) -> None:
    await solve_some(world, "a")
    await world.run_once()
    async with world.database() as connection:
        await connection.execute("CREATE TABLE old_users AS TABLE users; CREATE TABLE old_verdicts AS TABLE verdicts")
        await connection.execute("CREATE TABLE old_offsets AS TABLE partition_offsets")
        await connection.execute("CREATE TABLE old_solves AS TABLE solves")
    await solve_some(world, "b")
    await world.run_once()
    async with world.database() as connection, connection.transaction():
        await connection.execute("TRUNCATE users, verdicts, solves, partition_offsets")
        await connection.execute("INSERT INTO users TABLE old_users; INSERT INTO verdicts TABLE old_verdicts")
        await connection.execute("INSERT INTO partition_offsets TABLE old_offsets; INSERT INTO solves TABLE old_solves")
    assert len(await world.board()) == 2
    await world.run_once()
    assert await world.differences() == []
    assert await world.value("SELECT epoch FROM leaderboard_epoch") == 2


async def test_a_member_that_redis_has_with_a_newer_version_than_a_restored_database_gave_is_replaced(
    world: World, board: Leaderboard
) -> None:
    await solve_some(world, "a")
    await world.run_once()
    await board.raise_watermarks(1, {0: 10_000})
    await board.write(1, [Standing("user a", 999, at(1), 2**52), Standing("ghost", 5, at(1), 2**52)])
    async with world.running():
        await world.until_right()


async def test_a_leaderboard_of_many_users_is_rebuilt_during_writes(world: World, redis: Redis) -> None:
    users = [f"user {number}" for number in range(3_000)]
    await world.publish([*map(registered, users), *(solved(f"s{user}", user, "p", 1) for user in users)])
    async with world.running():
        await world.until_right()
        for turn in range(5):
            if keys := await redis.keys(f"{{{world.settings.leaderboard_prefix}}}*"):
                await redis.delete(*keys)
            await world.publish(solved(f"{turn}{user}", user, f"q{turn}", 2 + turn) for user in users[::7])
        await world.until_right()


async def test_a_check_in_sync_changes_nothing(world: World, board: Leaderboard) -> None:
    await solve_some(world, "a")
    await world.run_once()
    import asyncpg

    async with asyncpg.create_pool(world.settings.database_url.get_secret_value(), min_size=1, max_size=2) as pool:
        reconciler = BoardReconciler(pool, board, world.connection.topic)
        before = await board.state(1)
        assert [await reconciler.check_once() for _ in range(3)] == [True, True, True]
        assert await board.state(1) == before
