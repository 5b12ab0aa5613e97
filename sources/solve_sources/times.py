"""Reads the times of a contest system: absolute ones in any form of a zone, and those since the start."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

RELATIVE_TIME = re.compile(r"(-?)([0-9]+):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]{1,6})[0-9]*)?")


def parse_time(text: Any) -> datetime | None:
    """An absolute time with a zone, in UTC; None where it is none."""
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else None
    except (ValueError, OverflowError):
        return None


def parse_relative_time(text: Any) -> timedelta | None:
    """A time since the start, `h:mm:ss.uuu` with an optional sign; None where it is none."""
    found = RELATIVE_TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    sign, hours, minutes, seconds, fraction = found.groups()
    try:
        time = timedelta(
            hours=int(hours),
            minutes=int(minutes),
            seconds=int(seconds),
            microseconds=int((fraction or "").ljust(6, "0")),
        )
    except OverflowError:
        return None
    return -time if sign else time
