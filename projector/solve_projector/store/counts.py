"""How does a batch become counts? One PostgreSQL transaction, in this order (I2, I3, I5, I11):

1. lock the offset rows by partition and compare them with what the batch was built on, or change nothing;
2. lock the users by id; those the batch registers and who do not exist are created, the others renamed;
3. lock, by key, the parked events of new and of unknown users; the new users' ones join the batch;
4. park the verdicts of unknown users, upsert the others and move the counts by what flipped;
5. keep the dead letters whole;
6. advance the offsets, and commit.

A crash before the commit leaves nothing; after it, everything, and Redis is behind until it is written again.
"""

from collections.abc import Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import Any, NamedTuple

from solve_projector.domain.batch import DeadLetter, Ranges, Rows
from solve_projector.domain.rule import Registration, Verdict, VerdictKey, fold_verdict
from solve_projector.errors import Overtaken, RegistrationCrossed
from solve_projector.store.postgresql import Connection
from solve_runtime.sql import queries

USERS_SQL = queries("solve_projector.store", "users")
PARKED_EVENTS_SQL = queries("solve_projector.store", "parked_events")
VERDICTS_SQL = queries("solve_projector.store", "verdicts")
OFFSETS_SQL = queries("solve_projector.store", "offsets")
DEAD_LETTERS_SQL = queries("solve_projector.store", "dead_letters")


class Standing(NamedTuple):
    """What the board must show of a user: absolute, and newer than any lower version."""

    user_id: str
    problems_solved: int
    last_solved_at: datetime | None
    version: int


@dataclass(slots=True)
class Applied:
    """What a committed transaction changed."""

    ranges: Ranges
    epoch: int = 0
    records: int = 0
    standings: list[Standing] = field(default_factory=list)
    verdicts: int = 0
    parked: int = 0
    unparked: int = 0
    registered: int = 0
    dead_letters: int = 0
    mis_keyed: int = 0
    strangers: AbstractSet[str] = frozenset()  # unknown users, whose verdicts were parked
    oldest_timestamp_ms: int | None = None
    seconds: float = 0.0


async def apply_rows(connection: Connection, topic: str, rows: Rows, *, unpark: bool = True) -> Applied:
    """Applies a folded batch and advances its offsets, or changes nothing.

    Raises Overtaken where another writer moved one of the offsets, RegistrationCrossed where the same batch should
    be tried again, and asyncpg's errors, which `database.classify` tells apart. With `unpark` off, parked events of
    new users are left to the sweep: a parked event that PostgreSQL refuses must not cost the registration.
    """
    began = perf_counter()
    applied = Applied(
        rows.ranges,
        records=rows.records,
        dead_letters=len(rows.dead_letters),
        mis_keyed=rows.mis_keyed,
        oldest_timestamp_ms=min((mark.first_timestamp_ms for mark in rows.marks.values()), default=None),
    )
    async with connection.transaction():
        await _compare_offsets(connection, topic, rows.ranges)
        applied.epoch = await connection.fetchval("SELECT epoch FROM leaderboard_epoch")
        if rows.registrations or rows.verdicts:
            applied.strangers = await apply_events(connection, rows, applied, unpark=unpark)
        await _keep_dead_letters(connection, topic, rows.dead_letters)
        await _advance_offsets(connection, topic, rows)
    applied.seconds = perf_counter() - began
    return applied


async def apply_events(connection: Connection, rows: Rows, applied: Applied, *, unpark: bool = True) -> set[str]:
    """The part of a batch that no offset takes part in; in a transaction of the caller's, who holds no later lock.

    Notes in `applied` what it changed; the users who do not exist, whose verdicts it parked. Raises
    RegistrationCrossed where the whole transaction should be tried again.
    """
    mentioned = sorted({key[0] for key in rows.verdicts} | rows.registrations.keys())
    known = {row[0] for row in await connection.fetch(USERS_SQL["lock_users"], mentioned)}
    created = await _register(connection, rows.registrations, known)
    known |= created
    unknown = [user_id for user_id in mentioned if user_id not in known]
    verdicts = rows.verdicts
    if (created and unpark) or unknown:
        await connection.fetchval(PARKED_EVENTS_SQL["lock_parked"], sorted({*created, *unknown}))
        if created and unpark:
            parked = await _unpark(connection, created)
            applied.unparked = len(parked)
            verdicts = dict(verdicts)
            for verdict in parked:
                fold_verdict(verdicts, verdict)
    if unknown:
        strangers = set(unknown)
        parked_now = {key: verdict for key, verdict in verdicts.items() if key[0] in strangers}
        await connection.execute(PARKED_EVENTS_SQL["park_events"], *verdict_columns(parked_now))
        applied.parked = len(parked_now)
        verdicts = {key: verdict for key, verdict in verdicts.items() if key[0] not in strangers}
    applied.registered = len(rows.registrations)
    applied.verdicts = len(verdicts)
    applied.standings = await apply_verdicts(connection, verdicts)
    return set(unknown)


async def unpark_users(
    connection: Connection, user_ids: Collection[str], only: tuple[str, str] | None = None
) -> list[Standing]:
    """Applies the parked events of users who exist by now; in a transaction of the caller's.

    `only` narrows it to one problem's submission (both ids). The users' changed standings are also left in the
    outbox, since no offset stands for this change (I6).
    """
    known = [row[0] for row in await connection.fetch(USERS_SQL["lock_users"], sorted(user_ids))]
    await connection.fetchval(PARKED_EVENTS_SQL["lock_parked"], known)
    verdicts: dict[VerdictKey, Verdict] = {}
    for verdict in await _unpark(connection, known, only):
        fold_verdict(verdicts, verdict)
    standings = await apply_verdicts(connection, verdicts)
    await leave_in_outbox(connection, standings)
    return standings


async def leave_in_outbox(connection: Connection, standings: Iterable[Standing]) -> None:
    """Has a projector write these users to the board, in the transaction of a change that no offset stands for (I6)."""
    await connection.execute(
        "INSERT INTO leaderboard_outbox (user_id) SELECT unnest($1::text[])",
        [standing.user_id for standing in standings],
    )


async def apply_verdicts(connection: Connection, verdicts: dict[VerdictKey, Verdict]) -> list[Standing]:
    """Upserts verdicts, each submission once, of users whose rows are locked; their changed standings."""
    if not verdicts:
        return []
    standings, to_recount = {}, []
    for row in await connection.fetch(VERDICTS_SQL["apply_verdicts"], *verdict_columns(verdicts)):
        standings[row[0]] = Standing(row[0], row[1], row[2], row[3])
        if row[4]:
            to_recount.append(row[0])
    if to_recount:
        for row in await connection.fetch(USERS_SQL["recount_users"], to_recount):
            standings[row[0]] = Standing(*row)
    return list(standings.values())


def verdict_columns(verdicts: dict[VerdictKey, Verdict]) -> Iterable[Sequence[Any]]:
    """The rows by column, in key order: neighbours in the index are written together, and locks taken in one order."""
    return zip(*[verdicts[key] for key in sorted(verdicts)], strict=True)


async def _compare_offsets(connection: Connection, topic: str, ranges: Ranges) -> None:
    found = {row[0]: row[1] for row in await connection.fetch(OFFSETS_SQL["lock_offsets"], topic, list(ranges))}
    expected = {partition: begin for partition, (begin, _) in ranges.items()}
    if found != expected:
        raise Overtaken(expected, found)


async def _register(connection: Connection, registrations: dict[str, Registration], known: set[str]) -> set[str]:
    """Creates and renames users; the ids of those created."""
    fresh = {user_id: registrations[user_id] for user_id in registrations.keys() - known}
    if fresh:
        rows = await connection.fetch(USERS_SQL["create_users"], *_registration_columns(fresh))
        if len(rows) < len(fresh):
            raise RegistrationCrossed
    if renamed := {user_id: registrations[user_id] for user_id in registrations.keys() & known}:
        await connection.execute(USERS_SQL["rename_users"], *_registration_columns(renamed))
    return set(fresh)


def _registration_columns(registrations: dict[str, Registration]) -> tuple[list[str], list[str], list[datetime]]:
    user_ids = sorted(registrations)
    found = [registrations[user_id] for user_id in user_ids]
    return user_ids, [one.username for one in found], [one.registered_at for one in found]


async def _unpark(
    connection: Connection, user_ids: Collection[str], only: tuple[str, str] | None = None
) -> list[Verdict]:
    problem_id, submission_id = only or (None, None)
    rows = await connection.fetch(PARKED_EVENTS_SQL["unpark_events"], sorted(user_ids), problem_id, submission_id)
    return [Verdict(*row) for row in rows]


async def _keep_dead_letters(connection: Connection, topic: str, letters: Sequence[DeadLetter]) -> None:
    if not letters:
        return
    await connection.executemany(
        DEAD_LETTERS_SQL["insert_dead_letters"],
        [
            (
                topic,
                record.partition,
                record.offset,
                record.timestamp,
                record.key,
                record.value,
                [name.replace("\x00", "\\x00") for name, _ in record.headers],
                [content for _, content in record.headers],
                why.reason.value,
                why.detail.replace("\x00", "\\x00"),
            )
            for record, why in letters
        ],
    )


async def _advance_offsets(connection: Connection, topic: str, rows: Rows) -> None:
    nothing = (None, None, None, None)
    moved = [(partition, end, *rows.marks.get(partition, nothing)) for partition, (_, end) in rows.ranges.items()]
    await connection.execute(OFFSETS_SQL["advance_offsets"], topic, *zip(*moved, strict=True))
