"""Connects to Redis, and turns its client's errors into ours. No message shows a password (I12)."""

from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from solve_projector.errors import LeaderboardUnavailable, SettingsError
from solve_projector.settings import ProjectorSettings

SOCKET_TIMEOUT_S = 2.0


class translated:  # noqa: N801 - reads as a statement
    """Raises LeaderboardUnavailable for the client's errors, and for values in Redis that are not ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, RedisError | OSError | TimeoutError | ValueError | OverflowError):
            detail = str(error) or type(error).__name__
            raise LeaderboardUnavailable(f"Redis: {detail}; check REDIS_URL and the server") from error


def connect_redis(settings: ProjectorSettings, **changes: Any) -> Redis:
    """A client that connects when first used; the caller closes it. Raises SettingsError on an invalid URL."""
    options: dict[str, Any] = {
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": SOCKET_TIMEOUT_S,
        "socket_keepalive": True,
        # a failed write is repaired from PostgreSQL; retrying it here would delay the next one
        "retry": Retry(NoBackoff(), 0),
        "client_name": "solve-projector",
    }
    if settings.redis_ssl_cafile:
        options["ssl_ca_certs"] = str(settings.redis_ssl_cafile)
    try:
        return Redis.from_url(settings.redis_url.get_secret_value(), **options | changes)
    except (ValueError, TypeError):
        raise SettingsError("REDIS_URL cannot be used; correct its parameters") from None  # the error may quote them
