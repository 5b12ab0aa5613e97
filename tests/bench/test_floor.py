"""The floor takes the rows that projection writes, so that a ratio to it means something."""

import asyncpg

from bench.floor import measure_floor, rows_of
from solve_producer.demo.simulation import Season, simulate
from tests.events import BEGIN

SEASON = Season(start=BEGIN, users=20, problems=10, events=200, seed=1)


async def test_the_floor_inserts_the_columns_of_verdicts(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        assert await measure_floor(connection, rows_of(simulate(SEASON), 50)) > 0
    finally:
        await connection.close()
