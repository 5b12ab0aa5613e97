"""Advisory locks: one holder of a kind at a time in each schema, over all processes.

Two schemas of one database never block each other: a lock's second key is the schema (PostgreSQL 18, 9.28.10: two keys
of 32 bits). A lock ends with its session or transaction, so a crash leaves none.
"""

from enum import IntEnum

import asyncpg

from solve_projector.store.postgresql import Connection
from solve_runtime.sql import queries

LOCKS_SQL = queries("solve_projector.store", "locks")


class Lock(IntEnum):
    """What only one process may do at a time. The numbers are "sol" in ASCII and a letter, to be ours alone."""

    MIGRATION = 0x736F6C6D
    REPLAY = 0x736F6C72
    COLD_REBUILD = 0x736F6C63  # projectors wait until it has loaded everything
    BOARD_REBUILD = 0x736F6C62  # a new epoch of the leaderboard, beside the old one
    SEARCH_BLOCKS = 0x736F6C73  # what a search of many users reads, made anew
    BOARD_REWRITE = 0x736F6C76  # every user of one snapshot, into the current epoch
    KEPT_BOARD = 0x736F6C6B  # a board that the API keeps, in place of the last one


async def try_lock(connection: Connection, lock: Lock) -> bool:
    """Takes it for this session, or returns False at once."""
    return bool(await connection.fetchval(LOCKS_SQL["try_lock"], lock))


async def try_lock_transaction(connection: Connection, lock: Lock) -> bool:
    """Takes it until this transaction ends, or returns False at once."""
    return bool(await connection.fetchval(LOCKS_SQL["try_lock_transaction"], lock))


async def wait_migration_lock(connection: Connection, schema: str) -> None:
    """Takes the lock of migrations until this transaction ends; the schema need not exist yet."""
    await connection.execute(LOCKS_SQL["wait_migration_lock"], Lock.MIGRATION, schema)


async def wait_lock(connection: Connection, lock: Lock) -> None:
    """Takes it for this session, after its holder."""
    await connection.execute(LOCKS_SQL["wait_lock"], lock)


async def unlock(connection: Connection, lock: Lock) -> None:
    """Releases it."""
    await connection.execute(LOCKS_SQL["unlock"], lock)


async def holder_of(connection: Connection | asyncpg.Pool, lock: Lock) -> asyncpg.Record | None:
    """Its holder: pid, application_name, client, since (UTC); None if it is free."""
    return await connection.fetchrow(LOCKS_SQL["lock_holder"], lock)
