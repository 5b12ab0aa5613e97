"""Runs the migrations: SQL files that are applied in order, all that are missing in one transaction.

One process at a time: a second one waits, and then finds nothing to do. A crash leaves the tables as they were.
"""

from functools import cache
from importlib.resources import files

import asyncpg

from solve_projector.errors import SchemaMismatch
from solve_projector.settings import ProjectorSettings
from solve_projector.store.locks import wait_migration_lock
from solve_projector.store.postgresql import LOCK_TIMEOUT_MS, Connection, connect
from solve_runtime.sql import queries

MIGRATIONS_SQL = queries("solve_projector.store", "migrations")

OUR_TABLES = (
    "users",
    "verdicts",
    "superseded_verdicts",
    "parked_events",
    "dead_letters",
    "partition_offsets",
    "leaderboard_epoch",
    "leaderboard_outbox",
    "replay_runs",
    "admins",
    "admin_sessions",
    "admin_tokens",
    "admin_lockouts",
    "admin_audit",
    "admin_jobs",
)


@cache
def migrations() -> dict[str, str]:
    """The statements of each revision, oldest first. A file is named by its revision: `0001_initial.sql`."""
    folder = files("solve_projector.store").joinpath("migrations")
    named = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    return {name.partition("_")[0]: folder.joinpath(name).read_text(encoding="utf-8") for name in named}


def newest_revision() -> str:
    """The revision that this version needs."""
    return max(migrations())


async def migrate(settings: ProjectorSettings) -> str:
    """Brings the tables to this version; the revision they have now. Safe to repeat, and when two start at once.

    Raises DatabaseUnavailable, and SchemaMismatch where the tables are somebody else's or of a newer version.
    """
    connection = await connect(settings, setup=True)
    try:
        migrations()  # files are read before there is a lock to hold
        async with connection.transaction():
            await wait_migration_lock(connection, settings.database_schema)
            await connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
            await _upgrade(connection, settings.database_schema)
    finally:
        await connection.close()
    return newest_revision()


async def _upgrade(connection: asyncpg.Connection, schema: str) -> None:
    await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    current = await _revision(connection)
    if current is None:
        await _refuse_foreign_tables(connection, schema)
        await connection.execute(MIGRATIONS_SQL["create_version_table"])
    _require_known(current, schema)
    for revision, statements in migrations().items():
        if current is None or revision > current:
            await connection.execute(statements)
            await connection.execute(MIGRATIONS_SQL["add_revision"], revision)
    await connection.execute(MIGRATIONS_SQL["remove_other_revisions"], newest_revision())


async def require_schema(connection: Connection | asyncpg.Pool, settings: ProjectorSettings) -> None:
    """Raises SchemaMismatch where the tables are not those of this version."""
    schema = settings.database_schema
    found = await _revision(connection)
    if found is None:
        raise SchemaMismatch(f"schema {schema} has no tables of ours yet; create them with: solve-projector setup")
    _require_known(found, schema)
    if found != newest_revision():
        raise SchemaMismatch(
            f"the tables in schema {schema} are at revision {found} and this version needs {newest_revision()}; "
            "upgrade them with: solve-projector setup"
        )


async def _revision(connection: Connection | asyncpg.Pool) -> str | None:
    if await connection.fetchval(MIGRATIONS_SQL["version_table"]) is None:
        return None
    found: str | None = await connection.fetchval(MIGRATIONS_SQL["revision"])
    return found


def _require_known(revision: str | None, schema: str) -> None:
    if revision is not None and revision not in migrations():
        raise SchemaMismatch(
            f"the tables in schema {schema} are at revision {revision}, which this version does not know (it knows up "
            f"to {newest_revision()}); upgrade solve-counts"
        )


async def _refuse_foreign_tables(connection: asyncpg.Connection, schema: str) -> None:
    """Tables of our names without our version table are somebody else's: a site's own `users`, most often."""
    foreign = await connection.fetchval(MIGRATIONS_SQL["foreign_table"], schema, OUR_TABLES)
    if foreign:
        raise SchemaMismatch(
            f"schema {schema} already has a table {foreign} that is not ours; nothing was changed: "
            "set SOLVE_DATABASE_SCHEMA to a schema of our own, such as solves"
        )
