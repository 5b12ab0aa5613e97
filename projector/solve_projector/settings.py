"""The settings of the projector: read once, range-checked, secrets masked."""

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from solve_runtime.addresses import DatabaseAddress, ListeningHost, RedisAddress, unverifiable
from solve_runtime.certificates import CaFile
from solve_runtime.settings import LogLevel, Settings, matching

SchemaName = Annotated[
    str,
    matching(r"[a-z_][a-z0-9_]{0,62}", "must be 1 to 63 lower-case letters, digits or _, not beginning with a digit"),
    matching(
        r"(?!pg_|information_schema$).*", "must not begin with pg_ or be information_schema: those are PostgreSQL's"
    ),
]
GroupId = Annotated[
    str, matching(r"[^\x00-\x1f\x7f-\x9f]{1,200}", "must be 1 to 200 characters, and none of them a control character")
]
KeyPrefix = Annotated[str, matching(r"[A-Za-z0-9_.-]{1,64}", "must be 1 to 64 letters, digits, dots, _ or -")]


class ProjectorSettings(Settings):
    """Read from the environment, `.env` and `/run/secrets`; docs/settings.md lists them."""

    group_id: GroupId = Field("solve-projector", description="Consumer group of projectors.")
    group_session_timeout_ms: int = Field(
        10_000, ge=500, le=1_800_000, description="Milliseconds until a dead projector's partitions go to another."
    )
    metadata_max_age_ms: int = Field(
        30_000, ge=500, le=3_600_000, description="Milliseconds until new partitions of the topic are noticed."
    )

    database_url: DatabaseAddress = Field(
        SecretStr("postgresql://localhost:5432/solves"), description="PostgreSQL 18 or newer; `?sslmode=…` for TLS."
    )
    database_schema: SchemaName = Field("public", description="Schema of our tables; change it in a shared database.")
    database_ssl_cafile: CaFile = Field(
        None,
        description="CA certificates (PEM) to trust for PostgreSQL; also checks the host name. For "
        "`sslmode=verify-full` there must be these or `sslrootcert`.",
    )

    redis_url: RedisAddress = Field(
        SecretStr("redis://localhost:6379/0"),
        description="Redis or Valkey; `rediss://` for TLS. A node of a Redis Cluster is recognised; several are "
        "`redis+cluster://host:6379,host2:6379`. Sentinels: `redis+sentinel://user:password@host:26379,host2:26379/"
        "name-of-the-master/0`, with `?sentinel_username=…&sentinel_password=…` if they ask for a login of their own; "
        "`rediss+…` for TLS.",
    )
    redis_ssl_cafile: CaFile = Field(None, description="CA certificates (PEM) to trust for Redis.")
    leaderboard_prefix: KeyPrefix = Field("solves", description="Prefix of every key in Redis.")

    batch_max_records: int = Field(5_000, ge=1, le=50_000, description="Most records in one transaction.")
    batch_max_bytes: int = Field(
        16 * 1024 * 1024, ge=1024, le=256 * 1024 * 1024, description="Most bytes of records in one transaction."
    )
    start_timeout_s: float = Field(
        30.0,
        ge=0,
        le=3_600,
        description="Seconds that a projector waits at its start for unavailable servers and locks; 0: not at all.",
    )
    sweep_interval_s: float = Field(20.0, gt=0, le=60, description="Seconds between checks for users of parked events.")
    leaderboard_check_interval_s: float = Field(
        2.0, gt=0, le=60, description="Seconds between comparisons of the leaderboard with PostgreSQL."
    )
    log_check_interval_s: float = Field(
        10.0, gt=0, le=300, description="Seconds between checks of the topic's settings and offsets."
    )
    stall_after_s: float = Field(
        60.0, gt=0, le=86_400, description="Seconds with work but no progress until a projector rejoins its group."
    )
    transaction_idle_timeout_ms: int = Field(
        5_000,
        ge=100,
        le=60_000,
        description="Milliseconds until a process frozen inside a transaction loses its locks.",
    )
    transaction_timeout_ms: int = Field(
        30_000,
        ge=1_000,
        le=3_600_000,
        description="Milliseconds that a batch, or a chunk of a repair, may take at most.",
    )

    metrics_host: ListeningHost = Field(
        "127.0.0.1", description="Address that serves `/metrics`, `/livez` and `/readyz`."
    )
    metrics_port: int | None = Field(
        None, ge=0, le=65_535, description="Its port, 9464 by convention; 0 is any free port, unset turns it off."
    )
    liveness_timeout_s: float = Field(
        180.0,
        gt=0,
        le=86_400,
        description="Seconds without progress until `/livez` fails; more than `SOLVE_STALL_AFTER_S`.",
    )

    log_level: LogLevel = Field("INFO", description="Least severe level that is logged; in either case.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto` is `console` in a terminal and `json` elsewhere."
    )

    @model_validator(mode="after")
    def _authorities_of_postgresql_are_named(self) -> Self:
        if not self.database_ssl_cafile and (said := unverifiable(self.database_url.get_secret_value())):
            raise ValueError(f"DATABASE_URL {said}, or set DATABASE_SSL_CAFILE")
        return self

    @model_validator(mode="after")
    def _authorities_of_redis_are_used(self) -> Self:
        if self.redis_ssl_cafile and not self.redis_url.get_secret_value().startswith("rediss"):
            raise ValueError("REDIS_SSL_CAFILE has no use without TLS; begin REDIS_URL with rediss, or unset the file")
        return self

    @model_validator(mode="after")
    def _rejoins_before_it_asks_for_a_restart(self) -> Self:
        if self.liveness_timeout_s <= self.stall_after_s:
            raise ValueError(
                f"SOLVE_LIVENESS_TIMEOUT_S ({self.liveness_timeout_s:g}) must be more than SOLVE_STALL_AFTER_S "
                f"({self.stall_after_s:g}): the process first tries to rejoin the group by itself"
            )
        return self
