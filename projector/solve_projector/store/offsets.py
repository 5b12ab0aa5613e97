"""How far has the log been applied? Reads and begins the rows of `partition_offsets`."""

from collections.abc import Collection

import asyncpg

from solve_projector.log.inspection import Progress
from solve_runtime.sql import queries

OFFSETS_SQL = queries("solve_projector.store", "offsets")


async def read_progress(pool: asyncpg.Pool, topic: str) -> dict[int, Progress]:
    """Every partition's row."""
    async with pool.acquire() as connection:
        rows = await connection.fetch(OFFSETS_SQL["read_offsets"], topic)
    return {row["partition"]: Progress(*row) for row in rows}


async def begin_partitions(pool: asyncpg.Pool, topic: str, partitions: Collection[int]) -> None:
    """Gives partitions that have no row one at offset 0."""
    async with pool.acquire() as connection:
        await connection.execute(OFFSETS_SQL["begin_partitions"], topic, sorted(partitions))
