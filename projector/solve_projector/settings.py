"""The settings of the projector: read once, range-checked, secrets masked."""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from solve_runtime.settings import Settings, matching


def _level(named: object) -> object:
    """The standard library knows upper case alone, and people also write `info` and `WARN`."""
    upper = named.upper() if isinstance(named, str) else named
    return "WARNING" if upper == "WARN" else upper


LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_level)]
SchemaName = Annotated[
    str,
    matching(r"[a-z_][a-z0-9_]{0,62}", "must be 1 to 63 lower-case letters, digits or _, not beginning with a digit"),
]
KeyPrefix = Annotated[str, matching(r"[A-Za-z0-9_.-]{1,64}", "must be 1 to 64 letters, digits, dots, _ or -")]


class ProjectorSettings(Settings):
    """Read from the environment, `.env` and `/run/secrets`; see the README's table."""

    group_id: str = Field("solve-projector", min_length=1, max_length=200)
    group_session_timeout_ms: int = Field(
        10_000, ge=500, le=1_800_000, description="How soon a dead projector is replaced."
    )
    metadata_max_age_ms: int = Field(30_000, ge=500, le=3_600_000, description="How soon added partitions are seen.")

    database_url: SecretStr = Field(SecretStr("postgresql://localhost:5432/solves"))
    database_schema: SchemaName = Field("public", description="Another one for a database shared with a site.")
    database_ssl_cafile: Path | None = Field(None, description="CA of PostgreSQL's certificate (PEM); checks its name.")

    redis_url: SecretStr = Field(SecretStr("redis://localhost:6379/0"), description="rediss:// for TLS")
    redis_ssl_cafile: Path | None = Field(None, description="CA of Redis' certificate (PEM).")
    leaderboard_prefix: KeyPrefix = Field("solves", description="Begins every Redis key.")

    batch_max_records: int = Field(5_000, ge=1, le=50_000)
    batch_max_bytes: int = Field(16 * 1024 * 1024, ge=1024, le=256 * 1024 * 1024)
    sweep_interval_s: float = Field(20.0, gt=0, le=60, description="How often parked events are matched with users.")
    leaderboard_check_interval_s: float = Field(2.0, gt=0, le=60)
    log_check_interval_s: float = Field(10.0, gt=0, le=300)
    stall_after_s: float = Field(
        60.0, gt=0, description="Rejoin the group after so long with work but without progress."
    )
    transaction_idle_timeout_ms: int = Field(
        5_000,
        ge=100,
        le=60_000,
        description="After so long a projector that stops inside a transaction loses its locks.",
    )
    transaction_timeout_ms: int = Field(
        30_000,
        ge=1_000,
        le=3_600_000,
        description="The longest that a batch or a chunk of a repair may hold its locks.",
    )

    metrics_host: str = Field("127.0.0.1", min_length=1, description="Where /metrics, /livez and /readyz are served.")
    metrics_port: int | None = Field(None, ge=0, le=65_535, description="Unset: not served. 0: any free port.")
    liveness_timeout_s: float = Field(
        180.0, gt=0, description="After so long without progress /livez asks for a restart."
    )

    log_level: LogLevel = "INFO"
    log_format: Literal["auto", "json", "console"] = "auto"

    @model_validator(mode="after")
    def _rejoins_before_it_asks_for_a_restart(self) -> Self:
        if self.liveness_timeout_s <= self.stall_after_s:
            raise ValueError(
                f"SOLVE_LIVENESS_TIMEOUT_S ({self.liveness_timeout_s:g}) must be more than SOLVE_STALL_AFTER_S "
                f"({self.stall_after_s:g}): the process first tries to rejoin the group by itself"
            )
        return self

    @field_validator("database_url", "redis_url")
    @classmethod
    def _address_can_be_read(cls, url: SecretStr) -> SecretStr:
        """Python's own message would quote what it takes for the port: a piece of the password (I12)."""
        try:
            _ = urlsplit(url.get_secret_value()).port
        except ValueError:
            raise ValueError("is not an address; in a password, write / as %2F, # as %23, @ as %40, : as %3A") from None
        return url
