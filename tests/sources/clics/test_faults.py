"""Faults while a contest is imported or followed: kills, restarts of PostgreSQL and Kafka, events that are refused."""

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from devstack import Stack
from devstack.ports import free_port
from solve_projector.log.inspection import open_inspector
from tests.sources.clics.contest_server import ContestServer
from tests.sources.clics.feeds import contest, judged, line, written
from tests.sources.clics.imports import imported
from tests.sources.clics.made_feed import made_feed
from tests.sources.clics.scoreboard import solved_pairs
from tests.sources.clics.test_following import followed_by_process
from tests.sources.commands import counts, solve_producer
from tests.waiting import until
from tests.world import World

TEAMS = 600
OVER = {"started": "2026-05-02T09:00:00Z", "end_of_updates": "2026-05-02T16:00:00Z"}
REFUSING = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'not here' USING ERRCODE = '22000';
END $$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON verdicts
    FOR EACH ROW WHEN (NEW.submission_id = 'cup:s1') EXECUTE FUNCTION refuse();
"""


async def log_end(world: World) -> int:
    async with open_inspector(world.connection) as inspector:
        return sum((await inspector.state()).high_watermarks.values())


@asynccontextmanager
async def imported_by_process(world: World, feed: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """An import, killed at exit."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "solve_producer", "import", "clics", str(feed), "--yes",
        env=world.environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def large_feed(submissions: int, wrong: int) -> list[dict[str, Any]]:
    """So many submissions of 600 teams, of which the first are wrong."""
    lines = contest(*(f"t{team}" for team in range(TEAMS)))
    for number in range(submissions):
        verdict = "WA" if number < wrong else "AC"
        lines += judged(f"s{number}", f"t{number % TEAMS}", "abcde"[number // TEAMS], verdict)
    return lines


async def test_an_import_killed_while_it_publishes_is_completed_by_the_next(world: World, tmp_path: Path) -> None:
    chance = random.Random()
    for lines in (large_feed(2_000, wrong=0), large_feed(3_000, wrong=900)):
        file = Path(written(tmp_path / "feed.ndjson", lines))
        before = await log_end(world)
        async with imported_by_process(world, file) as process:

            async def publishes(before: int = before, process: asyncio.subprocess.Process = process) -> bool:
                return process.returncode is not None or await log_end(world) > before

            await until(publishes, "the import to publish", poll_s=0.01)
            await asyncio.sleep(chance.uniform(0, 0.05))
        await imported(world, lines)
        pairs = solved_pairs(json.dumps(one).encode() for one in lines)
        assert await counts(world) == Counter(f"cup:{team}" for team, _ in pairs)
        revoked = await world.value("SELECT count(*) FROM verdicts WHERE NOT solved")
        assert revoked == sum(one["type"] == "judgements" and one["data"]["judgement_type_id"] == "WA" for one in lines)
        assert (await imported(world, lines)).total == 0


async def test_a_follower_goes_on_when_kafka_and_postgresql_restart_and_shows_it(
    breakable: World, stack: Stack
) -> None:
    feed = [*made_feed(5, submissions=200), json.dumps(line("state", None, OVER)).encode()]
    server, port = ContestServer(feed, upto=len(feed) // 4), free_port()
    async with (
        server.serving(),
        followed_by_process(breakable, server, SOLVE_FOLLOW_METRICS_PORT=str(port)) as process,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        await until(lambda: is_ready(client), "the follower to be ready")
        for broken in (stack.kafka, stack.postgres):
            await asyncio.to_thread(broken.kill)
            await server.publish(len(feed) // 4)
            if broken is stack.postgres:
                await until(lambda: is_missing(client, "postgresql"), "it to say that PostgreSQL is gone")
                assert (await client.get("/livez")).status_code == 200
            await asyncio.to_thread(broken.start)
            await until(lambda: is_ready(client), "it to be ready again")
        shown = (await client.get("/metrics")).text
        await server.publish(len(feed) - server.upto)
        assert await process.wait() == 0
    assert await counts(breakable) == Counter(f"demo:{team}" for team, _ in solved_pairs(feed))
    assert metric(shown, 'solve_follow_errors_total{reason="postgresql"}') >= 1
    assert metric(shown, "solve_follow_reconciles_total") >= 2
    assert metric(shown, "solve_follow_connected") == metric(shown, "solve_follow_complete") == 1
    assert metric(shown, "solve_follow_notifications_total") > 0
    assert 0 <= metric(shown, "solve_follow_notification_age_seconds") < 600
    assert metric(shown, 'solve_follow_connections_total{begin="beginning"}') >= 1
    assert metric(shown, 'solve_producer_events_total{type="submission.solved.v1"}') > 0


async def is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def is_missing(client: httpx.AsyncClient, part: str) -> bool:
    return any(one.startswith(part) for one in (await client.get("/readyz")).json()["missing"])


def metric(shown: str, name: str) -> float:
    (value,) = (one.removeprefix(name).strip() for one in shown.splitlines() if one.startswith(f"{name} "))
    return float(value)


async def test_a_follower_that_cannot_connect_is_alive_and_not_ready(world: World) -> None:
    server, port = ContestServer(made_feed(6, submissions=5)), free_port()
    async with (
        server.serving(),
        followed_by_process(world, server, SOLVE_FOLLOW_METRICS_PORT=str(port)),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        await until(lambda: is_ready(client), "the follower to be ready")
        server.authorization = "nobody's"
        await server.cut()
        await until(lambda: is_missing(client, "feed: "), "it to say that the feed is lost")
        assert (await client.get("/livez")).status_code == 200
        shown = (await client.get("/metrics")).text
    assert metric(shown, "solve_follow_connected") == 0
    assert metric(shown, 'solve_follow_errors_total{reason="feed_lost"}') >= 1


async def test_a_solve_that_the_projector_refuses_is_said_and_takes_nothing_back(world: World, tmp_path: Path) -> None:
    lines = [*contest("t1", "t2"), *judged("s1", "t1", "a"), *judged("s2", "t1", "b"), *judged("s3", "t2", "a")]
    feed = written(tmp_path / "feed.ndjson", lines)

    async def importing() -> tuple[int, int, int]:
        done = await imported(world, lines)
        return done.total, done.taken_back, done.dead_letters

    async with world.database() as database:
        await database.execute(REFUSING)
        assert await importing() == (5, 0, 0)
        for letters in (1, 2):  # what is missing is published again, once an import, and nothing else
            assert await counts(world) == {"cup:t1": 1, "cup:t2": 1}
            assert await importing() == (1, 0, letters)
        said = await solve_producer(world, "import", "clics", feed)
        assert "dead letters of this source: 2; see solve-projector dead-letters list" in said.stdout
        await database.execute("DROP FUNCTION refuse CASCADE")
    assert await counts(world) == {"cup:t1": 2, "cup:t2": 1}
    assert await importing() == (0, 0, 2)
