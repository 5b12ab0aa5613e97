"""Times as contest systems write them."""

import re
from datetime import UTC, datetime, timedelta

RELATIVE_TIME = re.compile(r"(-?)([0-9]{1,6}):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]{1,6})[0-9]*)?")


def absolute_time(text: str) -> datetime | None:
    """An ISO 8601 time with a zone, in UTC; None where it is none."""
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else None
    except (ValueError, OverflowError):
        return None


def relative_time(text: str) -> timedelta | None:
    """A time since the start, `h:mm:ss.uuu` with an optional sign; None where it is none."""
    found = RELATIVE_TIME.fullmatch(text)
    if found is None:
        return None
    sign, hours, minutes, seconds, fraction = found.groups()
    micros = int((fraction or "").ljust(6, "0"))
    time = timedelta(hours=int(hours), minutes=int(minutes), seconds=int(seconds), microseconds=micros)
    return -time if sign else time
