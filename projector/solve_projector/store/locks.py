"""Advisory locks: one of a kind at a time in each schema, over all processes.

Two schemas of one database never hold each other up: a lock's second key is the schema (PostgreSQL 18, 9.28.10: two
keys of 32 bits). A lock ends with its session or transaction.
"""

from enum import IntEnum

import asyncpg

from solve_projector.store.postgresql import Connection
from solve_runtime.sql import queries

LOCKS_SQL = queries("solve_projector.store", "locks")


class Lock(IntEnum):
    """What only one process may do at a time; the numbers only have to be ours ("sol" in ASCII, and a letter)."""

    MIGRATION = 0x736F6C6D
    REPLAY = 0x736F6C72
    COLD_REBUILD = 0x736F6C63  # projectors wait while it loads everything
    BOARD_REBUILD = 0x736F6C62  # a board of a new epoch, beside the old one
    BOARD_REWRITE = 0x736F6C76  # every user of one snapshot, into the board that is read


async def try_lock(connection: Connection, lock: Lock) -> bool:
    """Takes it for this session, or says False at once."""
    return bool(await connection.fetchval(LOCKS_SQL["try_lock"], lock))


async def try_lock_transaction(connection: Connection, lock: Lock) -> bool:
    """Takes it until this transaction ends, or says False at once."""
    return bool(await connection.fetchval(LOCKS_SQL["try_lock_transaction"], lock))


async def wait_migration_lock(connection: Connection, schema: str) -> None:
    """Takes the lock of migrations until this transaction ends; the schema need not be there yet."""
    await connection.execute(LOCKS_SQL["wait_migration_lock"], Lock.MIGRATION, schema)


async def wait_lock(connection: Connection, lock: Lock) -> None:
    """Takes it for this session, once its holder has ended."""
    await connection.execute(LOCKS_SQL["wait_lock"], lock)


async def unlock(connection: Connection, lock: Lock) -> None:
    """Gives it back."""
    await connection.execute(LOCKS_SQL["unlock"], lock)


async def holder_of(connection: Connection | asyncpg.Pool, lock: Lock) -> asyncpg.Record | None:
    """Who has it: pid, application_name, client, since (UTC); None where nobody has."""
    return await connection.fetchrow(LOCKS_SQL["lock_holder"], lock)
