"""The command `follow clics`: after each cut the counts are the feed's own scoreboard, whatever is killed meanwhile."""

import asyncio
import json
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from solve_runtime.tasks import cancel_and_wait
from solve_sources.clics.contest import Contest
from solve_sources.clics.following import Follower
from solve_sources.clics.http_feed import HttpFeed
from solve_sources.clics.importing import ContestImport
from solve_sources.clics.verdicts import Reading
from tests.sources.clics.contest_server import ContestServer
from tests.sources.clics.follower import NOBODY, QUICK
from tests.sources.clics.made_feed import made_feed
from tests.sources.clics.scoreboard import solved_pairs
from tests.waiting import until
from tests.world import World

OF_LOCK = """
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objid <> 0 AND datname = current_database()
    AND application_name = 'solve-projector replay'
"""


@asynccontextmanager
async def following(world: World, server: ContestServer) -> AsyncIterator[asyncio.Task[None]]:
    """A follower in this process."""
    with Contest() as contest:
        wanted = ContestImport("feed", Reading("demo", hold_frozen=True), "/the/judge")
        feed = HttpFeed(server.url, NOBODY, QUICK)
        follower = Follower(contest, wanted, feed)
        task = asyncio.create_task(follower.follow(world.connection, world.settings))
        try:
            yield task
        finally:
            await cancel_and_wait([task])


@asynccontextmanager
async def followed_by_process(
    world: World, server: ContestServer, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A follower in a process of its own, killed on exit."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "solve_producer", "follow", "clics", server.url,
        "--source", "/the/judge", "--contest-id", "demo",
        env=world.environment | environment, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until_right(world: World, server: ContestServer, task: asyncio.Task[None]) -> None:
    """Waits until counts are those of the feed so far."""
    expected = Counter(f"{server.contest}:{team}" for team, _ in solved_pairs(server.lines[: server.upto]))
    last: dict[str, int] = {}

    async def right() -> bool:
        nonlocal last
        assert not task.done(), task
        rows = await world.fetch("SELECT user_id, problems_solved FROM users WHERE problems_solved > 0")
        last = dict(rows)
        return last == expected

    try:
        await until(right, "the counts to be those of the feed")
    except AssertionError as error:
        raise AssertionError(f"{error}: {expected - Counter(last)} missing, {Counter(last) - expected} extra") from None


@pytest.fixture(params=["made", "wf47"])
def lines(request: pytest.FixtureRequest) -> list[bytes]:
    """Feeds in the order in which objects changed: FEED where it is set, a made one, and the World Finals."""
    if feed := os.environ.get("FEED"):
        return Path(feed).read_bytes().splitlines()
    if request.param == "made":
        return made_feed(1)
    found: list[bytes] = (request.getfixturevalue("wf47") / "event-feed.ndjson").read_bytes().splitlines()
    return found


async def test_after_each_cut_the_counts_are_the_feeds_own_scoreboard(world: World, lines: list[bytes]) -> None:
    chance = random.Random(len(lines))
    cuts = sorted(chance.sample(range(len(lines) // 5, len(lines)), 5))
    server = ContestServer(lines, upto=cuts[0])
    async with world.running(), server.serving(), following(world, server) as task:
        await until_right(world, server, task)
        for upto in (*cuts[1:], len(lines)):
            await server.cut()
            await server.publish(upto - server.upto)
            await until_right(world, server, task)


async def test_a_follower_that_is_killed_goes_on_where_the_feed_is(world: World, lines: list[bytes]) -> None:
    chance = random.Random(7)
    server = ContestServer(lines, upto=len(lines) // 10)
    async with world.running(), server.serving():
        while server.upto < len(lines):
            async with followed_by_process(world, server):
                for _ in range(3):
                    await server.publish(chance.randrange(len(lines) // 6))
                    await asyncio.sleep(chance.random())  # a kill at any moment
        async with following(world, server) as task:
            await until_right(world, server, task)


async def test_a_second_follower_takes_over_where_the_feed_is_by_then(world: World) -> None:
    feed = made_feed(3, submissions=120)
    server = ContestServer(feed, upto=len(feed) // 4)
    async with world.running(), server.serving(), following(world, server) as first:
        await until_right(world, server, first)
        async with following(world, server) as second:
            await until(lambda: len(server.requests) > 5 and not second.done(), "the second one to read the feed")
            await server.publish(len(feed) - server.upto)
            await until_right(world, server, first)
            await cancel_and_wait([first])
            await until_held(world)
            await until_right(world, server, second)


async def test_a_submission_before_its_team_waits_and_is_named(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    feed = made_feed(8, submissions=20)
    ids = {"id": "late", "team_id": "newcomer", "problem_id": "p0"}
    judged = {"id": "jl", "submission_id": "late", "judgement_type_id": "AC"}
    time = "2026-05-02T14:00:00Z"
    more = [
        ("submissions", "late", ids | {"time": time}),
        ("judgements", "jl", judged | {"start_time": time, "end_time": time}),
        ("problems", "p0", {"id": "p0"}),
        ("teams", "newcomer", {"id": "newcomer", "name": "New"}),
    ]
    feed += [json.dumps({"type": one[0], "id": one[1], "data": one[2], "token": one[1]}).encode() for one in more]
    server = ContestServer(feed, upto=len(feed) - 4)
    async with world.running(), server.serving(), following(world, server) as task:
        await until_right(world, server, task)
        await server.publish(3)
        await until(lambda: "teams newcomer" in capfd.readouterr().out, "the log to name the team")
        assert await world.value("SELECT count(*) FROM parked_events") == 0
        await server.publish(1)
        await until_right(world, server, task)
    assert await world.value("SELECT problems_solved FROM users WHERE user_id = 'demo:newcomer'") == 1


async def until_held(world: World) -> None:
    """Waits until a session holds the lock of the source."""

    async def held() -> bool:
        return bool(await world.value(f"SELECT count(*) {OF_LOCK}"))

    await until(held, "somebody to follow")


async def test_a_follower_whose_session_ends_compares_again_under_a_new_lock(world: World) -> None:
    feed = made_feed(4, submissions=120)
    server = ContestServer(feed, upto=len(feed) // 2)
    async with world.running(), server.serving(), following(world, server) as task:
        await until_right(world, server, task)
        assert await world.value(f"SELECT count(pg_terminate_backend(pid)) {OF_LOCK}") == 1
        await server.publish(len(feed) - server.upto)
        await until_right(world, server, task)
        await until_held(world)
