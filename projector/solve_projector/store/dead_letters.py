"""Dead letters and parked events, and what people decided about them. Nothing is deleted (I4, I5).

A dead letter keeps its record whole, so that it can be retried (`operations/retry_dead_letters.py`). A hopeless one is
discarded: it stays, with who, when and why. A parked event cannot be discarded, because the next replay would park it
again; it is acknowledged, which only takes it out of the alerts. Each decision is one transaction.
"""

from base64 import b64encode
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from solve_projector.domain.named_users import named_users
from solve_projector.errors import AlreadyDecided, DeadLetterUnknown, NothingParked, WhoUnknown
from solve_projector.store.postgresql import Connection
from solve_runtime.sql import queries

DEAD_LETTERS_SQL = queries("solve_projector.store", "dead_letters")
PARKED_EVENTS_SQL = queries("solve_projector.store", "parked_events")

PAGE_RECORDS = 500
PAGE_BYTES = 4 * 1024 * 1024  # decoded and folded they are several times as much
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GREATEST_ID = 2**63 - 1


class Resolution(NamedTuple):
    """Who discarded or acknowledged something, when and why."""

    at: datetime
    by: str
    why: str


@dataclass(slots=True)
class StoredDeadLetter:
    """A record as it was in the log, and why it could not be applied.

    `timestamp` is -1 if it was a parked event that PostgreSQL refused, because those do not keep the broker's.
    """

    dead_letter_id: int
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    reason: str
    detail: str
    user_ids: Sequence[str]
    created_at: datetime
    discarded: Resolution | None

    @property
    def broker_time(self) -> datetime | None:
        """When the broker appended the record, if known."""
        try:
            return EPOCH + timedelta(milliseconds=self.timestamp) if self.timestamp >= 0 else None
        except OverflowError:
            return None

    @property
    def user_id(self) -> str | None:
        """The user of the record, as far as it can be read."""
        return self.user_ids[0] if self.user_ids else None

    def summary(self) -> dict[str, Any]:
        """Everything but the record's bytes."""
        return {
            "id": self.dead_letter_id,
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "broker_time": self.broker_time,
            "reason": self.reason,
            "detail": self.detail,
            "user_id": self.user_id,
            "created_at": self.created_at,
            "discarded": self.discarded._asdict() if self.discarded else None,
        }

    def record(self) -> dict[str, Any]:
        """Key, value and headers, as JSON can hold them."""
        headers = [{"name": name, "value": _encoded(content)} for name, content in self.headers]
        return {"key": _encoded(self.key), "value": _encoded(self.value), "headers": headers}


def _encoded(content: bytes | None) -> dict[str, str] | None:
    """Bytes as text: UTF-8 if they are valid UTF-8, else base64."""
    if content is None:
        return None
    try:
        return {"encoding": "utf-8", "data": content.decode()}
    except UnicodeDecodeError:
        return {"encoding": "base64", "data": b64encode(content).decode()}


@dataclass(frozen=True, slots=True)
class Selection:
    """Selects the dead letters that match every field; discarded ones only with `with_discarded`."""

    ids: tuple[int, ...] | None = None
    reason: str | None = None
    user_id: str | None = None
    partition: int | None = None
    topic: str | None = None
    with_discarded: bool = False


async def read_pages(
    connection: Connection, selection: Selection, page_records: int = PAGE_RECORDS, after: int = 0
) -> AsyncIterator[list[StoredDeadLetter]]:
    """Selected dead letters with ids above `after`, by id, in pages that fit into memory; each appears once.

    Ids and sizes are read first, and then the bytes of no more than a page.
    """
    last = GREATEST_ID
    if selection.ids:
        after, last = max(after, min(selection.ids) - 1), max(selection.ids)
    while sizes := await connection.fetch(
        DEAD_LETTERS_SQL["size_dead_letters"],
        after,
        selection.ids,
        selection.reason,
        selection.partition,
        selection.topic,
        selection.with_discarded,
        page_records,
        selection.user_id,
        last,
    ):
        after = sizes[-1]["dead_letter_id"]
        for ids in _pages(sizes):
            if found := [_stored(row) for row in await connection.fetch(DEAD_LETTERS_SQL["read_dead_letters"], ids)]:
                yield found


def _pages(sizes: Iterable[Any]) -> Iterator[list[int]]:
    """Ids in groups of at most PAGE_BYTES; a larger dead letter is alone in its group."""
    page: list[int] = []
    total = 0
    for dead_letter_id, size in sizes:
        if page and total + size > PAGE_BYTES:
            yield page
            page, total = [], 0
        page.append(dead_letter_id)
        total += size
    if page:
        yield page


async def summaries(
    connection: Connection, selection: Selection, limit: int, after: int = 0
) -> tuple[list[dict[str, Any]], bool]:
    """The oldest selected dead letters with ids above `after`, without their bytes; and whether there are more."""
    found: list[dict[str, Any]] = []
    async for page in read_pages(connection, selection, min(limit + 1, PAGE_RECORDS), after):
        found += [one.summary() for one in page]
        if len(found) > limit:
            return found[:limit], True
    return found, False


async def read_dead_letter(connection: Connection, dead_letter_id: int) -> StoredDeadLetter:
    """One dead letter, open or discarded. Raises DeadLetterUnknown."""
    async for page in read_pages(connection, Selection(ids=(dead_letter_id,), with_discarded=True)):
        return page[0]
    raise unknown_dead_letters([dead_letter_id])


async def discard(connection: Connection, dead_letter_ids: Collection[int], by: str, why: str) -> int:
    """Discards dead letters, all or none; returns how many. Raises DeadLetterUnknown, AlreadyDecided, WhoUnknown."""
    by, why = _one_line(by), _one_line(why)
    if not by or not why:
        raise WhoUnknown("to discard a dead letter, say who you are and why")
    wanted = sorted(set(dead_letter_ids))
    async with connection.transaction():
        rows = await connection.fetch(DEAD_LETTERS_SQL["lock_dead_letters"], wanted)
        if missing := sorted(set(wanted) - {row["dead_letter_id"] for row in rows}):
            raise unknown_dead_letters(missing)
        for row in rows:
            if row["discarded_at"] is not None:
                raise AlreadyDecided(
                    f"dead letter {row['dead_letter_id']} was discarded by {row['discarded_by']} at "
                    f"{row['discarded_at']:%Y-%m-%d %H:%M:%S}Z: {row['discarded_why']}; nothing was changed, "
                    "leave it out"
                ).about(row["discarded_by"], row["discarded_why"])
        await connection.execute(
            "UPDATE dead_letters SET discarded_at = now(), discarded_by = $2, discarded_why = $3"
            " WHERE dead_letter_id = ANY ($1::bigint[])",
            wanted,
            by,
            why,
        )
    return len(wanted)


async def parked_users(connection: Connection, partition: int | None, limit: int) -> tuple[list[dict[str, Any]], bool]:
    """Users with parked events, those who have waited longest first, and whether there are more."""
    rows = await connection.fetch(PARKED_EVENTS_SQL["parked_users"], partition, limit + 1)
    return [dict(row) for row in rows[:limit]], len(rows) > limit


async def parked_events(
    connection: Connection, user_id: str | None, partition: int | None, limit: int
) -> tuple[list[dict[str, Any]], bool]:
    """Parked events by user, and whether there are more."""
    rows = await connection.fetch(PARKED_EVENTS_SQL["read_parked"], user_id, partition, limit + 1)
    found = []
    for row in rows[:limit]:
        fields = dict(row)
        decided = [fields.pop(f"acknowledged_{name}") for name in Resolution._fields]
        fields["acknowledged"] = Resolution(*decided)._asdict() if decided[0] else None
        found.append(fields)
    return found, len(rows) > limit


async def acknowledge(connection: Connection, user_id: str, by: str, why: str = "") -> int:
    """Takes a user's parked events out of the alerts; returns how many.

    They still apply once the user exists, and an event parked later counts again. Raises NothingParked,
    AlreadyDecided, WhoUnknown.
    """
    by, why = _one_line(by), _one_line(why)
    if not by:
        raise WhoUnknown("to acknowledge parked events, say who you are")
    async with connection.transaction():
        if not await connection.fetchval(PARKED_EVENTS_SQL["lock_parked"], [user_id]):
            raise NothingParked(f"no event is parked for user {user_id}; list the parked events to see who has some")
        acknowledged = await connection.fetch(PARKED_EVENTS_SQL["acknowledge_parked"], user_id, by, why)
        if not acknowledged:
            by_whom = await connection.fetchval(
                "SELECT string_agg(DISTINCT acknowledged_by, ', ') FROM parked_events WHERE user_id = $1", user_id
            )
            raise AlreadyDecided(
                f"the parked events of user {user_id} were acknowledged by {by_whom}; nothing is left to do"
            )
    return len(acknowledged)


def unknown_dead_letters(missing: Collection[int]) -> DeadLetterUnknown:
    """The error for ids that no dead letter has."""
    return DeadLetterUnknown(
        f"there is no dead letter {', '.join(map(str, missing))}; nothing was changed (one that was retried and "
        "applied is gone): list the dead letters, with the discarded ones"
    )


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    if not line.isprintable():
        raise WhoUnknown("who and why may not contain control characters; remove them")
    return line


def _stored(row: Any) -> StoredDeadLetter:
    fields = dict(row)
    headers = list(zip(fields.pop("header_names"), fields.pop("header_values"), strict=True))
    decided = [fields.pop(f"discarded_{name}") for name in Resolution._fields]
    if fields["user_ids"] is None:  # an older version kept it, and the sweep was not there yet
        fields["user_ids"] = named_users(fields["key"], fields["value"])
    fields["timestamp"] = fields.pop("broker_timestamp_ms")
    return StoredDeadLetter(**fields, headers=headers, discarded=Resolution(*decided) if decided[0] else None)
