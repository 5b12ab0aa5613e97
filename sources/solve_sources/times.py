"""Reads the times of a contest system: absolute ones in any form of a zone, and those since the start."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

RELATIVE_TIME = re.compile(r"([+-]?)([0-9]+):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]{1,6})[0-9]*)?")
LEAP_SECOND = re.compile(r"(.+T[0-9]{2}:?[0-9]{2}:?)60(.*)")
SECOND = timedelta(seconds=1)


def parse_time(text: Any) -> datetime | None:
    """An absolute time with a zone, in UTC; None where it is none. A leap second is the one after it."""
    if not isinstance(text, str):
        return None
    text = text.strip().upper().replace("\N{MINUS SIGN}", "-")
    leap = LEAP_SECOND.fullmatch(text)
    try:
        time = datetime.fromisoformat(f"{leap[1]}59{leap[2]}" if leap else text)
        return (time + (SECOND if leap else timedelta(0))).astimezone(UTC) if time.tzinfo else None
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
    except (OverflowError, ValueError):  # of too many digits
        return None
    return -time if sign == "-" else time
