"""Starts and ends of periods, across changes of clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solve_api.ranking.bodies import Period
from solve_api.ranking.periods import time_range_of

BERLIN = ZoneInfo("Europe/Berlin")
seconds = st.integers(
    int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2030, 1, 1, tzinfo=UTC).timestamp())
)
moments = seconds.map(lambda second: datetime.fromtimestamp(second, UTC))
# some whose clocks change at midnight
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/St_Johns",
    "Asia/Kolkata",
    "Pacific/Apia",
    "America/Havana",
    "America/Santiago",
]
zones = st.sampled_from(ZONES).map(ZoneInfo)


@pytest.mark.parametrize(
    ("period", "begins_at", "ends_at"),
    [
        ("day", "2026-10-24T22:00:00", "2026-10-25T23:00:00"),  # clocks go back: a day of 25 hours
        ("week", "2026-10-18T22:00:00", "2026-10-25T23:00:00"),
        ("month", "2026-09-30T22:00:00", "2026-10-31T23:00:00"),
    ],
)
def test_a_period_begins_and_ends_at_local_midnight(period: Period, begins_at: str, ends_at: str) -> None:
    time_range = time_range_of(period, BERLIN, datetime(2026, 10, 25, 12, tzinfo=UTC))
    assert time_range is not None
    assert [one.replace(tzinfo=None).isoformat() for one in time_range] == [begins_at, ends_at]


@given(moments, zones, st.sampled_from(["day", "week", "month", "year"]))
def test_every_moment_lies_in_its_period_and_periods_join(now: datetime, zone: ZoneInfo, period: Period) -> None:
    time_range = time_range_of(period, zone, now)
    assert time_range is not None
    assert time_range.begins_at <= now < time_range.ends_at
    following = time_range_of(period, zone, time_range.ends_at)
    assert following is not None
    assert following.begins_at == time_range.ends_at


def test_all_time_has_no_time_range() -> None:
    assert time_range_of("all", BERLIN, datetime.now(UTC) + timedelta()) is None
