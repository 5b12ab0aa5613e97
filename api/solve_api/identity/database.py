"""What do the admins' tables get asked through? The pool of the pages, or the one connection of a command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from solve_projector.store.postgresql import Connection

Database = asyncpg.Pool | Connection


@asynccontextmanager
async def transaction(database: Database) -> AsyncIterator[Connection]:
    """All of it or nothing, whichever of the two it is."""
    if isinstance(database, asyncpg.Pool):
        async with database.acquire() as connection, connection.transaction():
            yield connection
    else:
        async with database.transaction():
            yield database
