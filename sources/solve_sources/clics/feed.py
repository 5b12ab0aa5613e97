"""Reads the lines of a CLICS event feed, in the forms of 2020-03 (`op`) and of 2021-11 and later (`token`).

The Contest API's notifications: https://ccs-specs.icpc.io/2023-06/contest_api#notification-format. Each says the
current state of one object or, with a list, of a whole collection; a feed promises neither order nor uniqueness.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

from solve_sources.errors import FeedError
from solve_sources.reconciliation.scratch import storable

# the collections' names over the versions
TYPE_NAMES = {"contests": "contest"}
LINE_MAX_BYTES = 64 * 1024 * 1024  # a whole collection of the largest contests takes a tenth


class FeedChange(NamedTuple):
    """The state an object has from here on, None where it is deleted; a list is a whole collection, and has no id."""

    type: str
    id: str | None
    state: dict[str, Any] | list[Any] | None


def feed_lines(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """The lines of a file or pipe. Raises FeedError on one that is too long to be of a feed."""
    number = 0
    while line := stream.readline(LINE_MAX_BYTES + 1):
        number += 1
        if len(line) > LINE_MAX_BYTES:
            raise FeedError(f"{name}:{number}: the line is longer than {LINE_MAX_BYTES} bytes; this is no event feed")
        yield line


def feed_changes(lines: Iterable[bytes], name: str) -> Iterator[FeedChange]:
    """Every change, in feed order. Empty lines keep a connection alive. Raises FeedError."""
    for number, line in enumerate(lines, 1):
        if change := change_of(line, f"{name}:{number}"):
            yield change


def change_of(line: bytes, where: str) -> FeedChange | None:
    """What one line says; None where it only keeps a connection alive. Raises FeedError."""
    if not line.strip():
        return None
    try:
        said = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FeedError(f"{where}: not JSON: {error}; correct the line, or get the feed again") from error
    return change_said(said, where)


def change_said(said: Any, where: str) -> FeedChange:
    """What a parsed line says. Raises FeedError."""
    if not isinstance(said, dict) or not isinstance(said.get("type"), str) or "data" not in said:
        raise FeedError(f'{where}: not a line of a CLICS event feed: it has no "type" and "data"')
    named = str(said["type"])
    collection = TYPE_NAMES.get(named, named)
    data = said["data"]
    if isinstance(data, list):
        return FeedChange(collection, None, data)
    state = data if isinstance(data, dict) else None
    own = said.get("id")
    if "op" in said:  # 2020-03: the line's own id is the event's
        own = (state or {}).get("id", own)
        state = None if said["op"] == "delete" else state
    elif own is None:
        own = (state or {}).get("id")
    return FeedChange(collection, None if own is None else storable(str(own)), state)
