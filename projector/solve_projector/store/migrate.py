"""Runs the migrations: SQL files that are applied in order, all that are missing in one transaction.

One process at a time: a second one waits, and then finds nothing to do. A crash leaves the tables as they were.
Two tables say what was applied: `solve_counts_migration` the newest revision that fences older writers, which is all
that they look at, and `solve_counts_addition` the additive ones.
"""

import asyncpg

from solve_projector.errors import PermissionMissing, SchemaMismatch
from solve_projector.settings import ProjectorSettings
from solve_projector.store.locks import wait_migration_lock
from solve_projector.store.postgresql import GRANTS, LOCK_TIMEOUT_MS, Connection, connect
from solve_projector.store.revisions import is_additive, migrations
from solve_runtime.sql import queries

MIGRATIONS_SQL = queries("solve_projector.store", "migrations")

OUR_TABLES = (
    "users",
    "verdicts",
    "solves",
    "user_removals",
    "problem_facts",
    "problem_recounts",
    "kept_boards",
    "kept_places",
    "kept_ranks",
    "user_search_keys",
    "user_search_blocks",
    "user_search_state",
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


def newest_revision() -> str:
    """The newest revision that this version needs."""
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
    if not await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", f'"{schema}"'):
        # asks for a permission on the database even where the schema is there
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    fence = await _fence(connection)
    if fence is None:
        await _refuse_foreign_tables(connection, schema)
    _require_known(fence, schema)
    await connection.execute(MIGRATIONS_SQL["create_version_tables"])
    for revision in await _missing(connection, fence):
        statements = migrations()[revision]
        if is_additive(statements):
            await connection.execute(statements)
            await connection.execute(MIGRATIONS_SQL["add_addition"], revision)
            continue
        if fence is not None:  # no older batch is half done when the fence goes up
            await connection.execute(MIGRATIONS_SQL["lock_all_offsets"])
        await connection.execute(statements)
        await connection.execute(MIGRATIONS_SQL["set_fence"], revision)


async def require_schema(connection: Connection | asyncpg.Pool, settings: ProjectorSettings) -> None:
    """Raises SchemaMismatch where the tables are not those of this version."""
    schema = settings.database_schema
    fence = await _fence(connection)
    if fence is None:
        if await connection.fetchval(MIGRATIONS_SQL["hidden_schema"], schema):
            raise PermissionMissing(f"permission denied for schema {schema} ({GRANTS})")
        raise SchemaMismatch(f"schema {schema} has no tables of ours yet; create them with: solve-projector setup")
    _require_known(fence, schema)
    if missing := await _missing(connection, fence):
        applied = max((one for one in migrations() if one < missing[0]), default=fence)
        raise SchemaMismatch(
            f"the tables in schema {schema} are at revision {applied} and this version needs {newest_revision()}; "
            "upgrade them with: solve-projector setup"
        )


async def require_readable(connection: Connection | asyncpg.Pool) -> None:
    """Raises PermissionMissing where the role may not read one of our tables."""
    if denied := await connection.fetchval(MIGRATIONS_SQL["denied_tables"], OUR_TABLES):
        raise PermissionMissing(f"permission denied for table {denied} ({GRANTS})")


async def _fence(connection: Connection | asyncpg.Pool) -> str | None:
    """The newest revision that fences older writers; None where there are no tables yet."""
    if await connection.fetchval(MIGRATIONS_SQL["version_table"]) is None:
        return None
    found: str | None = await connection.fetchval(MIGRATIONS_SQL["fence"])
    return found


async def _missing(connection: Connection | asyncpg.Pool, fence: str | None) -> list[str]:
    """The revisions of this version that were not applied, oldest first; those of newer versions do not matter."""
    has_additions = await connection.fetchval(MIGRATIONS_SQL["addition_table"]) is not None
    rows = await connection.fetch(MIGRATIONS_SQL["additions"]) if has_additions else []
    additions = {row[0] for row in rows}
    return [one for one in migrations() if (fence is None or one > fence) and one not in additions]


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
