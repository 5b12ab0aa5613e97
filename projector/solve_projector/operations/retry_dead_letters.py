"""Applies dead letters that can be applied by now, as if the log had just delivered them (I1, I4, I5, I11).

After an upgrade that knows a new type, or once PostgreSQL accepts what it refused, a kept record goes through the same
decoding, folding and statements as a live one. By the rule, its late arrival does not change the result.
One transaction a chunk: facts about problems are locked by id, then users, then parked events, then dead letters by id.
If a person or another retry changed one of these dead letters meanwhile, the chunk is rolled back and read again; a
crash leaves whole chunks.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from solve_projector.domain.batch import Batch, DeadLetter, DecodedRecord, fold
from solve_projector.domain.rule import is_verdict
from solve_projector.errors import DeadLettersChanged, DeadLetterUnknown, RegistrationCrossed
from solve_projector.store.counts import Applied, add_to_outbox, apply_events
from solve_projector.store.dead_letters import Selection, StoredDeadLetter, read_pages, unknown_dead_letters
from solve_projector.store.halving import in_halves
from solve_projector.store.postgresql import Connection
from solve_runtime.sql import queries
from solve_schemas.events import UserRegistered
from solve_schemas.record import decode
from solve_schemas.rejection import Reason, Rejected

DEAD_LETTERS_SQL = queries("solve_projector.store", "dead_letters")

# A parked event passed the check of its times when it was parked, and kept no broker timestamp: no time is too late.
ANY_TIME_MS = 2**62

log = structlog.get_logger()


@dataclass(slots=True)
class Retried:
    """What became of the selected dead letters; those that stay dead by reason."""

    applied: int = 0
    parked: int = 0
    still_dead: Counter[str] = field(default_factory=Counter)


async def retry(connection: Connection, topic: str, selection: Selection) -> Retried:
    """Applies what can be applied of the selected dead letters of this topic, in committed chunks.

    Discarded ones only where they are named by id. Raises DeadLetterUnknown before anything is changed, and asyncpg's
    errors, which leave what was committed: running it again goes on.
    """
    if selection.ids is not None:
        await _require_ours(connection, topic, selection.ids)
    retried = Retried()
    mine = Selection(
        selection.ids, selection.reason, selection.user_id, selection.partition, topic, selection.ids is not None
    )
    async for page in read_pages(connection, mine):
        await _retry(connection, page, mine, retried)
    log.info(
        "dead letters retried",
        action="retried",
        applied=retried.applied,
        parked=retried.parked,
        still_dead=retried.still_dead.total(),
    )
    return retried


async def _require_ours(connection: Connection, topic: str, ids: Sequence[int]) -> None:
    rows = await connection.fetch(
        "SELECT dead_letter_id, topic, erased FROM dead_letters WHERE dead_letter_id = ANY ($1::bigint[]) ORDER BY 1",
        ids,
    )
    if missing := sorted(set(ids) - {row[0] for row in rows}):
        raise unknown_dead_letters(missing)
    for dead_letter_id, found, erased in rows:
        if erased:
            raise DeadLetterUnknown(
                f"dead letter {dead_letter_id} holds no record any more, since its user was erased; nothing was "
                "changed: leave it out"
            )
        if found != topic:
            raise DeadLetterUnknown(
                f"dead letter {dead_letter_id} belongs to topic {found}, not to {topic}; nothing was changed: "
                "leave it out, or set SOLVE_TOPIC"
            )


async def _retry(
    connection: Connection, letters: Iterable[StoredDeadLetter], selection: Selection, retried: Retried
) -> None:
    """One chunk: whole, or in halves where PostgreSQL refuses it over its data."""

    async def apply(decoded: Sequence[DecodedRecord], *, unpark: bool = True) -> None:
        while decoded:
            try:
                await _apply(connection, decoded, selection, retried, unpark=unpark)
            except RegistrationCrossed:
                continue
            except DeadLettersChanged:
                decoded = await _still_there(connection, decoded, selection)
                continue
            return

    async def keep(one: DecodedRecord, refusal: BaseException) -> None:
        await apply([DecodedRecord(one.record, Rejected(Reason.REFUSED_BY_DATABASE, str(refusal)))])

    async def on_refused(one: DecodedRecord, refusal: BaseException) -> None:
        if isinstance(one.said, UserRegistered):  # its parked events may be to blame: they are the sweep's
            await in_halves([one], partial(apply, unpark=False), keep)
        else:
            await keep(one, refusal)

    await in_halves([_read_again(letter) for letter in letters], apply, on_refused)


def _read_again(letter: StoredDeadLetter) -> DecodedRecord:
    timestamp = letter.timestamp if letter.timestamp >= 0 else ANY_TIME_MS
    return DecodedRecord(letter, decode(letter.value, letter.headers, timestamp))


async def _still_there(
    connection: Connection, decoded: Sequence[DecodedRecord], selection: Selection
) -> list[DecodedRecord]:
    wanted = list(map(_id, decoded))
    rows = await connection.fetch(DEAD_LETTERS_SQL["still_open"], wanted, selection.with_discarded)
    ids = {row[0] for row in rows}
    return [one for one in decoded if _id(one) in ids]


async def _apply(
    connection: Connection,
    decoded: Sequence[DecodedRecord],
    selection: Selection,
    retried: Retried,
    *,
    unpark: bool = True,
) -> None:
    """Applies a chunk and deletes its dead letters, or changes nothing.

    Raises DeadLettersChanged if the chunk is not what was read, RegistrationCrossed if it should be tried again, and
    asyncpg's errors.
    """
    rows = fold(Batch({}, list(decoded)))
    async with connection.transaction():
        applied = Applied({})
        unknown_users = await apply_events(connection, rows, applied, unpark=unpark)
        await add_to_outbox(connection, applied.standings)
        await _lock(connection, decoded, selection)
        living = [one for one in decoded if not isinstance(one.said, Rejected)]
        await connection.execute(
            "DELETE FROM dead_letters WHERE dead_letter_id = ANY ($1::bigint[])", [_id(one) for one in living]
        )
        await _refresh(connection, rows.dead_letters)
    parked = sum(is_verdict(one.said) and one.said.user_id in unknown_users for one in living)
    retried.applied += len(living) - parked
    retried.parked += parked
    retried.still_dead.update(why.reason.value for _, why in rows.dead_letters)


async def _lock(connection: Connection, decoded: Sequence[DecodedRecord], selection: Selection) -> None:
    wanted = {_id(one) for one in decoded}
    rows = await connection.fetch(DEAD_LETTERS_SQL["lock_dead_letters"], sorted(wanted))
    found = {row["dead_letter_id"] for row in rows if selection.with_discarded or row["discarded_at"] is None}
    if found != wanted:
        raise DeadLettersChanged


async def _refresh(connection: Connection, letters: Sequence[DeadLetter]) -> None:
    if letters:
        await connection.execute(
            DEAD_LETTERS_SQL["refresh_dead_letters"],
            [_id(one) for one in letters],
            [one.why.reason.value for one in letters],
            [one.why.detail.replace("\x00", "\\x00") for one in letters],
        )


def _id(one: DecodedRecord | DeadLetter) -> int:
    assert isinstance(one.record, StoredDeadLetter)  # noqa: S101 - of what this module folds, it is
    return one.record.dead_letter_id
