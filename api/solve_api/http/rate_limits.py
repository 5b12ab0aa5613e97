"""Limits how often a client may ask, in fixed windows: per address, and per admin who starts repairs.

Logins and repairs are counted in Redis, so that the limits hold across processes; while Redis is unavailable, and for
ordinary reads, each process counts in its own memory. A read in memory costs 8 µs, where a round trip to Redis costs
240 µs, and the library's own memory 5 ms once 20,000 addresses are known.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from enum import StrEnum
from math import ceil
from typing import Any

import structlog
from limits import RateLimitItem, parse_many
from limits.aio.storage import RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter

from solve_api.errors import TooManyRequests
from solve_api.settings import ApiSettings
from solve_projector.errors import LeaderboardUnavailable
from solve_projector.leaderboard.redis_client import RedisClient, connect_redis
from solve_runtime.http.networks import network_of

FORGET_INTERVAL_S = 60.0

log = structlog.get_logger()


class LimitKind(StrEnum):
    """What a limit is for."""

    READ = "read"
    PROBE = "probe"
    COSTLY = "costly"
    LOGIN = "login"


REASONS = {
    LimitKind.READ: "too many requests from this address",
    LimitKind.PROBE: "too many requests from this address",
    LimitKind.COSTLY: "you started too many repairs, or decided on too much at once",
    LimitKind.LOGIN: "too many login attempts from this address",
}
# counted in each process alone
IN_MEMORY = {LimitKind.READ, LimitKind.PROBE}


class RateLimits:
    """The limits of the API. `shared` counts in Redis; `clock` is in seconds since 1970."""

    def __init__(
        self,
        settings: ApiSettings,
        shared: "SharedWindows | None" = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        rates = {
            LimitKind.READ: settings.api_read_rate,
            LimitKind.PROBE: settings.api_read_rate,
            LimitKind.COSTLY: settings.api_costly_rate,
            LimitKind.LOGIN: settings.api_login_rate,
        }
        # the shortest window first
        self._items = {kind: sorted(parse_many(rate), key=RateLimitItem.get_expiry) for kind, rate in rates.items()}
        self._shared = shared
        self._clock = clock
        self._memory = MemoryWindows(clock)

    async def spend(self, kind: LimitKind, key: str) -> None:
        """Counts one request of a client's address or an admin's name. Raises TooManyRequests."""
        counted = network_of(key) if ":" in key else key
        for item in self._items[kind]:
            ends_at = await self._hit(kind, item, counted)
            if ends_at is not None:
                if kind not in IN_MEMORY:  # refused reads are many, and not worth a line each
                    log.warning("rate limit exceeded", action="rate_refused", kind=kind.value, key=counted)
                wait_s = ceil(max(ends_at - self._clock(), 1))
                raise TooManyRequests(f"{REASONS[kind]}; try again in {wait_s} seconds", wait_s)

    async def _hit(self, kind: LimitKind, item: RateLimitItem, key: str) -> float | None:
        """When the window ends if the limit is exceeded, else None."""
        if self._shared and kind not in IN_MEMORY:
            try:
                return await self._shared.hit(item, kind, key)
            except LeaderboardUnavailable as error:
                log.warning("Redis is unavailable; counting in memory", action="limits_in_memory", error=str(error))
        return self._memory.hit(item.key_for(kind, key), item.amount, item.get_expiry())


class MemoryWindows:
    """Counts by key, each with the end of its window; ended windows are dropped once a minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts: dict[str, tuple[int, float]] = {}
        self._forget_at = clock() + FORGET_INTERVAL_S

    def __len__(self) -> int:
        return len(self._counts)

    def hit(self, key: str, limit: int, window_s: int) -> float | None:
        """Counts one; when the window ends if that is one too many, else None."""
        now = self._clock()
        if now >= self._forget_at:
            self._counts = {key: window for key, window in self._counts.items() if window[1] > now}
            self._forget_at = now + FORGET_INTERVAL_S
        count, ends_at = self._counts.get(key, (0, 0.0))
        if ends_at <= now:
            count, ends_at = 0, now + window_s
        self._counts[key] = (count + 1, ends_at)
        return ends_at if count >= limit else None


class SharedWindows:
    """Counts in Redis, whatever server or cluster REDIS_URL names. Raises LeaderboardUnavailable."""

    def __init__(self, redis: RedisClient, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._made: tuple[Any, FixedWindowRateLimiter] | None = None

    async def hit(self, item: RateLimitItem, kind: LimitKind, key: str) -> float | None:
        """Counts one; when the window ends if that is one too many, else None."""
        async with self._redis.session() as redis:
            if self._made is None or self._made[0] is not redis:  # the library needs 2 ms to make one
                self._made = redis, FixedWindowRateLimiter(_Storage(redis, self._prefix))
            limiter = self._made[1]
            if await limiter.hit(item, kind, key):
                return None
            return (await limiter.get_window_stats(item, kind, key)).reset_time


class _Storage(RedisStorage):
    """The library's storage, through a client that is connected already."""

    def __init__(self, redis: Any, prefix: str) -> None:
        self._redis = redis
        super().__init__("async+redis://", implementation="redispy", key_prefix=prefix)

    def configure_bridge(self) -> None:
        """Overrides the library's own connecting."""
        vars(self.bridge).update(storage=self._redis, connection_getter=lambda _readonly: self._redis)


@asynccontextmanager
async def shared_limiter(settings: ApiSettings) -> AsyncIterator[SharedWindows]:
    """Counts in Redis, connecting on first use."""
    async with aclosing(connect_redis(settings, client_name="solve-api-limits")) as redis:
        yield SharedWindows(redis, f"{settings.leaderboard_prefix}:limits")
