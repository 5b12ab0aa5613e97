"""Rate limits, by a clock that the test sets: refusals say when to retry, memory is bounded, and Redis is shared."""

from dataclasses import dataclass

import pytest
from pydantic import SecretStr, ValidationError
from structlog.testing import capture_logs

from solve_api.errors import TooManyRequests
from solve_api.http.rate_limits import LimitKind, MemoryWindows, RateLimits, shared_limiter
from solve_api.settings import ApiSettings
from solve_runtime.http.networks import network_of
from tests.api.served import settings_of
from tests.world import World

BEGIN = 1_767_225_600.0


@dataclass
class Clock:
    """Stands until it is turned."""

    now: float = BEGIN

    def __call__(self) -> float:
        return self.now


def limits_of(clock: Clock, **rates: str) -> RateLimits:
    return RateLimits(ApiSettings(**rates), clock=clock)  # type: ignore[arg-type]


async def spent(limits: RateLimits, key: str = "192.0.2.7", kind: LimitKind = LimitKind.LOGIN) -> int:
    """0, or the seconds to wait."""
    try:
        await limits.spend(kind, key)
    except TooManyRequests as refused:
        return refused.retry_after_s
    return 0


async def test_so_many_a_window_and_the_refusal_says_when_the_next_one_begins() -> None:
    clock = Clock()
    limits = limits_of(clock, api_login_rate="3/minute")
    assert [await spent(limits) for _ in range(5)] == [0, 0, 0, 60, 60]
    clock.now += 20.5
    assert await spent(limits) == 40  # of 39.5
    clock.now += 39.4
    assert await spent(limits) == 1
    clock.now += 0.1
    assert [await spent(limits) for _ in range(4)] == [0, 0, 0, 60]


async def test_asking_on_does_not_prolong_the_window() -> None:
    clock = Clock()
    limits = limits_of(clock, api_login_rate="1/minute")
    assert await spent(limits) == 0
    for _ in range(59):
        clock.now += 1
        assert await spent(limits) > 0
    clock.now += 1
    assert await spent(limits) == 0


async def test_addresses_and_kinds_are_counted_apart() -> None:
    limits = limits_of(Clock(), api_login_rate="1/minute", api_read_rate="2/minute")
    assert [await spent(limits, "192.0.2.7") for _ in range(2)] == [0, 60]
    assert await spent(limits, "192.0.2.8") == 0
    assert [await spent(limits, "192.0.2.7", LimitKind.READ) for _ in range(3)] == [0, 0, 60]


async def test_of_several_rates_each_one_holds() -> None:
    clock = Clock()
    limits = limits_of(clock, api_login_rate="100/hour;2/second")
    assert [await spent(limits) for _ in range(3)] == [0, 0, 1]
    # what the shorter one refused is none of the longer one's
    for _ in range(49):
        clock.now += 1
        assert [await spent(limits) for _ in range(3)] == [0, 0, 1]
    clock.now += 1
    assert await spent(limits) == 3550


async def test_one_customers_ipv6_network_is_one_client() -> None:
    limits = limits_of(Clock(), api_login_rate="1/minute")
    assert await spent(limits, "2001:db8:1:2::1") == 0
    assert await spent(limits, "2001:db8:1:2:ffff::9") == 60
    assert await spent(limits, "2001:db8:1:3::1") == 0


def test_addresses_that_are_the_same_client() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:DB8:1:2:0:0:0:2") == "2001:db8:1:2::/64"
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of("::ffff:192.0.2.7") == "192.0.2.7"
    # anything else stands for itself
    assert {network_of(odd) for odd in ("not:an:address", "unknown", "")} == {"not:an:address", "unknown", ""}


def test_memory_is_freed_when_windows_end() -> None:
    clock = Clock()
    windows = MemoryWindows(clock)
    for number in range(5_000):
        windows.hit(f"short-{number}", 1, 10)
    windows.hit("long", 1, 3_600)
    clock.now += 59
    windows.hit("next", 1, 10)
    clock.now += 2
    windows.hit("last", 1, 10)
    assert len(windows) == 3
    assert windows.hit("long", 1, 3_600) == BEGIN + 3_600, "a window that lasts still counts"


async def test_logins_are_counted_across_processes_and_reads_are_not(world: World) -> None:
    settings = settings_of(world, api_login_rate="3/hour", api_read_rate="1/hour")
    async with shared_limiter(settings) as one, shared_limiter(settings) as other:
        processes = [RateLimits(settings, limiter) for limiter in (one, other)]
        waits = [await spent(processes[number % 2]) for number in range(5)]
        assert waits[:3] == [0, 0, 0]
        assert all(3_500 < wait <= 3_600 for wait in waits[3:])
        assert [await spent(limits, kind=LimitKind.READ) for limits in processes] == [0, 0]


async def test_while_redis_is_unavailable_logins_are_counted_in_memory(world: World) -> None:
    settings = settings_of(world, api_login_rate="2/hour", redis_url=SecretStr("redis://127.0.0.1:1/0"))
    async with shared_limiter(settings) as limiter:
        limits = RateLimits(settings, limiter)
        with capture_logs() as logged:
            assert [await spent(limits) > 0 for _ in range(3)] == [False, False, True]
    assert {one["action"] for one in logged} == {"limits_in_memory", "rate_refused"}


@pytest.mark.parametrize("odd", ["", "often", "5/fortnight", "-1/minute", "1/minute; DROP"])
def test_a_rate_that_is_none_is_refused_at_the_start(odd: str) -> None:
    with pytest.raises(ValidationError, match="is not a rate; write one such as 10/minute"):
        ApiSettings(api_login_rate=odd)
