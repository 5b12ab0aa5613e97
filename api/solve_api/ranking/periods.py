"""When does a day, a week or a month begin? Pure: in a time zone, also where its clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from solve_api.models.public import Period


class Window(NamedTuple):
    """From `begins_at` to before `ends_at`, both in UTC."""

    begins_at: datetime
    ends_at: datetime


def window_of(period: Period, zone: ZoneInfo, now: datetime) -> Window | None:
    """The period that `now` lies in, weeks from Monday (ISO 8601); None for all time."""
    today = now.astimezone(zone).date()
    if period == "day":
        first, after = today, today + timedelta(days=1)
    elif period == "week":
        first = today - timedelta(days=today.weekday())
        after = first + timedelta(days=7)
    elif period == "month":
        first = today.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
    else:
        return None
    return Window(_midnight(first, zone), _midnight(after, zone))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
