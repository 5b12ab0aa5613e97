"""Where does a replay keep what it read? In unlogged tables of its own, filled by COPY, folded by PostgreSQL.

Every table's name begins with `solve_replay_`; one replay at a time has them (`lock_replay`), and each begins by
dropping what an interrupted one left.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from solve_projector.domain.batch import DeadLetter, Fingerprint, LogRecord
from solve_projector.domain.decoding import decode_record
from solve_projector.domain.rule import Verdict
from solve_projector.errors import ReplayRunning
from solve_projector.store.locks import Lock, holder_of, try_lock
from solve_projector.store.postgresql import Connection
from solve_runtime.sql import queries
from solve_schemas.events import UserRegistered

STAGING_SQL = queries("solve_projector.replay", "staging")


Rejection = tuple[int, int, int, bytes | None, bytes | None, list[str], list[bytes | None], str, str]


@dataclass(slots=True)
class StagedRows:
    """What some records of the log come down to, as rows of the staging tables."""

    verdicts: list[Verdict] = field(default_factory=list)
    registrations: list[tuple[str, str, datetime]] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)


class Wanted(NamedTuple):
    """What of the log is staged: what was judged `until` then, and of the user `only`; by default everything."""

    until: datetime | None = None
    only: str | None = None


EVERYTHING = Wanted()


def stage(records: Iterable[LogRecord], wanted: Wanted = EVERYTHING) -> StagedRows:
    """Decodes records as live projection does."""
    rows = StagedRows()
    until, only = wanted
    if only is not None:
        records = [record for record in records if _may_name(record, only.encode())]
    for record in records:
        said = decode_record(record)
        if isinstance(said, Verdict):
            if until is None or said.judged_at <= until:
                rows.verdicts.append(said)
        elif isinstance(said, UserRegistered):
            rows.registrations.append((said.user_id, said.username, said.registered_at))
        else:
            rows.rejected.append(DeadLetter(record, said).columns())
    return rows


def _may_name(record: LogRecord, user_id: bytes) -> bool:
    """JSON may spell any character with a backslash; such records are decoded to see."""
    value = record.value or b""
    return user_id in value or b"\\" in value


def mark_records(marks: dict[int, Fingerprint], records: Sequence[LogRecord]) -> None:
    """Extends the partition's fingerprint by records in log order."""
    first, last = records[0], records[-1]
    known = marks.get(first.partition)
    begin = (known.first_offset, known.first_timestamp_ms) if known else (first.offset, first.timestamp)
    marks[first.partition] = Fingerprint(*begin, last.offset, last.timestamp)


async def copy_rows(connection: Connection, rows: StagedRows) -> None:
    """Appends rows to the staging tables."""
    found: tuple[tuple[str, list[Any]], ...] = (
        ("solve_replay_verdicts", rows.verdicts),
        ("solve_replay_registrations", rows.registrations),
        ("solve_replay_rejected", rows.rejected),
    )
    for table, records in found:
        if records:
            await connection.copy_records_to_table(table, records=records)


async def lock_replay(connection: Connection) -> None:
    """Makes this session the one that replays. Raises ReplayRunning, which says who does already."""
    if await try_lock(connection, Lock.REPLAY):
        return
    holder = await holder_of(connection, Lock.REPLAY)
    who = (
        f"{holder['application_name']} from {holder['client']} since {holder['since']:%Y-%m-%d %H:%M:%S}Z, "
        f"PostgreSQL process {holder['pid']}"
        if holder
        else "somebody who has just ended"
    )
    raise ReplayRunning(f"another replay is at work: {who}; wait for its end, or stop it, and run this again")


async def begin_staging(connection: Connection) -> None:
    """Drops what an interrupted replay left, and makes empty tables."""
    await connection.execute(STAGING_SQL["drop_staging"])
    await connection.execute(STAGING_SQL["create_staging"])


async def end_staging(connection: Connection) -> None:
    """Drops all tables of the replay."""
    await connection.execute(STAGING_SQL["drop_staging"])
