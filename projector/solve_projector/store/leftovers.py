"""Drops the staging tables of a replay, also of a killed one: they hold names, which may be erased since (I13)."""

import structlog

from solve_projector.store.locks import Lock, try_lock, unlock
from solve_projector.store.postgresql import DATABASE_ERRORS, Connection, said_of

# $1: only those that this role may drop
LEFT = """
SELECT string_agg(quote_ident(relname), ', ' ORDER BY relname)
FROM pg_class
WHERE relnamespace = current_schema()::regnamespace
    AND relkind = 'r'
    AND starts_with(relname, 'solve_replay_')
    AND (NOT $1::boolean OR pg_has_role(relowner, 'USAGE'))
"""

log = structlog.get_logger()


async def drop_staging(connection: Connection) -> None:
    """Drops all. The caller has the lock of a replay. Raises asyncpg's errors, for one where another role owns some."""
    if left := await connection.fetchval(LEFT, False):
        await connection.execute(f"DROP TABLE IF EXISTS {left}")


async def drop_leftovers(connection: Connection) -> None:
    """Leaves them while a replay runs, and those of another role. What cannot be dropped now, the next start drops."""
    if not await connection.fetchval(LEFT, True) or not await try_lock(connection, Lock.REPLAY):
        return
    try:
        if left := await connection.fetchval(LEFT, True):
            await connection.execute(f"DROP TABLE IF EXISTS {left}")
            log.info("the tables of an interrupted replay are dropped", action="staging_dropped", tables=left)
    except DATABASE_ERRORS as error:
        log.warning("the tables of an interrupted replay are still there", action="staging_left", error=said_of(error))
    finally:
        await unlock(connection, Lock.REPLAY)
