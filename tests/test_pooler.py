"""Every program through a real PgBouncer: it works in session mode, and refuses the other modes by name."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from tests.api.cli.test_serve import served
from tests.events import registered, solved
from tests.pooler import REMEDY, PgBouncer, pooled
from tests.test_command_lines import ON_TABLES, done, wrong
from tests.waiting import until
from tests.world import World

EVENTS = [registered("u"), registered("v"), solved("1", "u", "p", 1), solved("2", "v", "p", 2)]
# in the order in which an operator meets them; each must succeed
IN_ORDER = [
    "solve-projector setup",
    "solve-projector run --once",
    "solve-projector lag --fail-over 0",
    "solve-projector top",
    "solve-projector user u",
    "solve-projector replay --workers 2",
    "solve-projector replay --dry-run",
    "solve-projector replay --user u",
    "solve-projector replay --as-of 2026-05-01T12:00:00Z",
    "solve-projector sync-leaderboard",
    "solve-projector sync-leaderboard --dry-run",
    "solve-projector dead-letters list",
    "solve-projector dead-letters retry --all",
    "solve-api admin create ada",
    "solve-api admin list",
    "solve-api admin token ada --label x --scope read",
]


@pytest.mark.parametrize("ignored", ["", REMEDY])
@pytest.mark.parametrize("schema", ["public", "solves"])
async def test_in_session_mode_every_command_works(world: World, tmp_path: Path, ignored: str, schema: str) -> None:
    await world.publish(EVENTS)
    url = world.environment["DATABASE_URL"]
    async with pooled(tmp_path / "pooler", url, "session", ignore_startup_parameters=ignored) as pooler:
        found = await done(world, IN_ORDER, DATABASE_URL=pooler.url(), SOLVE_DATABASE_SCHEMA=schema)
    assert [one for one in found if one.status != 0 or "Traceback" in one.err] == []
    assert await world.value(f"SELECT sum(problems_solved) FROM {schema}.users") == 2


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_in_another_mode_every_command_refuses(world: World, tmp_path: Path, mode: str) -> None:
    url = world.environment["DATABASE_URL"]
    async with pooled(tmp_path / "pooler", url, mode, ignore_startup_parameters=REMEDY) as pooler:
        found = await done(world, [*ON_TABLES, "solve-projector setup"], DATABASE_URL=pooler.url())
    assert wrong(found, "a pooler in transaction or statement mode is in between; connect directly") == []


async def test_the_api_serves_in_session_mode_and_says_unavailable_where_the_mode_changes(
    world: World, tmp_path: Path
) -> None:
    await world.publish(EVENTS)
    await world.run_once()
    url = world.environment["DATABASE_URL"]
    pooler = PgBouncer(tmp_path / "pooler", url, "session")
    async with served(world, "--json", DATABASE_URL=pooler.url()) as process:  # the pooler does not run yet
        assert process.stdout
        assert process.stderr
        address = json.loads(await process.stdout.readline())["url"]
        log = asyncio.create_task(process.stderr.read())  # a full pipe would stop the API
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:

            async def until_status(status: int) -> None:
                async def answers() -> bool:
                    return (await client.get("/api/users/u")).status_code == status

                await until(answers, f"an answer of {status}")

            for mode, status in (("transaction", 503), ("session", 200), ("transaction", 503)):
                async with pooled(tmp_path / mode, url, mode, port=pooler.port):
                    await until_status(status)
                await until_status(503)  # without a pooler
        process.terminate()
        said = (await log).decode()
    assert "a pooler in transaction or statement mode is in between" in said
    assert "Traceback" not in said
