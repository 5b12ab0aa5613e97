"""The platform's database, as the environment names it."""

from importlib.util import find_spec
from typing import Self

from pydantic import Field, model_validator

from solve_runtime.addresses import SourceAddress, database_place, is_mysql, mysql_place, unverifiable
from solve_runtime.settings import Settings
from solve_sources.databases.names import Named
from solve_sources.errors import SourceUnusable

SOURCE_DATABASE = Named("the source database", "SOURCE_DATABASE_URL", "solve-producer import")
CLIENTS = ("asyncpg", "httpx", "msgspec", "pymysql")


class SourceSettings(Settings):
    """The platform's database; read from the environment, `.env` and `/run/secrets` only (I12)."""

    source_database_url: SourceAddress = Field(
        description="The platform's database, PostgreSQL, MySQL or MariaDB, as a role that may only read."
    )

    @property
    def place(self) -> str:
        """Server and database, as they may be shown."""
        address = self.source_database_url.get_secret_value()
        server = mysql_place(address).shown if is_mysql(address) else database_place(address)
        return f"{server}/{address.partition('://')[2].partition('?')[0].partition('/')[2]}"

    @model_validator(mode="after")
    def _authorities_are_named(self) -> Self:
        if said := unverifiable(self.source_database_url.get_secret_value()):
            raise ValueError(f"SOURCE_DATABASE_URL {said}")
        return self


def require_clients() -> None:
    """Raises SourceUnusable where what the extra installs is missing."""
    if not all(map(find_spec, CLIENTS)):
        raise SourceUnusable("needs the extra `import`; install it: pip install 'solve-counts[import]'")
