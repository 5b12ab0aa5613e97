"""Reads and adds rows of `partition_offsets`; only `counts.py` moves one, together with what it stands for (I2)."""

from collections.abc import Collection

import asyncpg

from solve_projector.log.state import PartitionOffset
from solve_projector.store.postgresql import Connection
from solve_runtime.sql import queries

OFFSETS_SQL = queries("solve_projector.store", "offsets")


async def read_offsets(source: Connection | asyncpg.Pool, topic: str) -> dict[int, PartitionOffset]:
    """The row of every partition."""
    rows = await source.fetch(OFFSETS_SQL["read_offsets"], topic)
    return {row["partition"]: PartitionOffset(*row) for row in rows}


async def next_offsets(source: Connection | asyncpg.Pool, topic: str) -> dict[int, int]:
    """How far every partition has been applied."""
    return {partition: row.next_offset for partition, row in (await read_offsets(source, topic)).items()}


async def add_partitions(pool: asyncpg.Pool, topic: str, partitions: Collection[int]) -> None:
    """Adds rows at offset 0 for partitions that have none."""
    await pool.execute(OFFSETS_SQL["add_partitions"], topic, sorted(partitions))
