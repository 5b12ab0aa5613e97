"""Settings and stores, opened in one way for every command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from solve_projector.leaderboard.board import Leaderboard, open_leaderboard
from solve_projector.settings import ProjectorSettings
from solve_projector.store.migrate import require_schema
from solve_projector.store.postgresql import open_pool
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.logs import configure_logs
from solve_runtime.settings import read_together


def load_settings() -> tuple[KafkaConnection, ProjectorSettings]:
    """From the environment, with the logs set up as it says."""
    connection, settings = read_together(KafkaConnection.of_program, ProjectorSettings)
    configure_logs(settings.log_level, settings.log_format)
    return connection, settings


@asynccontextmanager
async def open_stores(
    connection: KafkaConnection, settings: ProjectorSettings
) -> AsyncIterator[tuple[asyncpg.Pool, Leaderboard]]:
    """PostgreSQL and the leaderboard. Raises DatabaseUnavailable, SchemaMismatch."""
    async with open_pool(settings) as pool, open_leaderboard(settings, connection.topic) as board:
        await require_schema(pool, settings)
        yield pool, board
