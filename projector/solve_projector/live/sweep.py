"""Applies parked events of users who exist by now, within a minute (I5).

Needed where two transactions crossed, and for users whom the site inserts itself. A parked event that PostgreSQL
refuses is found by halving, like a record of a batch, and becomes a dead letter. Each step is one transaction, so a
crash leaves the rest to the next sweep.
"""

from collections.abc import Sequence

import asyncpg
import structlog

from solve_projector.store.counts import unpark_users
from solve_projector.store.halving import in_halves
from solve_projector.store.postgresql import Connection
from solve_projector.telemetry.metrics import ProjectorMetrics
from solve_runtime.sql import queries
from solve_schemas.rejection import Reason

PARKED_EVENTS_SQL = queries("solve_projector.store", "parked_events")

SWEEP_USERS = 500

log = structlog.get_logger()


async def sweep(pool: asyncpg.Pool, topic: str, metrics: ProjectorMetrics | None = None) -> int:
    """Applies what can be applied; returns the number of users. Raises asyncpg's errors."""
    metrics = metrics or ProjectorMetrics()
    swept = 0
    async with pool.acquire() as connection:
        while user_ids := [
            row[0] for row in await connection.fetch(PARKED_EVENTS_SQL["users_with_parked_events"], SWEEP_USERS)
        ]:
            await _unpark(connection, topic, user_ids, metrics)
            metrics.swept(len(user_ids))
            swept += len(user_ids)
    if swept:
        log.info("parked events applied", action="swept", users=swept)
    return swept


async def _unpark(connection: Connection, topic: str, user_ids: list[str], metrics: ProjectorMetrics) -> None:
    async def apply(some: Sequence[str]) -> None:
        async with connection.transaction():
            await unpark_users(connection, some)

    async def on_refused(user_id: str, _refusal: BaseException) -> None:
        await _unpark_one_by_one(connection, topic, user_id, metrics)

    await in_halves(user_ids, apply, on_refused)


async def _unpark_one_by_one(connection: Connection, topic: str, user_id: str, metrics: ProjectorMetrics) -> None:
    """One event a transaction, so that only refused ones become dead letters."""

    async def apply(events: Sequence[tuple[str, str]]) -> None:
        async with connection.transaction():
            await unpark_users(connection, [user_id], only=events[0])

    async def on_refused(event: tuple[str, str], refusal: BaseException) -> None:
        log.error(
            "parked event refused by PostgreSQL",
            action="dead_letter",
            user_id=user_id,
            submission_id=event[1],
            error=str(refusal),
        )
        await connection.execute(PARKED_EVENTS_SQL["dead_letter_parked_event"], topic, user_id, *event, str(refusal))
        metrics.dead_lettered(Reason.REFUSED_BY_DATABASE)

    for row in await connection.fetch(
        "SELECT problem_id, submission_id FROM parked_events WHERE user_id = $1 ORDER BY problem_id, submission_id",
        user_id,
    ):
        await in_halves([(row[0], row[1])], apply, on_refused)
