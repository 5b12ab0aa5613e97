"""Shows dead letters to admins, retries and discards them, and records each decision."""

from collections.abc import Sequence

import asyncpg

from solve_api.database import transaction
from solve_api.identity.actors import Actor
from solve_api.identity.audit import record, recorded_deed
from solve_api.operations.bodies import DeadLetter, RetryReport, RetryRequest
from solve_projector.errors import SelectorUnclear
from solve_projector.operations.retry_dead_letters import retry as retry_letters
from solve_projector.store import dead_letters
from solve_projector.store.dead_letters import Selection


async def show(pool: asyncpg.Pool, dead_letter_id: int) -> DeadLetter:
    """The record as it was in the log; bytes that are not UTF-8 in base64. Raises DeadLetterUnknown."""
    async with pool.acquire() as connection:
        letter = await dead_letters.read_dead_letter(connection, dead_letter_id)
    return DeadLetter.model_validate(letter.summary() | letter.record())


def selection_of(request: RetryRequest) -> Selection:
    """Which dead letters a request means. Raises SelectorUnclear."""
    filtered = request.all or any(one is not None for one in (request.reason, request.user_id, request.partition))
    if bool(request.ids) == filtered:
        raise SelectorUnclear("give either ids, or at least one of reason, user_id, partition and all")
    reason = request.reason and request.reason.value
    return Selection(tuple(request.ids) if request.ids else None, reason, request.user_id, request.partition)


async def retry(pool: asyncpg.Pool, topic: str, actor: Actor, request: RetryRequest) -> RetryReport:
    """Reads dead letters again and applies those that are valid now, in committed chunks.

    Raises SelectorUnclear, DeadLetterUnknown, AuditRefused.
    """
    selection = selection_of(request)
    asked = {"asked": request.model_dump(exclude_none=True)}
    async with recorded_deed(pool, actor, "retry-dead-letters", asked) as found:
        async with pool.acquire() as connection:
            retried = await retry_letters(connection, topic, selection)
        report = RetryReport(applied=retried.applied, parked=retried.parked, still_dead=dict(retried.still_dead))
        found.update(report.model_dump())
    return report


async def discard(pool: asyncpg.Pool, actor: Actor, ids: Sequence[int], why: str) -> int:
    """Discards all of them or none; returns how many.

    Raises DeadLetterUnknown, AlreadyDecided, WhoUnknown, AuditRefused, CommitRefused.
    """
    async with transaction(pool) as connection:
        number = await dead_letters.discard(connection, ids, actor.name, why)
        await record(connection, actor, "discard-dead-letters", {"ids": list(ids), "why": why})
    return number
