"""The floors of `bench.scale`: a bare route and a bare statement, asked as pages are, and `COPY`."""

from time import perf_counter
from typing import Any

import asyncpg

from bench.common import open_database
from bench.open_loop import Asked, ask_steadily, client_of, page
from bench.processes import serving
from bench.rounds import BARE
from solve_projector.settings import ProjectorSettings

RATE = 20.0
COPIED = 200_000


async def measure_floors(settings: ProjectorSettings, seconds: float) -> dict[str, Any]:
    """At the rate of one kind of page."""
    async with serving("bench.bare") as bare, client_of(bare.url) as client:
        found = await ask_steadily([Asked("bare route", page(client, lambda _: BARE), RATE)], seconds)
    async with open_database(settings) as database:

        async def select(_: int) -> bool:
            return bool(await statement.fetchval())

        statement = await database.prepare("SELECT 1")
        found |= await ask_steadily([Asked("SELECT 1", select, RATE)], seconds)
        copied = await _copy(database)
    return {name: one.figures | {"a_second": RATE} for name, one in found.items()} | {"copy_rows_per_s": copied}


async def _copy(database: asyncpg.Connection) -> int:
    """Rows of verdicts a second, into a table with their key."""
    rows = [tuple(row) for row in await database.fetch("SELECT * FROM verdicts LIMIT $1", COPIED)]
    await database.execute("CREATE TEMPORARY TABLE copied (LIKE verdicts INCLUDING ALL)")
    began = perf_counter()
    await database.copy_records_to_table("copied", records=rows)
    took = perf_counter() - began
    await database.execute("DROP TABLE copied")
    return round(len(rows) / took)
