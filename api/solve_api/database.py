"""The API's connections to PostgreSQL: a pool for requests, and transactions on it or on a command's connection.

Nothing waits for long: a request that finds no free connection fails with TimeoutError, which reads as PostgreSQL
being unavailable.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import asyncpg
import asyncpg.pool
import structlog

from solve_api.errors import CommitRefused
from solve_projector.settings import ProjectorSettings
from solve_projector.store.migrate import require_readable
from solve_projector.store.postgresql import Connection, Failure, classify, closing_pool, pool_options, said_of
from solve_runtime.tasks import retrieve

Database = asyncpg.Pool | Connection

# requests ask small questions, and the planner knows the tables better than a forced plan
SESSION = {
    "application_name": "solve-api",
    "plan_cache_mode": "auto",
    "enable_seqscan": "on",
    "lock_timeout": "5000",
    "statement_timeout": "20000",
}
COMMAND_TIMEOUT_S = 25.0
CONNECT_TIMEOUT_S = 3.0
ACQUIRE_TIMEOUT_S = 5.0
READY_FOR_S = 1.0

log = structlog.get_logger()


class RequestPool(asyncpg.Pool):
    """A pool whose `acquire` gives up after ACQUIRE_TIMEOUT_S."""

    def acquire(self, *, timeout: float | None = None) -> asyncpg.pool.PoolAcquireContext:
        """As asyncpg's; `pool.fetch` and the like go through it too."""
        return super().acquire(timeout=ACQUIRE_TIMEOUT_S if timeout is None else timeout)


@asynccontextmanager
async def open_request_pool(settings: ProjectorSettings, size: int) -> AsyncIterator[asyncpg.Pool]:
    """Opens a pool that connects on first use, so that the API starts while PostgreSQL is down."""
    options = pool_options(settings)
    options["session"] |= SESSION
    options |= {"command_timeout": COMMAND_TIMEOUT_S, "timeout": CONNECT_TIMEOUT_S}
    pool = RequestPool(
        **options,
        init_size=0,
        min_size=0,
        max_size=size,
        max_queries=50_000,
        max_inactive_connection_lifetime=300.0,
        loop=None,
        connection_class=asyncpg.Connection,
        record_class=asyncpg.Record,
    )
    async with closing_pool(pool, settings):
        yield pool


class Readiness:
    """Whether PostgreSQL answers and lets us read our tables, asked once a second at most however many want to know."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._asked: asyncio.Task[None] | None = None
        self._asked_at = 0.0

    async def check(self) -> None:
        """Raises PermissionMissing and asyncpg's errors."""
        if self._asked is None or (self._asked.done() and monotonic() >= self._asked_at + READY_FOR_S):
            self._asked, self._asked_at = asyncio.create_task(self._ask()), monotonic()
            self._asked.add_done_callback(retrieve)
        await asyncio.shield(self._asked)

    async def _ask(self) -> None:
        async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
            await require_readable(self._pool)


@asynccontextmanager
async def transaction(database: Database) -> AsyncIterator[Connection]:
    """Opens a transaction on a pool or on a single connection.

    Raises CommitRefused where PostgreSQL checks something only at the end, as a deferred constraint.
    """
    if isinstance(database, asyncpg.Pool):
        async with database.acquire() as connection, transaction(connection):
            yield connection
        return
    committing = False
    try:
        async with database.transaction():
            yield database
            committing = True
    except asyncpg.PostgresError as error:
        if not committing or classify(error) is Failure.TRANSIENT:
            raise
        log.warning("PostgreSQL refused a commit", action="commit_refused", error=said_of(error))
        raise CommitRefused(
            "PostgreSQL refuses to commit this, so it is not done; the operator finds the reason in the log of this "
            "program"
        ) from error
