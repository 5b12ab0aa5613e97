"""How often may somebody ask? So many requests a window for each address, and for each admin who repairs.

The windows are fixed, and in this process's memory: a request costs a few microseconds, and two processes allow twice
as many. The library's own memory looks at every key with every request, which an attacker with many addresses could
make slow; the one here looks at them once a minute.
"""

import time
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network
from math import ceil

import structlog
from limits import RateLimitItem, parse_many
from limits.aio.storage import Storage
from limits.aio.strategies import FixedWindowRateLimiter

from solve_api.http.problems import Problem
from solve_api.settings import ApiSettings

log = structlog.get_logger()

FORGET_EVERY_S = 60.0
IPV6_PREFIX = 64


class Kind(StrEnum):
    """Which rate is meant."""

    READ = "read"
    COSTLY = "costly"
    LOGIN = "login"


SAID = {
    Kind.READ: "This address asks too often",
    Kind.COSTLY: "You began too many repairs",
    Kind.LOGIN: "Too many log-ins were tried from this address",
}


class RateLimits:
    """The counters of one process. `clock` is in seconds since the epoch."""

    def __init__(self, settings: ApiSettings, clock: Callable[[], float] = time.time) -> None:
        rates = {
            Kind.READ: settings.api_read_rate,
            Kind.COSTLY: settings.api_costly_rate,
            Kind.LOGIN: settings.api_login_rate,
        }
        self._items = {kind: _shortest_first(rate) for kind, rate in rates.items()}
        self._clock = clock
        self._windows = Windows(clock)
        self._limiter = FixedWindowRateLimiter(self._windows)

    async def spend(self, kind: Kind, key: str) -> None:
        """Counts one. `key` is a client's address or an admin's name. Raises Problem 429, with Retry-After."""
        counted = network_of(key) if ":" in key else key
        for item in self._items[kind]:
            if not await self._limiter.hit(item, kind, counted):
                window = await self._limiter.get_window_stats(item, kind, counted)
                if kind is not Kind.READ:  # those are many, and tell nothing
                    log.warning("asked too often", action="rate_refused", kind=kind.value, key=counted)
                raise _too_many(kind, ceil(max(window.reset_time - self._clock(), 1)))


class Windows(Storage):
    """Counts by key, each with the end of its window, in the way the library asks for them."""

    STORAGE_SCHEME = None  # never made from an address

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._counts: dict[str, tuple[int, float]] = {}
        self._forget_at = clock() + FORGET_EVERY_S

    @property
    def base_exceptions(self) -> type[Exception]:
        """What a memory can raise: nothing of its own."""
        return ValueError

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """The count with this; a window begins with its first request."""
        now = self._clock()
        if now >= self._forget_at:
            self._forget(now)
        count, ends = self._counts.get(key, (0, 0.0))
        if ends <= now:
            count, ends = 0, now + expiry
        self._counts[key] = (count + amount, ends)
        return count + amount

    async def get(self, key: str) -> int:
        """The count of the window that lasts."""
        count, ends = self._counts.get(key, (0, 0.0))
        return count if ends > self._clock() else 0

    async def get_expiry(self, key: str) -> float:
        """When the window ends."""
        return self._counts.get(key, (0, self._clock()))[1]

    async def check(self) -> bool:
        """Memory is always there."""
        return True

    async def reset(self) -> int:
        """Forgets everything; how many keys."""
        number = len(self._counts)
        self._counts.clear()
        return number

    async def clear(self, key: str) -> None:
        """Forgets one key."""
        self._counts.pop(key, None)

    def _forget(self, now: float) -> None:
        self._counts = {key: window for key, window in self._counts.items() if window[1] > now}
        self._forget_at = now + FORGET_EVERY_S


@lru_cache(maxsize=10_000)
def network_of(address: str) -> str:
    """Of IPv6, what one customer gets is a network: its addresses are one client. Everything else stands for itself."""
    try:
        found = IPv6Address(address)
    except ValueError:
        return address
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(IPv6Network((int(found), IPV6_PREFIX), strict=False))


def _shortest_first(rate: str) -> list[RateLimitItem]:
    return sorted(parse_many(rate), key=lambda item: item.get_expiry())


def _too_many(kind: Kind, wait_s: int) -> Problem:
    return Problem(
        429,
        "too-many-requests",
        "Too many requests",
        f"{SAID[kind]}; try again in {wait_s} seconds.",
        headers={"Retry-After": str(wait_s)},
    )
