"""Reads the lines of a CLICS event feed, in the forms of 2020-03 (`op`), 2022-07 and 2023-06 (`token`).

The Contest API's event feed: https://ccs-specs.icpc.io/2023-06/contest_api#event-feed. A feed promises neither order
nor uniqueness; per object the latest state counts.
"""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from solve_schemas.record import EARLIEST_TIME
from solve_sources.errors import FeedError

RELATIVE_TIME = re.compile(r"(-?)([0-9]+):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]{1,6})[0-9]*)?")
# the collections' names over the versions
TYPE_NAMES = {"contests": "contest"}


class FeedChange(NamedTuple):
    """The state an object has from here on; None where it is deleted."""

    type: str
    id: str
    state: dict[str, Any] | None


def feed_changes(lines: Iterable[bytes], name: str) -> Iterator[FeedChange]:
    """Every change of an object, in feed order. Empty lines keep a connection alive. Raises FeedError."""
    members: dict[str, set[str]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            said = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FeedError(f"{name}:{number}: not JSON: {error}") from error
        if not isinstance(said, dict) or not isinstance(said.get("type"), str) or "data" not in said:
            raise FeedError(f'{name}:{number}: not a line of a CLICS event feed: it has no "type" and "data"')
        for change in _of_line(said, members):
            if change.state is not None:
                members.setdefault(change.type, set()).add(change.id)
            yield change


def _of_line(said: dict[str, Any], members: dict[str, set[str]]) -> Iterator[FeedChange]:
    collection = TYPE_NAMES.get(said["type"], said["type"])
    data = said["data"]
    if isinstance(data, list):  # a whole collection: what it does not name is gone
        named = {str(item.get("id")): item for item in data if isinstance(item, dict)}
        for gone in sorted(members.get(collection, set()) - named.keys()):
            yield FeedChange(collection, gone, None)
        for object_id, item in named.items():
            yield FeedChange(collection, object_id, item)
        return
    state = data if isinstance(data, dict) else None
    if "op" in said:  # 2020-03: the line's own id is the event's
        object_id = str((state or {}).get("id", said.get("id")))
        yield FeedChange(collection, object_id, None if said["op"] == "delete" else state)
    else:
        yield FeedChange(collection, str(said.get("id") or (state or {}).get("id")), state)


def absolute_time(state: dict[str, Any], name: str, contest_start: datetime | None) -> datetime | None:
    """The time `name` (or `<prefix>contest_time` after the start), None where it is missing or unusable.

    Zones come as `Z`, `-05`, `-0500` and `-05:00`; fractions with any number of digits.
    """
    time = parse_time(state.get(name))
    if time is None and contest_start is not None:
        after = parse_relative_time(state.get(name.removesuffix("time") + "contest_time"))
        time = contest_start + after if after is not None else None
    return time if time is not None and time >= EARLIEST_TIME else None


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
