"""The settings of the relay."""

from typing import Literal, Self

from pydantic import Field, model_validator

from solve_runtime.addresses import ListeningHost, SourceAddress, is_mysql, unverifiable
from solve_runtime.settings import LogLevel, Settings
from solve_sources.databases.names import Named

OUTBOX_DATABASE = Named("the outbox's database", "OUTBOX_DATABASE_URL", "solve-producer relay")


class OutboxSettings(Settings):
    """Where the outbox is, and how it is relayed; read from the environment, `.env` and `/run/secrets` only (I12)."""

    outbox_database_url: SourceAddress = Field(
        description="The judge's database with `solve_outbox`: PostgreSQL, MySQL or MariaDB, as the relay's own role."
    )
    outbox_batch_rows: int = Field(1_000, ge=1, le=10_000, description="Most rows that are read and published at once.")
    outbox_poll_s: float = Field(
        0.5, ge=0.01, le=30, description="Seconds between reads of an empty outbox; PostgreSQL wakes the relay earlier."
    )
    outbox_metrics_host: ListeningHost = Field(
        "127.0.0.1", description="Address that serves `/metrics`, `/livez` and `/readyz` of the relay."
    )
    outbox_metrics_port: int | None = Field(
        None, ge=0, le=65_535, description="Its port, 9465 by convention; 0 is any free port, unset turns it off."
    )
    log_level: LogLevel = Field("INFO", description="Least severe level that is logged; in either case.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto` is `console` in a terminal and `json` elsewhere."
    )

    @property
    def is_mysql(self) -> bool:
        """Whether the database is MySQL or MariaDB."""
        return is_mysql(self.outbox_database_url.get_secret_value())

    @model_validator(mode="after")
    def _authorities_are_named(self) -> Self:
        if said := unverifiable(self.outbox_database_url.get_secret_value()):
            raise ValueError(f"OUTBOX_DATABASE_URL {said}")
        return self
