"""The one connection of a command, on tables of this version."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from solve_projector.settings import ProjectorSettings
from solve_projector.store.migrate import require_schema
from solve_projector.store.postgresql import DATABASE_ERRORS, Connection, connect

CLOSE_TIMEOUT_S = 5.0


@asynccontextmanager
async def command_session(settings: ProjectorSettings) -> AsyncIterator[Connection]:
    """Closed on exit. Raises DatabaseUnavailable, SchemaMismatch."""
    connection = await connect(settings)
    try:
        await require_schema(connection, settings)
        yield connection
    finally:
        with suppress(*DATABASE_ERRORS):  # the answer is here already
            await connection.close(timeout=CLOSE_TIMEOUT_S)
