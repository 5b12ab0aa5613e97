"""Makes the blocks that a search of many users reads, in PostgreSQL, for all processes.

Whoever finds them old starts to make new ones and waits for nothing. They are made at most for a fiftieth of the time,
by one process: each time says until when it is good, 49 times as long as it took. A crash leaves the blocks before.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import asyncpg
import structlog

from solve_projector.store.locks import Lock, try_lock_transaction
from solve_projector.store.postgresql import DATABASE_ERRORS, said_of
from solve_runtime.sql import queries
from solve_runtime.tasks import cancel_and_wait

SEARCH_SQL = queries("solve_api.profiles", "search")

TIMEOUT_S = 600.0
RETRY_S = 60.0  # after a failure

log = structlog.get_logger()


class SearchBlocks:
    """The blocks, as one process sees them."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._not_before_s = 0.0
        self.making: asyncio.Task[None] | None = None

    def renew(self) -> None:
        """Starts to make new ones, if nobody does."""
        if (self.making is None or self.making.done()) and monotonic() >= self._not_before_s:
            self.making = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                if not await try_lock_transaction(connection, Lock.SEARCH_BLOCKS):
                    return
                if await connection.fetchval(SEARCH_SQL["may_make_blocks"]):
                    await connection.execute(SEARCH_SQL["unlimited"])
                    await connection.execute(SEARCH_SQL["make_blocks"], timeout=TIMEOUT_S)
        except DATABASE_ERRORS as error:
            self._not_before_s = monotonic() + RETRY_S
            log.warning(
                "the blocks of the search cannot be made anew",
                action="search_blocks_failed",
                error=said_of(error),
                retry_s=RETRY_S,
            )


@asynccontextmanager
async def open_search_blocks(pool: asyncpg.Pool) -> AsyncIterator[SearchBlocks]:
    """On exit, stops to make new ones."""
    blocks = SearchBlocks(pool)
    try:
        yield blocks
    finally:
        if blocks.making:
            await cancel_and_wait([blocks.making])
