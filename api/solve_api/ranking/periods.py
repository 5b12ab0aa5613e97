"""Starts and ends of days, weeks, months and years in a time zone, across changes of its clocks. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from solve_api.ranking.bodies import Period


class TimeRange(NamedTuple):
    """From `begins_at` up to but not including `ends_at`, both in UTC."""

    begins_at: datetime
    ends_at: datetime


def time_range_of(period: Period, zone: ZoneInfo, now: datetime) -> TimeRange | None:
    """The period that contains `now`, with weeks from Monday (ISO 8601); None for all time."""
    today = now.astimezone(zone).date()
    if period == "day":
        first, after = today, today + timedelta(days=1)
    elif period == "week":
        first = today - timedelta(days=today.weekday())
        after = first + timedelta(days=7)
    elif period == "month":
        first = today.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
    elif period == "year":
        first, after = date(today.year, 1, 1), date(today.year + 1, 1, 1)
    else:
        return None
    return TimeRange(_midnight(first, zone), _midnight(after, zone))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
