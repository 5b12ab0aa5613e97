"""Which records could not be applied, and what did people decide about them? Nothing is thrown away (I4, I5).

A dead letter keeps its record whole, so it can be read again (`operations/retry_dead_letters.py`). One that nobody can
save is discarded: it stays with who, when and why. A parked event cannot be discarded, since the next replay would
park it again; it is acknowledged, which makes it quiet and nothing else.
"""

import json
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from solve_projector.errors import AlreadyDecided, DeadLetterUnknown, NothingParked, WhoUnknown
from solve_projector.store.postgresql import Connection
from solve_runtime.sql import queries

DEAD_LETTERS_SQL = queries("solve_projector.store", "dead_letters")
PARKED_EVENTS_SQL = queries("solve_projector.store", "parked_events")

PAGE_RECORDS = 500
PAGE_BYTES = 16 * 1024 * 1024
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GREATEST_ID = 2**63 - 1


class Decision(NamedTuple):
    """Who dealt with it, when and why."""

    at: datetime
    by: str
    why: str


@dataclass(slots=True)
class Letter:
    """A dead letter: a record as the log gave it, and why it could not be applied.

    `timestamp` is -1 where the record was a parked event that PostgreSQL refused: nobody kept the broker's.
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
    created_at: datetime
    discarded: Decision | None

    @property
    def broker_time(self) -> datetime | None:
        """When the broker appended the record, where that is known."""
        try:
            return EPOCH + timedelta(milliseconds=self.timestamp) if self.timestamp >= 0 else None
        except OverflowError:
            return None

    @property
    def user_id(self) -> str | None:
        """Whom the record is about: by its value where that can be read, else by its key."""
        try:
            fields = json.loads(self.value or b"")
        except (ValueError, RecursionError):
            fields = None
        named = fields.get("user_id") if isinstance(fields, dict) else None
        if isinstance(named, str) and named:
            return named
        try:
            return (self.key or b"").decode() or None
        except UnicodeDecodeError:
            return None

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


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant: those that all of this is true of. Discarded ones only where asked for."""

    ids: tuple[int, ...] | None = None
    reason: str | None = None
    user_id: str | None = None
    partition: int | None = None
    topic: str | None = None
    with_discarded: bool = False


async def read_pages(
    connection: Connection, selection: Selection, page_records: int = PAGE_RECORDS, after: int = 0
) -> AsyncIterator[list[Letter]]:
    """The selected dead letters of ids above `after`, by id, in pages that fit into memory; each is seen once, also
    where it stays.
    """
    last = GREATEST_ID
    if selection.ids:
        after, last = max(after, min(selection.ids) - 1), max(selection.ids)
    while rows := await connection.fetch(
        DEAD_LETTERS_SQL["read_dead_letters"],
        after,
        selection.ids,
        selection.reason,
        selection.partition,
        selection.topic,
        selection.with_discarded,
        page_records,
        PAGE_BYTES,
        last,
    ):
        after = rows[-1]["dead_letter_id"]
        found = [_letter(row) for row in rows]
        # the user is inside bytes that may be anything, which SQL cannot look into
        if wanted := [one for one in found if selection.user_id is None or one.user_id == selection.user_id]:
            yield wanted


async def summaries(
    connection: Connection, selection: Selection, limit: int, after: int = 0
) -> tuple[list[dict[str, Any]], bool]:
    """The oldest of the selected dead letters of ids above `after`, without their bytes; whether there are more."""
    found: list[dict[str, Any]] = []
    page_records = PAGE_RECORDS if selection.user_id is not None else min(limit + 1, PAGE_RECORDS)
    async for page in read_pages(connection, selection, page_records, after):
        found += [one.summary() for one in page]
        if len(found) > limit:
            return found[:limit], True
    return found, False


async def letter(connection: Connection, dead_letter_id: int) -> Letter:
    """One dead letter, open or discarded. Raises DeadLetterUnknown."""
    async for page in read_pages(connection, Selection(ids=(dead_letter_id,), with_discarded=True)):
        return page[0]
    raise unknown_letters([dead_letter_id])


async def discard(connection: Connection, dead_letter_ids: Collection[int], by: str, why: str) -> int:
    """Gives up dead letters, all or none; how many. Raises DeadLetterUnknown, AlreadyDecided, WhoUnknown."""
    by, why = _one_line(by), _one_line(why)
    if not by or not why:
        raise WhoUnknown("a discarded dead letter needs who and why; say both")
    wanted = sorted(set(dead_letter_ids))
    async with connection.transaction():
        rows = await connection.fetch(DEAD_LETTERS_SQL["lock_dead_letters"], wanted)
        if missing := sorted(set(wanted) - {row["dead_letter_id"] for row in rows}):
            raise unknown_letters(missing)
        for row in rows:
            if row["discarded_at"] is not None:
                raise AlreadyDecided(
                    f"dead letter {row['dead_letter_id']} was discarded by {row['discarded_by']} at "
                    f"{row['discarded_at']:%Y-%m-%d %H:%M:%S}Z: {row['discarded_why']}; nothing was changed, "
                    "leave it out"
                )
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
        decided = [fields.pop(f"acknowledged_{name}") for name in Decision._fields]
        fields["acknowledged"] = Decision(*decided)._asdict() if decided[0] else None
        found.append(fields)
    return found, len(rows) > limit


async def acknowledge(connection: Connection, user_id: str, by: str, why: str = "") -> int:
    """Makes what is parked for a user now quiet; how many events. Raises NothingParked, AlreadyDecided, WhoUnknown.

    They still apply once the user exists, and an event that is parked later is loud again.
    """
    by, why = _one_line(by), _one_line(why)
    if not by:
        raise WhoUnknown("an acknowledgement needs who; say it")
    async with connection.transaction():
        if not await connection.fetchval(PARKED_EVENTS_SQL["lock_parked"], [user_id]):
            raise NothingParked(f"no event is parked for user {user_id!r}; look at the list of those that are")
        quieted = await connection.fetch(PARKED_EVENTS_SQL["acknowledge_parked"], user_id, by, why)
        if not quieted:
            by_whom = await connection.fetchval(
                "SELECT string_agg(DISTINCT acknowledged_by, ', ') FROM parked_events WHERE user_id = $1", user_id
            )
            raise AlreadyDecided(
                f"the parked events of user {user_id!r} were acknowledged by {by_whom}; nothing is left to do"
            )
    return len(quieted)


def unknown_letters(missing: Collection[int]) -> DeadLetterUnknown:
    """The error that names ids which no dead letter has."""
    return DeadLetterUnknown(
        f"there is no dead letter {', '.join(map(str, missing))}; nothing was changed (one that was retried and "
        "applied is gone): look at the list, with those that were discarded"
    )


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    if not line.isprintable():
        raise WhoUnknown(f"who and why are plain text, this has control characters: {text!r}; write it without them")
    return line


def _letter(row: Any) -> Letter:
    decided = (row["discarded_at"], row["discarded_by"], row["discarded_why"])
    return Letter(
        row["dead_letter_id"],
        row["topic"],
        row["partition"],
        row["offset"],
        row["broker_timestamp_ms"],
        row["key"],
        row["value"],
        list(zip(row["header_names"], row["header_values"], strict=True)),
        row["reason"],
        row["detail"],
        row["created_at"],
        Decision(*decided) if decided[0] else None,
    )
