"""Makes many users with a year of verdicts inside PostgreSQL, and their board in Redis.

The events never were in Kafka: 100,000 users take seconds this way, and pages read what is in the stores alone.
"""

from pathlib import Path
from typing import Any

import asyncpg

from bench.common import open_database
from bench.processes import run
from solve_projector.operations.setup import provision
from solve_projector.settings import ProjectorSettings
from solve_runtime.kafka_settings import KafkaConnection

VERDICTS_EACH = 10
TABLES = ("users", "verdicts", "solves")


async def make_crowd(
    connection: KafkaConnection, users: int, verdicts: int | None = None, champion: int = 0
) -> dict[str, Any]:
    """In place of whatever was there; how large it became. `verdicts` are about as many, ten a user by default.

    The first user has solved `champion` problems that nobody else has.
    """
    settings = ProjectorSettings()
    await provision(connection, settings)
    async with open_database(settings, replay=True) as database:
        await database.execute("TRUNCATE users, verdicts, solves, parked_events, dead_letters, partition_offsets")
        mean = verdicts / users if verdicts else VERDICTS_EACH
        for name, number in (("users", users), ("mean", mean), ("champion", champion)):
            await database.execute("SELECT set_config('bench.' || $1, $2, false)", name, str(number))
        await database.execute(Path(__file__).with_name("crowd.sql").read_text(encoding="utf-8"))
        for table in TABLES:  # as autovacuum would have by then
            await database.execute(f"VACUUM (FREEZE, ANALYZE) {table}")
        size = await _size(database)
    await run("solve_projector", "sync-leaderboard", "--json")
    return {"users": users, **size}


async def _size(database: asyncpg.Connection) -> dict[str, Any]:
    row = await database.fetchrow(
        "SELECT count(*) FILTER (WHERE problems_solved > 0) AS ranked, max(problems_solved) AS most_solved,"
        " percentile_disc(0.5) WITHIN GROUP (ORDER BY problems_solved) AS median_solved,"
        " (SELECT count(*) FROM verdicts) AS verdicts"
        " FROM users"
    )
    return dict(row or {})
