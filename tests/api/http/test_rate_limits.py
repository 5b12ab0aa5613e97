"""Who asks too often is told when to come again: by a clock that the test turns, and in memory that has an end."""

from dataclasses import dataclass

import pytest
from pydantic import ValidationError

from solve_api.http.problems import Problem
from solve_api.http.rate_limits import Kind, RateLimits, Windows, network_of
from solve_api.settings import ApiSettings

BEGIN = 1_767_225_600.0


@dataclass
class Clock:
    """Stands until it is turned."""

    now: float = BEGIN

    def __call__(self) -> float:
        return self.now


def limits_of(clock: Clock, **rates: str) -> RateLimits:
    return RateLimits(ApiSettings(**rates), clock)  # type: ignore[arg-type]


async def spent(limits: RateLimits, key: str = "192.0.2.7", kind: Kind = Kind.LOGIN) -> int:
    """0, or the seconds that a refused one is told to wait."""
    try:
        await limits.spend(kind, key)
    except Problem as refused:
        return int(refused.headers["Retry-After"]) if refused.status == 429 else -1
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
    assert [await spent(limits, "192.0.2.7", Kind.READ) for _ in range(3)] == [0, 0, 60]


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


async def test_memory_is_given_back_when_windows_end() -> None:
    clock = Clock()
    windows = Windows(clock)
    for number in range(5_000):
        await windows.incr(f"short-{number}", 10)
    await windows.incr("long", 3_600)
    clock.now += 59
    await windows.incr("next", 10)
    clock.now += 2
    await windows.incr("last", 10)
    # only those whose window lasts; and what lasts still counts
    assert await windows.get("long") == 1
    assert await windows.reset() == 3


async def test_a_count_is_of_its_window_alone() -> None:
    clock = Clock()
    windows = Windows(clock)
    assert [await windows.incr("a", 10), await windows.incr("a", 10, 5), await windows.get("a")] == [1, 6, 6]
    assert await windows.get_expiry("a") == BEGIN + 10
    clock.now += 10
    assert await windows.get("a") == 0
    assert await windows.incr("a", 10) == 1
    await windows.clear("a")
    assert await windows.get("a") == 0


@pytest.mark.parametrize("odd", ["", "often", "5/fortnight", "-1/minute", "1/minute; DROP"])
def test_a_rate_that_is_none_is_refused_at_the_start(odd: str) -> None:
    with pytest.raises(ValidationError, match="is no rate; write one such as 10/minute"):
        ApiSettings(api_login_rate=odd)
