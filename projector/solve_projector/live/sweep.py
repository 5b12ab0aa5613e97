"""Applies parked events of users who exist by now, within a minute (I5).

Needed where two transactions crossed, for users whom the site inserts itself, and for those with more parked events
than fit into the transaction that registers them. Each step takes a bounded number of events in one transaction, half
as many if that takes too long, so a crash leaves the rest to the next sweep. An event that PostgreSQL refuses is found
by halving, like a record of a batch, and becomes a dead letter.
"""

from collections.abc import Sequence

import asyncpg
import structlog

from solve_projector.domain.rule import VerdictKey
from solve_projector.store.counts import UNPARKED_AT_ONCE, unpark_events
from solve_projector.store.halving import in_halves
from solve_projector.telemetry.metrics import ProjectorMetrics
from solve_runtime.sql import queries
from solve_schemas.rejection import Reason

PARKED_EVENTS_SQL = queries("solve_projector.store", "parked_events")

log = structlog.get_logger()


async def sweep(pool: asyncpg.Pool, topic: str, metrics: ProjectorMetrics | None = None) -> int:
    """Applies what can be applied; returns the number of users. Raises asyncpg's errors."""
    metrics = metrics or ProjectorMetrics()
    swept, last = 0, None

    async def apply(keys: Sequence[VerdictKey]) -> None:
        async with pool.acquire() as connection, connection.transaction():
            losing = await unpark_events(connection, keys)
        metrics.lost(len(losing))

    async def on_refused(key: VerdictKey, refusal: BaseException) -> None:
        user_id, _, submission_id = key
        log.error(
            "parked event refused by PostgreSQL",
            action="dead_letter",
            user_id=user_id,
            submission_id=submission_id,
            error=str(refusal),
        )
        await pool.execute(PARKED_EVENTS_SQL["dead_letter_parked_event"], topic, *key, str(refusal))
        metrics.dead_lettered(Reason.REFUSED_BY_DATABASE)

    while keys := [
        tuple(row) for row in await pool.fetch(PARKED_EVENTS_SQL["parked_of_known_users"], UNPARKED_AT_ONCE)
    ]:
        await in_halves(keys, apply, on_refused, slow_too=True)
        users = {key[0] for key in keys}
        metrics.swept(len(users - {last}))
        swept += len(users - {last})
        last = keys[-1][0]
    if swept:
        log.info("parked events applied", action="swept", users=swept)
    return swept
