"""Are the tables those this version needs? Migrates them with Alembic, one process at a time."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from solve_projector.errors import SchemaMismatch
from solve_projector.settings import ProjectorSettings
from solve_projector.store.locks import Lock
from solve_projector.store.postgresql import Connection as Session
from solve_projector.store.postgresql import connect

# Alembic and SQLAlchemy take a quarter of a second to load, and only `setup` needs them.
if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "solve_counts_migration"
OUR_TABLES = (
    "users",
    "verdicts",
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


async def migrate(settings: ProjectorSettings) -> str:
    """Brings the tables to this version, in one transaction; the revision they have now.

    Safe when two start at once. Raises DatabaseUnavailable, and SchemaMismatch where a table of our name is not ours.
    """

    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    async def _connect() -> asyncpg.Connection:
        return await connect(settings)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=_connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SET LOCAL transaction_timeout = 0"))
            await connection.execute(text("SET LOCAL lock_timeout = 0"))
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(:lock, hashtext(:schema))"),
                {"lock": int(Lock.MIGRATION), "schema": settings.database_schema},
            )
            await connection.execute(text("SET LOCAL lock_timeout = '15s'"))
            await connection.run_sync(_upgrade, settings.database_schema)
    finally:
        await engine.dispose()
    return _head()


async def require_schema(connection: Session, settings: ProjectorSettings) -> None:
    """Raises SchemaMismatch where the tables are not those of this version."""
    schema = settings.database_schema
    if await connection.fetchval("SELECT to_regclass($1)", f"{schema}.{VERSION_TABLE}") is None:
        raise SchemaMismatch(f"schema {schema} has no tables of ours yet; create them with: solve-projector setup")
    found = await connection.fetchval(f'SELECT version_num FROM "{schema}".{VERSION_TABLE}')  # noqa: S608 - checked name
    if found != _head():
        raise SchemaMismatch(
            f"the tables are at revision {found}, this version needs {_head()}; run: solve-projector setup"
        )


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def _head() -> str:
    """The newest revision: files are named by it, and revisions follow each other."""
    return max(path.stem.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _upgrade(connection: "Connection", schema: str) -> None:
    from alembic import command
    from sqlalchemy import text

    connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
    _refuse_foreign_tables(connection, schema)
    config = _config()
    config.attributes.update(connection=connection, schema=schema, run_sql=_run_sql)
    command.upgrade(config, "head")


def _refuse_foreign_tables(connection: "Connection", schema: str) -> None:
    """Tables of our names without our version table belong to somebody: a site's own `users`, mostly."""
    from sqlalchemy import text

    found = {
        row[0]
        for row in connection.execute(
            text("SELECT table_name FROM information_schema.tables WHERE table_schema = :schema"), {"schema": schema}
        )
    }
    if VERSION_TABLE not in found and (foreign := sorted(found & set(OUR_TABLES))):
        raise SchemaMismatch(
            f"schema {schema} already has a table {foreign[0]} that is not ours; nothing was changed: "
            "set SOLVE_DATABASE_SCHEMA to a name of our own, such as solves"
        )


def _run_sql(connection: "Connection", name: str) -> None:
    """Runs a file of statements as it stands, which SQLAlchemy's one statement at a time does not do."""
    script = (MIGRATIONS / "versions" / name).read_text(encoding="utf-8")
    raw: Any = connection.connection.dbapi_connection
    raw.run_async(lambda driver: driver.execute(script))
