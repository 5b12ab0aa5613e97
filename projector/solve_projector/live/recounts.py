"""Counts the solvers of withdrawn and restored problems anew, beside live projection.

A recount begins once every transaction that may have read the fact before has ended: each has its id before it reads a
fact, so none is left when the oldest id that runs is the one that was next after the fact was seen. Any number of
projectors may work on one queue; each step is a transaction that holds the queue's rows. After each step it rests for
as long as the step took, so that batches wait for one step at most.
"""

import asyncio
from time import monotonic, time

import asyncpg
import structlog

from solve_projector.store.problem_recounts import QueuedProblems, next_recounts, oldest_transaction, recount_step
from solve_projector.telemetry.metrics import ProjectorMetrics

POLL_S, POLL_MOST_S = 0.05, 1.0
SAID_AFTER_S, SAID_EVERY_S = 10.0, 60.0

log = structlog.get_logger()


class Recounts:
    """The recounts of one process, which remembers what it waits for."""

    def __init__(self, pool: asyncpg.Pool, metrics: ProjectorMetrics | None = None) -> None:
        self._pool = pool
        self._metrics = metrics or ProjectorMetrics()
        self._horizons: dict[int, int] = {}  # by ticket
        self._said_at = 0.0

    async def all(self, patience_s: float = float("inf")) -> bool:
        """Recounts until no problem is queued; False if it waited too long for older transactions.

        Raises asyncpg's errors.
        """
        waiting_since = monotonic()
        try:
            while (stepped := await self.some()) is not None:
                now = monotonic()
                if stepped:
                    await asyncio.sleep(now - waiting_since)
                    waiting_since = monotonic()
                elif now - waiting_since > patience_s:
                    return False
                else:
                    await asyncio.sleep(min(POLL_MOST_S, max(POLL_S, (now - waiting_since) / 10)))
        finally:  # ids of transactions of another server, or of a restored one, say nothing
            self._horizons.clear()
        return True

    async def some(self) -> bool | None:
        """Does the next step; False if it must wait for older transactions, None if no problem is queued.

        Raises asyncpg's errors.
        """
        if (queued := await next_recounts(self._pool)) is None:
            return None
        if not (tickets := await self._past(queued)):
            return False
        async with self._pool.acquire() as connection:
            users = await recount_step(connection, tickets)
        self._metrics.recounted(users)
        log.debug("solvers counted anew", action="recounted", problems=len(tickets), users=users)
        return True

    async def _past(self, queued: QueuedProblems) -> dict[str, int]:
        """The problems of which every transaction has ended that ran when this process first saw the fact."""
        known = self._horizons
        self._horizons = {ticket: known.get(ticket, queued.horizon) for ticket in queued.tickets.values()}
        running, oldest = await oldest_transaction(self._pool)
        past = {problem: ticket for problem, ticket in queued.tickets.items() if self._horizons[ticket] <= running}
        waited_s = time() - queued.oldest
        if not past and waited_s > SAID_AFTER_S and monotonic() - self._said_at > SAID_EVERY_S:
            self._said_at = monotonic()
            log.warning(
                "a recount waits for transactions that are older than the fact; end them if they are idle",
                action="recount_waits",
                problems=len(queued.tickets),
                waited_s=round(waited_s),
                oldest=oldest or "unknown",
            )
        return past
