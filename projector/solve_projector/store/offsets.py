"""Reads and adds rows of `partition_offsets`; only `counts.py` moves one, together with what it stands for (I2)."""

from collections.abc import Collection

import asyncpg

from solve_projector.log.state import PartitionOffset
from solve_runtime.sql import queries

OFFSETS_SQL = queries("solve_projector.store", "offsets")


async def read_offsets(pool: asyncpg.Pool, topic: str) -> dict[int, PartitionOffset]:
    """The row of every partition."""
    async with pool.acquire() as connection:
        rows = await connection.fetch(OFFSETS_SQL["read_offsets"], topic)
    return {row["partition"]: PartitionOffset(*row) for row in rows}


async def add_partitions(pool: asyncpg.Pool, topic: str, partitions: Collection[int]) -> None:
    """Adds rows at offset 0 for partitions that have none."""
    async with pool.acquire() as connection:
        await connection.execute(OFFSETS_SQL["add_partitions"], topic, sorted(partitions))
