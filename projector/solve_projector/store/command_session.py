"""What does a command need of PostgreSQL? One connection with our tables, and errors that say what to do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from solve_projector.errors import DatabaseRefused, DatabaseUnavailable
from solve_projector.settings import ProjectorSettings
from solve_projector.store.migrate import require_schema
from solve_projector.store.postgresql import DATABASE_ERRORS, Connection, Failure, classify, connect

CLOSE_TIMEOUT_S = 5.0


@asynccontextmanager
async def command_session(settings: ProjectorSettings) -> AsyncIterator[Connection]:
    """Closed on exit. Raises DatabaseUnavailable, DatabaseRefused, SchemaMismatch."""
    connection = await connect(settings)
    try:
        await require_schema(connection, settings)
        yield connection
    except DATABASE_ERRORS as error:
        said = " ".join(str(error).split()) or type(error).__name__
        if classify(error) is Failure.TRANSIENT:
            raise DatabaseUnavailable(f"PostgreSQL broke off: {said}; run the same command again") from error
        raise DatabaseRefused(f"PostgreSQL refuses this: {said}; mend it and run the same command again") from error
    finally:
        with suppress(*DATABASE_ERRORS):  # what was asked is answered by now
            await connection.close(timeout=CLOSE_TIMEOUT_S)
