"""Keeps what a replay read in unlogged tables of its own, filled by COPY and folded by PostgreSQL.

Every table's name begins with `solve_replay_`; one replay at a time has them (`lock_replay`), and each begins by
dropping what an interrupted one left.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from typing import Any, NamedTuple

from msgspec.json import Encoder

from solve_projector.domain.batch import DeadLetter, Fingerprint, LogRecord, extend_fingerprints
from solve_projector.domain.decoding import BACKSLASH, decode_record
from solve_projector.domain.rule import Verdict, problem_fact_of, registration_of, removal_of
from solve_projector.errors import ReplayRunning
from solve_projector.log.scan import open_scan
from solve_projector.settings import ProjectorSettings
from solve_projector.store.command_session import command_session
from solve_projector.store.leftovers import drop_staging
from solve_projector.store.locks import Lock, holder_of, try_lock
from solve_projector.store.postgresql import Connection
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.sql import queries
from solve_schemas.events import ProblemRestored, ProblemWithdrawn, UserRegistered, UserRemoved

STAGING_SQL = queries("solve_projector.replay", "staging")

_encode_lines = Encoder().encode_lines


@dataclass(slots=True)
class StagedRows:
    """Records of the log as rows of the staging tables."""

    verdicts: list[Verdict] = field(default_factory=list)
    registrations: list[tuple[str, str, datetime, bool]] = field(default_factory=list)
    removals: list[tuple[str, datetime, str, datetime | None]] = field(default_factory=list)
    problem_facts: list[tuple[str, datetime, bool, str]] = field(default_factory=list)
    rejected: list[tuple[Any, ...]] = field(default_factory=list)


class Wanted(NamedTuple):
    """The part of the log to stage: judged `until` then, and of the user `only`; by default everything.

    Facts about users are staged whatever their time, those about problems until then and whoever is asked for.
    """

    until: datetime | None = None
    only: str | None = None


EVERYTHING = Wanted()


def decode_rows(records: Iterable[LogRecord], wanted: Wanted = EVERYTHING) -> StagedRows:
    """Decodes records as live projection does."""
    rows = StagedRows()
    until, only = wanted
    if only is not None:
        records = [record for record in records if _may_concern(record, only.encode())]
    for record in records:
        said = decode_record(record)
        if isinstance(said, Verdict):
            if until is None or said.judged_at <= until:
                rows.verdicts.append(said)
        elif isinstance(said, UserRegistered):
            registered_at, unlisted, username = registration_of(said)
            rows.registrations.append((said.user_id, username, registered_at, unlisted))
        elif isinstance(said, UserRemoved):
            rows.removals.append((said.user_id, *removal_of(said)))
        elif isinstance(said, ProblemWithdrawn | ProblemRestored):
            if until is None or said.happened_at <= until:
                rows.problem_facts.append((said.problem_id, *problem_fact_of(said)))
        else:
            rows.rejected.append(DeadLetter(record, said).columns())
    return rows


def _may_concern(record: LogRecord, user_id: bytes) -> bool:
    """Whether a record can name the user, or be a fact about a problem; JSON may spell any character with a backslash,
    and a structured CloudEvent has all of them in base64.
    """
    value = record.value or b""
    return (
        BACKSLASH in value
        or user_id in value
        or any(field in value for field in (b"withdrawn_at", b"restored_at", b"data_base64"))
    )


async def copy_rows(connection: Connection, rows: StagedRows) -> None:
    """Appends rows to the staging tables."""
    if rows.verdicts:
        source = BytesIO(csv_of(rows.verdicts))
        await connection.copy_to_table(
            "solve_replay_verdicts", source=source, format="csv", escape="\\", null="null", encoding="utf8"
        )
    found: tuple[tuple[str, list[Any]], ...] = (
        ("solve_replay_registrations", rows.registrations),
        ("solve_replay_removals", rows.removals),
        ("solve_replay_problem_facts", rows.problem_facts),
        ("solve_replay_rejected", rows.rejected),
    )
    for table, records in found:
        if records:
            await connection.copy_records_to_table(table, records=records)


def csv_of(verdicts: Sequence[Verdict]) -> bytes:
    r"""Rows as COPY's CSV, with the escape `\` and null as NULL. They are JSON arrays without their brackets: without
    control characters, which no event may have, JSON escapes only quotes and backslashes, and as this CSV does.
    """
    return _encode_lines(verdicts).replace(b"]\n[", b"\n")[1:-2]


async def stage_ranges(
    connection: KafkaConnection,
    settings: ProjectorSettings,
    ranges: Mapping[int, tuple[int, int]],
    on_read: Callable[[int], None],
    wanted: Wanted = EVERYTHING,
) -> dict[int, Fingerprint]:
    """Reads `[from, to)` of each partition into staging; returns fingerprints."""
    fingerprints: dict[int, Fingerprint] = {}
    async with command_session(settings, replay=True) as database, open_scan(connection) as scan:
        async for records in scan.read(ranges):
            if records:
                extend_fingerprints(fingerprints, records)
                await copy_rows(database, decode_rows(records, wanted))
                on_read(len(records))
    return fingerprints


async def lock_replay(connection: Connection) -> None:
    """Takes the lock of a replay for this session. Raises ReplayRunning, which names the holder."""
    if await try_lock(connection, Lock.REPLAY):
        return
    holder = await holder_of(connection, Lock.REPLAY)
    who = (
        f"{holder['application_name']} from {holder['client']} since {holder['since']:%Y-%m-%d %H:%M:%S}Z, "
        f"PostgreSQL process {holder['pid']}"
        if holder
        else "it has just ended"
    )
    raise ReplayRunning(f"another replay is running: {who}; wait for it or stop it, then run this again")


async def begin_staging(connection: Connection) -> None:
    """Drops what an interrupted replay left, and makes empty tables."""
    await drop_staging(connection)
    await connection.execute(STAGING_SQL["create_staging"])
