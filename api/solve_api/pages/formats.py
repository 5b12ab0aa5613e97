"""Numbers, times and links as every page writes them. Pure."""

from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup

USER_PATH = "/user"
SOLVES = "/solves"
RESOLVED_SEGMENTS = frozenset(("", ".", ".."))


def number(value: float) -> str:
    """With commas: 12,345."""
    return f"{value:,}"


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """1 problem, 2 problems."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def day_text(day: date) -> str:
    """24 Nov 2026."""
    return f"{day.day} {day:%b %Y}"


def time_text(at: datetime, *, seconds: bool = False) -> str:
    """24 Nov 2026, 09:09 UTC."""
    utc = at.astimezone(UTC)
    return f"{day_text(utc)}, {utc:%H:%M:%S}" + " UTC" if seconds else f"{day_text(utc)}, {utc:%H:%M} UTC"


def when(at: datetime, *, seconds: bool = False) -> Markup:
    """A time in UTC; the script shows it in the reader's time zone."""
    precise = Markup(' data-seconds=""') if seconds else Markup("")
    return Markup('<time datetime="{}"{}>{}</time>').format(
        at.astimezone(UTC).isoformat().replace("+00:00", "Z"), precise, time_text(at, seconds=seconds)
    )


def ago(at: datetime) -> Markup:
    """As `when`; the script shows how long ago it was."""
    utc = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return Markup('<time datetime="{}" data-ago="">{}</time>').format(utc, time_text(at))


def user_path(user_id: str) -> str:
    """The address of a user's page; an id may contain any character.

    Browsers and proxies resolve `.` and `..` in a path, however they are escaped, and join empty segments: such an id
    is sent as a parameter, and so is one that ends like the address of all solves.
    """
    if _fits_no_path(user_id):
        return path_with(USER_PATH, id=user_id)
    return f"/users/{quote(user_id, safe='')}"


def solves_path(user_id: str, cursor: str | None = None) -> str:
    """The address of a page of all solves of a user."""
    if _fits_no_path(user_id):
        return path_with(USER_PATH + SOLVES, id=user_id, cursor=cursor)
    return path_with(f"{user_path(user_id)}{SOLVES}", cursor=cursor)


def _fits_no_path(user_id: str) -> bool:
    segments = user_id.replace("\\", "/").split("/")
    return bool(RESOLVED_SEGMENTS.intersection(segments)) or user_id.endswith(SOLVES)


def path_with(path: str, **query: Any) -> str:
    """A path with those parameters that are not empty."""
    given = [(name, value) for name, value in query.items() if value not in {None, ""}]
    return f"{path}?{urlencode(given)}" if given else path


def share(part: float, whole: float) -> float:
    """A share in percent, from 0 to 100."""
    return round(min(100.0, max(0.0, 100 * part / whole)), 1) if whole else 0.0


def duration(seconds: float | None) -> str:
    """A duration in words, or a dash if unknown."""
    if seconds is None:
        return "–"
    for size, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s" if seconds >= 10 or not seconds else f"{seconds:.1f} s"
