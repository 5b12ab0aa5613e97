"""The tables as pg_dump writes them, to be compared with the committed `schema.sql`.

After a migration: python -m devstack run -- python -m tests.projector.store.schema
"""

import asyncio
import subprocess
from pathlib import Path

from devstack.postgres import POSTGRES_BIN_PATH
from solve_projector.settings import ProjectorSettings
from solve_projector.store.migrate import migrate

COMMITTED = Path(__file__).with_name("schema.sql")
COMMAND = "python -m devstack run -- python -m tests.projector.store.schema"
OPTIONS = ("--schema-only", "--no-owner", "--no-privileges", "--restrict-key=none")


def dump(database_url: str) -> str:
    """Every table, column, default, constraint, index and comment; without what names a version of PostgreSQL."""
    done = subprocess.run(
        [POSTGRES_BIN_PATH / "pg_dump", *OPTIONS, database_url], capture_output=True, text=True, check=True
    )
    lines = [line for line in done.stdout.splitlines() if line and not line.startswith(("--", "SET ", "\\", "SELECT "))]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Migrates the empty database of `devstack run`, and writes what that gave."""
    settings = ProjectorSettings()
    asyncio.run(migrate(settings))
    COMMITTED.write_text(dump(settings.database_url.get_secret_value()), encoding="utf-8")
    print(f"written to {COMMITTED}")


if __name__ == "__main__":
    main()
