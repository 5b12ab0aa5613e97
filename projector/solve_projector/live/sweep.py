"""Applies parked events of users who exist by now, within a minute (I5).

Needed where two transactions crossed, and for users whom the site inserts itself. A parked event that PostgreSQL
refuses is found by halving, like a record of a batch, and becomes a dead letter. Each step is one transaction, so a
crash leaves the rest to the next sweep.
"""

import asyncpg
import structlog

from solve_projector.store.counts import unpark_users
from solve_projector.store.postgresql import DATABASE_ERRORS, Connection, Failure, classify
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
            metrics.dead_lettered(Reason.REFUSED_BY_DATABASE, await _unpark(connection, topic, user_ids))
            metrics.swept(len(user_ids))
            swept += len(user_ids)
    if swept:
        log.info("parked events applied", action="swept", users=swept)
    return swept


async def _unpark(connection: Connection, topic: str, user_ids: list[str]) -> int:
    """Returns how many events were refused and are now dead letters."""
    try:
        async with connection.transaction():
            await unpark_users(connection, user_ids)
    except DATABASE_ERRORS as error:
        if classify(error) is not Failure.DATA:
            raise
        if len(user_ids) > 1:
            middle = len(user_ids) // 2
            refused = await _unpark(connection, topic, user_ids[:middle])
            return refused + await _unpark(connection, topic, user_ids[middle:])
        return await _unpark_one_by_one(connection, topic, user_ids[0])
    return 0


async def _unpark_one_by_one(connection: Connection, topic: str, user_id: str) -> int:
    """One event a transaction, so that only refused ones become dead letters."""
    parked = await connection.fetch(
        "SELECT problem_id, submission_id FROM parked_events WHERE user_id = $1 ORDER BY problem_id, submission_id",
        user_id,
    )
    refused = 0
    for problem_id, submission_id in parked:
        try:
            async with connection.transaction():
                await unpark_users(connection, [user_id], only=(problem_id, submission_id))
        except DATABASE_ERRORS as error:
            if classify(error) is not Failure.DATA:
                raise
            log.error(  # noqa: TRY400 - the refusal is the message; a traceback adds nothing
                "parked event refused by PostgreSQL",
                action="dead_letter",
                user_id=user_id,
                submission_id=submission_id,
                error=str(error),
            )
            await connection.execute(
                PARKED_EVENTS_SQL["dead_letter_parked_event"], topic, user_id, problem_id, submission_id, str(error)
            )
            refused += 1
    return refused
