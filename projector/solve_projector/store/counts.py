"""Applies a folded batch in one PostgreSQL transaction, in this order (I2, I3, I5, I11):

1. Lock the offset rows by partition. If they are not what the batch was built on, change nothing.
2. Write the facts about problems, and ask for the recounts that follow.
3. Lock the users by id. Create those whom the batch registers and who do not exist; rename the others.
4. Lock the removals of users whom it registers or removes. Make the users what their facts say.
5. Lock the parked events of new and of unknown users by key. Those of new users join the batch.
6. Park the verdicts of unknown users; upsert the others, their first solves, and the counts by what was added. Where a
   solve was taken back, settle the problem from its verdicts and count the user anew.
7. Insert the dead letters, whole; blank those of erased users.
8. Advance the offsets, and commit.

A crash before the commit leaves nothing; after it, everything, and a stale leaderboard until Redis is written again.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import Any, NamedTuple

from solve_projector.domain.batch import DeadLetter, Fingerprint, Ranges, Rows
from solve_projector.domain.rule import ProblemFact, Registration, Removal, Verdict, VerdictKey, fold_verdict
from solve_projector.errors import Overtaken, RegistrationCrossed
from solve_projector.store.erasure import erase_letters
from solve_projector.store.postgresql import Connection
from solve_projector.store.session import require_own_session
from solve_runtime.sql import queries

USERS_SQL = queries("solve_projector.store", "users")
PROBLEM_FACTS_SQL = queries("solve_projector.store", "problem_facts")
USER_FACTS_SQL = queries("solve_projector.store", "user_facts")
PARKED_EVENTS_SQL = queries("solve_projector.store", "parked_events")
VERDICTS_SQL = queries("solve_projector.store", "verdicts")
SOLVES_SQL = queries("solve_projector.store", "solves")
OFFSETS_SQL = queries("solve_projector.store", "offsets")
DEAD_LETTERS_SQL = queries("solve_projector.store", "dead_letters")

# More parked events than this are applied by the sweep, in steps of as many: they must fit into one transaction.
UNPARKED_AT_ONCE = 5_000


class Standing(NamedTuple):
    """What the leaderboard must show of a user: absolute, and newer than any lower version."""

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
    losing: list[tuple[int, int]] = field(default_factory=list)  # places of verdicts with an earlier time than before
    unknown_users: AbstractSet[str] = frozenset()  # their verdicts were parked
    recounts_asked: int = 0  # problems that count from now on, or no longer
    left_to_sweep: bool = False  # parked events of new users, because they are too many or may be refused
    oldest_timestamp_ms: int | None = None
    seconds: float = 0.0


async def apply_rows(connection: Connection, topic: str, rows: Rows, *, unpark: bool = True) -> Applied:
    """Applies a folded batch and advances its offsets, or changes nothing.

    Raises Overtaken if another writer moved one of the offsets, RegistrationCrossed if the same batch should be tried
    again, and asyncpg's errors, which `postgresql.classify` tells apart. With `unpark` off, parked events of new users
    are left to the sweep: a parked event that PostgreSQL refuses must not undo the registration.
    """
    started = perf_counter()
    applied = Applied(
        rows.ranges,
        records=rows.records,
        dead_letters=len(rows.dead_letters),
        mis_keyed=rows.mis_keyed,
        oldest_timestamp_ms=min((one.first_timestamp_ms for one in rows.fingerprints.values()), default=None),
    )
    async with connection.transaction():
        await _compare_offsets(connection, topic, rows.ranges)
        applied.epoch = await connection.fetchval("SELECT epoch FROM leaderboard_epoch")
        if rows.registrations or rows.verdicts or rows.removals or rows.problem_facts:
            applied.unknown_users = await apply_events(connection, rows, applied, unpark=unpark)
        named = await _insert_dead_letters(connection, topic, rows.dead_letters)
        erased = {user_id for user_id, removal in rows.removals.items() if removal.erased_at}
        await erase_letters(connection, named | erased)
        ends = {partition: end for partition, (_, end) in rows.ranges.items()}
        await advance_offsets(connection, topic, ends, rows.fingerprints)
    applied.seconds = perf_counter() - started
    return applied


async def apply_events(connection: Connection, rows: Rows, applied: Applied, *, unpark: bool = True) -> set[str]:
    """Steps 2 to 6, in the transaction of a caller who holds no later lock.

    Adds what it changed to `applied`; returns the unknown users, whose verdicts it parked. Raises RegistrationCrossed
    if the whole transaction should be tried again.
    """
    if rows.problem_facts:
        asked = await connection.fetch(
            PROBLEM_FACTS_SQL["write_problem_facts"], *problem_fact_columns(rows.problem_facts)
        )
        applied.recounts_asked = len(asked)
    mentioned = {key[0] for key in rows.verdicts} | rows.registrations.keys()
    to_lock = sorted(mentioned | rows.removals.keys())
    known = {row[0] for row in await connection.fetch(USERS_SQL["lock_users"], to_lock)}
    created, standings = await _register(connection, rows.registrations, known)
    standings |= await _remove(connection, rows.removals, rows.registrations.keys())
    known |= created
    unknown = mentioned - known
    verdicts, superseded = rows.verdicts, rows.superseded
    to_park = {key: verdict for key, verdict in verdicts.items() if key[0] in unknown}
    if created or unknown:
        parked = await connection.fetchval(
            PARKED_EVENTS_SQL["lock_parked_of_batch"], sorted(created), UNPARKED_AT_ONCE + 1, *_columns(to_park)
        )
        applied.left_to_sweep = parked > (UNPARKED_AT_ONCE if unpark else 0)
        if parked and not applied.left_to_sweep:
            rows_taken = await connection.fetch(PARKED_EVENTS_SQL["unpark_users"], sorted(created))
            applied.unparked = len(rows_taken)
            verdicts, lost = _joined(verdicts, rows_taken)
            superseded = superseded + lost
    if unknown:
        await connection.execute(PARKED_EVENTS_SQL["park_events"], *verdict_columns(to_park))
        applied.parked = len(to_park)
        verdicts = {key: verdict for key, verdict in verdicts.items() if key[0] not in unknown}
        superseded = [verdict for verdict in superseded if verdict.user_id not in unknown]
    applied.registered = len(rows.registrations)
    applied.verdicts = len(verdicts)
    changed = await apply_verdicts(connection, verdicts, superseded, applied.losing)
    standings |= {standing.user_id: standing for standing in changed}
    applied.standings = list(standings.values())
    return unknown


async def unpark_events(connection: Connection, keys: Sequence[VerdictKey]) -> list[tuple[int, int]]:
    """Applies parked events of users who exist by now, in the caller's transaction; returns places of losing verdicts.

    The changed standings go to the outbox, because this change has no offset (I6).
    """
    known = {row[0] for row in await connection.fetch(USERS_SQL["lock_users"], sorted({key[0] for key in keys}))}
    wanted = _columns(key for key in keys if key[0] in known)
    await connection.fetchval(PARKED_EVENTS_SQL["lock_parked_events"], *wanted)
    verdicts, superseded = _joined({}, await connection.fetch(PARKED_EVENTS_SQL["unpark_events"], *wanted))
    losing: list[tuple[int, int]] = []
    await add_to_outbox(connection, await apply_verdicts(connection, verdicts, superseded, losing))
    return losing


async def apply_removals(connection: Connection, user_ids: Sequence[str]) -> None:
    """Makes users what follows from their facts, in the caller's transaction.

    The changed standings go to the outbox, because this change has no offset (I6).
    """
    await connection.fetch(USERS_SQL["lock_users"], user_ids)
    await connection.fetch(USER_FACTS_SQL["lock_removals"], user_ids)
    changed = await connection.fetch(USER_FACTS_SQL["apply_removals"], user_ids)
    await add_to_outbox(connection, [Standing(*row) for row in changed])


async def add_to_outbox(connection: Connection, standings: Iterable[Standing]) -> None:
    """Asks a projector to write these users to Redis, in the transaction of a change that has no offset (I6)."""
    await connection.execute(
        "INSERT INTO leaderboard_outbox (user_id) SELECT unnest($1::text[])",
        [standing.user_id for standing in standings],
    )


async def apply_verdicts(
    connection: Connection,
    verdicts: dict[VerdictKey, Verdict],
    superseded: Sequence[Verdict] = (),
    losing: list[tuple[int, int]] | None = None,
) -> list[Standing]:
    """Upserts verdicts, each submission once, of locked users; returns the changed standings.

    Remembers what does not stand, and what the batch `superseded`; adds the places of losing ones to `losing`.
    """
    if not verdicts:
        return []
    standings, to_recount, to_settle, changed = {}, set(), [], 0
    for user_id, solved, last, version, problem_id in await connection.fetch(
        VERDICTS_SQL["apply_verdicts"], *verdict_columns(verdicts)
    ):
        if user_id is None:
            changed = solved
        elif problem_id is not None:
            to_settle.append((user_id, problem_id))
        elif solved is None:
            to_recount.add(user_id)
        else:
            standings[user_id] = Standing(user_id, solved, last, version)
    if superseded or changed < len(verdicts):
        lost = [(*one[:5], one.partition, one.offset, one.revision) for one in (*verdicts.values(), *superseded)]
        rows = await connection.fetch(VERDICTS_SQL["keep_superseded"], *zip(*lost, strict=True))
        if losing is not None:
            losing += [tuple(row) for row in rows]
    if to_settle:
        settled = await connection.fetch(SOLVES_SQL["settle_pairs"], *zip(*to_settle, strict=True))
        to_recount |= {row[0] for row in settled}
    if to_recount:
        recounted = await recount_users(connection, sorted(to_recount))
        standings |= {standing.user_id: standing for standing in recounted}
    return list(standings.values())


async def recount_users(connection: Connection, user_ids: Sequence[str]) -> list[Standing]:
    """Counts locked users anew from their solves."""
    return [Standing(*row) for row in await connection.fetch(USERS_SQL["recount_users"], user_ids)]


def verdict_columns(verdicts: dict[VerdictKey, Verdict]) -> Iterable[Sequence[Any]]:
    """The rows as columns, in key order: locks are taken in one order, and index pages are written once."""
    return zip(*[verdicts[key] for key in sorted(verdicts)], strict=True)


async def _compare_offsets(connection: Connection, topic: str, ranges: Ranges) -> None:
    rows = await connection.fetch(OFFSETS_SQL["lock_offsets"], topic, list(ranges))
    require_own_session(row[2] for row in rows)
    found = {row[0]: row[1] for row in rows}
    expected = {partition: begin for partition, (begin, _) in ranges.items()}
    if found != expected:
        raise Overtaken(expected, found)


async def _register(
    connection: Connection, registrations: dict[str, Registration], known: set[str]
) -> tuple[set[str], dict[str, Standing]]:
    """Creates and renames users; returns the ids of those created, and who is listed otherwise now."""
    standings = {}
    new = {user_id: registrations[user_id] for user_id in registrations.keys() - known}
    if new:
        rows = await connection.fetch(USERS_SQL["create_users"], *registration_columns(new))
        if len(rows) < len(new):
            raise RegistrationCrossed
    if renamed := {user_id: registrations[user_id] for user_id in registrations.keys() & known}:
        for is_listed_otherwise, *row in await connection.fetch(
            USERS_SQL["rename_users"], *registration_columns(renamed)
        ):
            if is_listed_otherwise:
                standings[row[0]] = Standing(*row)
    return set(new), standings


async def _remove(
    connection: Connection, removals: dict[str, Removal], registered: AbstractSet[str]
) -> dict[str, Standing]:
    """Keeps removals; returns who is shown, or not shown, by now. The caller holds the users' row locks."""
    if not removals and not registered:
        return {}
    concerned = sorted(removals.keys() | registered)
    locked = await connection.fetch(USER_FACTS_SQL["lock_removals"], concerned)
    if removals:
        await connection.execute(USER_FACTS_SQL["write_removals"], *removal_columns(removals))
    if not removals and not locked:
        return {}
    return {row[0]: Standing(*row) for row in await connection.fetch(USER_FACTS_SQL["apply_removals"], concerned)}


def registration_columns(
    registrations: dict[str, Registration],
) -> tuple[list[str], list[str], list[datetime], list[bool]]:
    """Ids, names, times and who is unlisted as columns, by id."""
    user_ids = sorted(registrations)
    found = [registrations[user_id] for user_id in user_ids]
    return (
        user_ids,
        [one.username for one in found],
        [one.registered_at for one in found],
        [one.unlisted for one in found],
    )


def removal_columns(removals: dict[str, Removal]) -> Iterable[Sequence[Any]]:
    """Ids, times, reasons and times of erasures as columns, by id."""
    return zip(*[(user_id, *removals[user_id]) for user_id in sorted(removals)], strict=True)


def problem_fact_columns(facts: Mapping[str, ProblemFact]) -> Iterable[Sequence[Any]]:
    """Ids, times, signs and reasons as columns, by id."""
    return zip(*[(problem_id, *facts[problem_id]) for problem_id in sorted(facts)], strict=True)


def _joined(
    verdicts: Mapping[VerdictKey, Verdict], rows: Iterable[Any]
) -> tuple[dict[VerdictKey, Verdict], list[Verdict]]:
    """Verdicts and rows of parked events, folded; and those that were judged earlier than one that stands."""
    joined = dict(verdicts)
    return joined, [lost for row in rows if (lost := fold_verdict(joined, Verdict(*row)))]


def _columns(keys: Iterable[VerdictKey]) -> tuple[list[str], list[str], list[str]]:
    """Keys in their order, as columns."""
    ordered = sorted(keys)
    return [key[0] for key in ordered], [key[1] for key in ordered], [key[2] for key in ordered]


async def _insert_dead_letters(connection: Connection, topic: str, dead_letters: Sequence[DeadLetter]) -> set[str]:
    """Returns the users whom they name."""
    rows = [(topic, *one.columns()) for one in dead_letters]
    if rows:
        await connection.executemany(DEAD_LETTERS_SQL["insert_dead_letters"], rows)
    return {user_id for *_, user_ids in rows for user_id in user_ids}


async def advance_offsets(
    connection: Connection, topic: str, ends: Mapping[int, int], fingerprints: Mapping[int, Fingerprint]
) -> None:
    """Moves the offsets of what the caller's transaction applied; the caller holds their locks."""
    nothing = (None, None, None, None)
    moved = [(partition, end, *fingerprints.get(partition, nothing)) for partition, end in ends.items()]
    await connection.execute(OFFSETS_SQL["advance_offsets"], topic, *zip(*moved, strict=True))
