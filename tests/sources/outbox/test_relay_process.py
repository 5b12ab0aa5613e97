"""Relays as processes of their own, killed at random moments, and servers that die under them."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest_asyncio

from devstack import Stack
from devstack.ports import free_port
from solve_sources.clics import conversion as clics
from tests.events import solved
from tests.mariadb import MariaDb, Site
from tests.sources.commands import counts
from tests.sources.outbox.judges import Judge, MySqlJudge, PostgreSqlJudge
from tests.sources.outbox.relaying import relay_process
from tests.waiting import until
from tests.world import World

KILLS = 4
USERS = ("ada", "bob", "eve")


@pytest_asyncio.fixture
async def breakable_judge(breakable: World, stack: Stack) -> AsyncIterator[Judge]:
    """A judge on a server that the test may kill."""
    admin = await asyncpg.connect(stack.postgres.url())
    await admin.execute("CREATE DATABASE judge")
    await admin.close()
    made = PostgreSqlJudge(stack.postgres.url_of("judge"))
    await made.make_tables()
    yield made
    await made.close()


async def test_a_relay_killed_at_random_moments_loses_nothing(world: World, judge: Judge) -> None:
    chance = random.Random()
    await judge.register(*USERS)
    await asyncio.gather(*(judge.judge(user, 1_000 * i, 60) for i, user in enumerate(USERS)))
    live = asyncio.gather(*(judge.judge(user, 1_000 * i + 500, 60) for i, user in enumerate(USERS)))
    for _ in range(KILLS):
        before = await _first(judge)
        async with relay_process(world, judge, SOLVE_OUTBOX_BATCH_ROWS="3") as process:
            await until(lambda before=before: _moved(judge, before), "the relay to work", poll_s=0.01)
            await asyncio.sleep(chance.uniform(0, 0.1))
            process.kill()
    await live
    async with relay_process(world, judge) as process:
        await until(lambda: _is_empty(judge), "the outbox to be empty")
        process.terminate()
        _, said = await process.communicate()
    assert process.returncode == 0, said
    assert b"outbox_stopped" in said
    assert await counts(world) == await judge.counts()


async def test_the_world_finals_come_through_an_outbox_with_a_kill_on_the_way(
    world: World, judge: Judge, wf47: Path
) -> None:
    with (wf47 / "event-feed.ndjson").open("rb") as feed:
        events = clics.convert(feed, "wf47").events
    await judge.add(*events)
    before = await _first(judge)
    async with relay_process(world, judge) as process:
        await until(lambda: _moved(judge, before), "the relay to work", poll_s=0.01)
        process.kill()
    async with relay_process(world, judge, SOLVE_OUTBOX_BATCH_ROWS="1000"):
        await until(lambda: _is_empty(judge), "the outbox to be empty")
    assert sum((await counts(world)).values()) == 519


async def test_rows_wait_while_kafka_or_the_database_is_unavailable(
    breakable: World, breakable_judge: Judge, stack: Stack
) -> None:
    world, judge, port = breakable, breakable_judge, free_port()
    await judge.register(*USERS)
    async with (
        relay_process(world, judge, SOLVE_OUTBOX_METRICS_PORT=str(port)) as process,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        await until(lambda: _is_empty(judge))
        assert (await client.get("/readyz")).json() == {"ready": True, "missing": []}
        stack.kafka.kill()
        await judge.judge("ada", 0, 30)
        await until(lambda: _missing(client, "kafka"), "the relay to see that Kafka is gone")
        assert (await client.get("/livez")).status_code == 200
        rows = await judge.waiting()
        assert rows >= 20
        await until(lambda: _shows(client, f"solve_outbox_rows {rows}.0"))
        await asyncio.to_thread(stack.kafka.start)
        await until(lambda: _is_empty(judge), "the rows to be published")
        await judge.close()
        await asyncio.to_thread(stack.postgres.kill)
        await until(lambda: _missing(client, "database"), "the relay to see that the database is gone")
        await until(lambda: _shows(client, "solve_outbox_rows NaN"))
        await asyncio.to_thread(stack.postgres.start)
        await judge.judge("bob", 100, 30)
        await until(lambda: _is_empty(judge), "the rows to be published")
        process.terminate()
        _, said = await process.communicate()
    for action in ("kafka_unavailable", "kafka_available", "database_unavailable", "database_available"):
        assert f"outbox_{action}" in said.decode()
    assert await counts(world) == await judge.counts()


async def test_a_relay_finds_mariadb_again_after_its_restart(world: World, site: Site, server: MariaDb) -> None:
    judge = MySqlJudge(site)
    await judge.make_tables()
    await judge.register("ada")
    async with relay_process(world, judge) as process:
        await until(lambda: _is_empty(judge))
        await judge.close()
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        site.admin = server.admin(site.name)
        await judge.add(solved("1", "ada", "p"))
        await until(lambda: _is_empty(judge), "the row to be published")
        process.terminate()
        _, said = await process.communicate()
    assert b"outbox_database_available" in said
    await judge.close()
    assert await counts(world) == {"ada": 1}


async def _is_empty(judge: Judge) -> bool:
    return await judge.waiting() == 0


async def _first(judge: Judge) -> int:
    ((seq,),) = await judge.run("SELECT coalesce(min(seq), 0) FROM solve_outbox WHERE state = 'waiting'")
    return int(seq)


async def _moved(judge: Judge, before: int) -> bool:
    return await _first(judge) != before


async def _missing(client: httpx.AsyncClient, part: str) -> str:
    answer = await client.get("/readyz")
    return next((one for one in answer.json()["missing"] if one.startswith(part)), "")


async def _shows(client: httpx.AsyncClient, line: str) -> bool:
    return line in (await client.get("/metrics")).text
