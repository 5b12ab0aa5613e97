"""The one connection of a command or of a replay's process, on tables of this version."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg

from solve_projector.settings import ProjectorSettings
from solve_projector.store.migrate import require_schema
from solve_projector.store.postgresql import DATABASE_ERRORS, connect

CLOSE_TIMEOUT_S = 5.0


@asynccontextmanager
async def command_session(settings: ProjectorSettings, *, replay: bool = False) -> AsyncIterator[asyncpg.Connection]:
    """Closed on exit, by force if PostgreSQL no longer answers. Raises DatabaseUnavailable, SchemaMismatch."""
    connection = await connect(settings, replay=replay)
    try:
        await require_schema(connection, settings)
        yield connection
    finally:
        with suppress(*DATABASE_ERRORS):  # the answer is here already
            await connection.close(timeout=CLOSE_TIMEOUT_S)
