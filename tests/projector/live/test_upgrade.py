"""This version beside a newer one: it goes on where it stays right, and is fenced where it would not."""

import re

import pytest

from solve_projector.errors import SchemaMismatch
from solve_projector.store import migrate as runner
from solve_projector.store.migrate import migrate, migrations
from tests.events import registered, solved
from tests.world import World

ADDS = "-- Additive: what older writers need not keep.\nALTER TABLE users ADD COLUMN motto text"
FENCES = "ALTER TABLE verdicts ADD COLUMN weight bigint NOT NULL DEFAULT 0"


async def upgrade(world: World, monkeypatch: pytest.MonkeyPatch, statements: str) -> None:
    """`setup` of a version that has one more revision."""
    with monkeypatch.context() as newer:
        newer.setattr(runner, "migrations", lambda: migrations() | {"9999": statements})
        assert await migrate(world.settings) == "9999"


async def test_beside_an_additive_revision_it_goes_on_and_may_start_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.publish([registered("u"), solved("1", "u", "p", 1)])
    async with world.running():
        await world.until_right()
        await upgrade(world, monkeypatch, ADDS)
        await world.publish([solved("2", "u", "q", 2)])
        await world.until_right()
    await world.publish([solved("3", "u", "r", 3)])
    async with world.running():
        await world.until_right()


async def test_a_revision_that_older_writers_cannot_keep_stops_them_at_once_with_what_to_do(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.publish([registered("u"), solved("1", "u", "p", 1)])
    async with world.process() as process:
        await world.until_right()
        await upgrade(world, monkeypatch, FENCES)
        await world.publish([solved("2", "u", "q", 2)])
        said = b"".join(await process.output)  # type: ignore[attr-defined]
    assert process.returncode == 1
    assert re.search(r"revision 9999.*upgrade solve-counts", said.decode())
    assert await world.value("SELECT problems_solved FROM users") == 1
    with pytest.raises(SchemaMismatch, match="upgrade solve-counts"):
        await world.run_once()
    assert await world.value("SELECT sum(next_offset) FROM partition_offsets") == 2


async def test_a_repair_and_a_retry_of_an_older_version_are_fenced_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.publish([registered("u"), solved("1", "u", "p", 1)])
    await world.run_once()
    await upgrade(world, monkeypatch, FENCES)
    async with world.database() as old:
        await old.execute("SET solve.revision = ''")  # of a version from before the fence
        for statement in (
            "UPDATE verdicts SET solved = false",
            "DELETE FROM parked_events",
            "DELETE FROM dead_letters",
            "DELETE FROM solves",
            "UPDATE partition_offsets SET next_offset = 0",
        ):
            with pytest.raises(Exception, match="upgrade solve-counts"):
                await old.execute(statement)
