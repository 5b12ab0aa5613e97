"""How are numbers, times and links written? The same on every page; pure."""

from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup


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
    """A time for everybody; the script shows it in the reader's own zone."""
    precise = Markup(' data-seconds=""') if seconds else Markup("")
    return Markup('<time datetime="{}"{}>{}</time>').format(
        at.astimezone(UTC).isoformat().replace("+00:00", "Z"), precise, time_text(at, seconds=seconds)
    )


def ago(at: datetime) -> Markup:
    """As `when`; the script says how long ago it was."""
    utc = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return Markup('<time datetime="{}" data-ago="">{}</time>').format(utc, time_text(at))


def user_path(user_id: str) -> str:
    """Of a user's page; an id may have any characters."""
    return f"/users/{quote(user_id, safe='')}"


def path_with(path: str, **query: Any) -> str:
    """A path with the parameters that are something."""
    said = [(name, value) for name, value in query.items() if value not in {None, ""}]
    return f"{path}?{urlencode(said)}" if said else path


def share(part: float, whole: float) -> float:
    """In percent, from 0 to 100; what is nothing of nothing is nothing."""
    return round(min(100.0, max(0.0, 100 * part / whole)), 1) if whole else 0.0


def duration(seconds: float | None) -> str:
    """As people say it; a dash where it is not known."""
    if seconds is None:
        return "–"
    for size, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s" if seconds >= 10 or not seconds else f"{seconds:.1f} s"
