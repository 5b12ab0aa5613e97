"""Reads the lines of a CLICS event feed: of 2020-03 (`op`), of 2021-11 (`endpoint`), of 2022-07 and later (`type`).

The Contest API's notifications: https://ccs-specs.icpc.io/2023-06/contest_api#notification-format. Each says the
current state of one object or, with a list, of a whole collection; a feed promises neither order nor uniqueness.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

from solve_runtime.text import readable
from solve_sources.clics.property_types import is_id, problem_of
from solve_sources.errors import FeedError
from solve_sources.reconciliation.scratch import storable

# the collections' names over the versions
TYPE_NAMES = {"contests": "contest"}
# of which each object has an id
COLLECTIONS = frozenset(("teams", "groups", "problems", "judgement-types", "submissions", "judgements"))
GZIP = b"\x1f\x8b"
UTF8_BOM = b"\xef\xbb\xbf"
LINE_MAX_BYTES = 64 * 1024 * 1024  # a whole collection of the largest contests takes a tenth


class FeedChange(NamedTuple):
    """The state an object has from here on, None where it is deleted; a list is a whole collection, and has no id.

    `contest_id` is None where the line does not say of which contest it is.
    """

    type: str
    id: str | None
    state: dict[str, Any] | list[Any] | None
    contest_id: str | None = None


def feed_lines(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """The lines of a file or pipe. Raises FeedError on one that is too long to be of a feed."""
    number = 0
    while line := stream.readline(LINE_MAX_BYTES + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(UTF8_BOM)
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
    if line.startswith(GZIP):
        raise FeedError(f"{where}: this is gzip; unpack it: gzip -dc FILE | solve-producer import clics -")
    try:
        said = json.loads(line)
    except (ValueError, RecursionError) as error:
        if not line.endswith(b"\n"):
            raise FeedError(
                f"{where}: the feed ends in the middle of this line, so it was cut; get it again"
            ) from error
        raise FeedError(f"{where}: not JSON: {error}; correct the line, or get the feed again") from error
    return change_said(said, where)


def change_said(said: Any, where: str) -> FeedChange:
    """What a parsed line says. Raises FeedError."""
    collection = _collection_of(said)
    if collection is None or "data" not in said:
        raise FeedError(
            f'{where}: not a line of a CLICS event feed: it has no "type" and "data"; give that of one contest'
        )
    data, own, contest_id = said["data"], said.get("id"), _id_of(said.get("contest_id"))
    if data is not None and not isinstance(data, dict | list):
        raise FeedError(
            f'{where}: "data" is neither an object, a list nor null; correct the line, or get the feed again'
        )
    if "op" in said:  # 2020-03: the line's own id is the event's
        own = (data if isinstance(data, dict) else {}).get("id")
        data = None if said["op"] == "delete" else data
    elif own is None and isinstance(data, dict):
        own = data.get("id")
    if collection in COLLECTIONS and own is None and data is None and "op" not in said:
        data = []  # nothing of the collection is there any more
    if collection in COLLECTIONS and not _are_named(own, data):
        raise FeedError(f"{where}: an object of {collection} has no id; correct the line, or get the feed again")
    if problem := problem_of(collection, data):
        raise FeedError(f"{where}: {readable(problem)}; correct the line, or get the feed again")
    return FeedChange(collection, None if isinstance(data, list) else _id_of(own), data, contest_id)


def _collection_of(said: Any) -> str | None:
    """The name of 2023-06; None where the line has none."""
    if not isinstance(said, dict):
        return None
    named = said.get("type")
    if named is None and said.get("contest_id") is not None:  # 2021-11: without an endpoint it is the contest itself
        named = said.get("endpoint") or "contest"
    return TYPE_NAMES.get(named, named) if isinstance(named, str) else None


def _are_named(own: Any, data: Any) -> bool:
    if isinstance(data, list):
        return all(isinstance(item, dict) and _is_named(item.get("id")) for item in data)
    return _is_named(own)


def _is_named(own: Any) -> bool:
    return is_id(own) and own != ""


def _id_of(value: Any) -> str | None:
    return None if value is None else storable(str(value))
