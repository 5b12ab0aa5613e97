"""Locks that are apart in each schema, and shared within one."""

import pytest

from solve_projector.store.locks import Lock, holder_of, try_lock, unlock
from solve_projector.store.postgresql import connect
from tests.world import World


def test_every_lock_has_a_number_of_its_own() -> None:
    assert len(Lock) == len({lock.value for lock in Lock})
    assert len(Lock.__members__) == len(Lock), "an alias: two names of one number"


@pytest.mark.parametrize("lock", Lock)
async def test_two_schemas_of_one_database_never_hold_each_other_up(world: World, lock: Lock) -> None:
    other = world.settings.model_copy(update={"database_schema": "other"})
    async with world.database() as database:
        await database.execute("CREATE SCHEMA other")
    first, second, elsewhere = await connect(world.settings), await connect(world.settings), await connect(other)
    try:
        assert await try_lock(first, lock)
        assert not await try_lock(second, lock)
        assert await holder_of(elsewhere, lock) is None
        assert await try_lock(elsewhere, lock)
        holder = await holder_of(second, lock)
        assert holder is not None
        assert holder["pid"] == first.get_server_pid()
        await unlock(first, lock)
        assert await try_lock(second, lock)
    finally:
        for connection in (first, second, elsewhere):
            await connection.close()
