"""Drops the staging tables of a replay that was killed: they hold names, which may be erased since (I13)."""

import structlog

from solve_projector.store.locks import Lock, try_lock, unlock
from solve_projector.store.postgresql import DATABASE_ERRORS, Connection, said_of

LEFT = """
SELECT string_agg(quote_ident(relname), ', ' ORDER BY relname)
FROM pg_class
WHERE relnamespace = current_schema()::regnamespace
    AND relkind = 'r'
    AND starts_with(relname, 'solve_replay_')
    AND pg_has_role(relowner, 'USAGE')
"""

log = structlog.get_logger()


async def drop_leftovers(connection: Connection) -> None:
    """Leaves them while a replay runs, and those of another role. What cannot be dropped now, the next start drops."""
    if not await connection.fetchval(LEFT) or not await try_lock(connection, Lock.REPLAY):
        return
    try:
        if left := await connection.fetchval(LEFT):
            await connection.execute(f"DROP TABLE IF EXISTS {left}")
            log.info("the tables of an interrupted replay are dropped", action="staging_dropped", tables=left)
    except DATABASE_ERRORS as error:
        log.warning("the tables of an interrupted replay are still there", action="staging_left", error=said_of(error))
    finally:
        await unlock(connection, Lock.REPLAY)
