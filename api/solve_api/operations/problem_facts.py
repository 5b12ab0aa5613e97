"""Shows admins whom a problem touches, and publishes that it is withdrawn or restored.

No index finds the solvers of a problem, so counting them reads all of `solves`: for COUNT_TIMEOUT_MS at most, and not
while a page that waits for a change asks again and again. Otherwise the number is what PostgreSQL's planner expects,
and said to be an estimate.
"""

import json

import asyncpg

from solve_api.identity.actors import Actor
from solve_api.operations.fact_bodies import ProblemRecord, Published, Solvers
from solve_api.operations.facts import FactLog, event_at, later_than, reason_of
from solve_producer.deliveries import Place
from solve_runtime.sql import queries
from solve_schemas.events import ProblemRestored, ProblemWithdrawn

PROBLEM_RECORDS_SQL = queries("solve_api.operations", "problem_records")

ACTIONS = WITHDRAW, RESTORE = "withdraw-problem", "restore-problem"
COUNT_TIMEOUT_MS = 2_000


class ProblemFacts:
    """What admins see and decide of problems."""

    def __init__(self, fact_log: FactLog, pool: asyncpg.Pool) -> None:
        self._log = fact_log
        self._pool = pool

    async def record(self, problem_id: str, place: Place | None = None) -> ProblemRecord:
        """Whether a problem counts, and for how many people; with a place, also whether it is in there.

        There is no unknown problem: any may be withdrawn before somebody solves it.
        """
        applied = await self._log.is_applied(place)  # before the record is read
        (row,) = await self._pool.fetch(PROBLEM_RECORDS_SQL["problem_record"], problem_id)
        changes = applied is False or row["recounting"]
        solvers = await (self._estimate(problem_id) if changes else self._count(problem_id))
        return ProblemRecord(**row, solvers=solvers, applied=applied)

    async def withdraw(self, actor: Actor, problem_id: str, reason: str) -> Published:
        """Publishes that a problem counts for nobody. Raises ReasonMissing and what `publish` raises."""
        return await self._decide(actor, problem_id, reason, withdraw=True)

    async def restore(self, actor: Actor, problem_id: str, reason: str) -> Published:
        """Publishes that a problem counts as before. As `withdraw`."""
        return await self._decide(actor, problem_id, reason, withdraw=False)

    async def _decide(self, actor: Actor, problem_id: str, reason: str, *, withdraw: bool) -> Published:
        why = reason_of(reason)
        (row,) = await self._pool.fetch(PROBLEM_RECORDS_SQL["problem_record"], problem_id)
        decided = await self._log.decided_at(ACTIONS, {"problem_id": problem_id})
        at = later_than(row["as_of"], row["decided_at"], decided)
        model: type[ProblemWithdrawn | ProblemRestored] = ProblemWithdrawn if withdraw else ProblemRestored
        event = event_at(model, at, problem_id=problem_id, reason=why)
        action = WITHDRAW if withdraw else RESTORE
        return await self._log.publish(actor, action, {"problem_id": problem_id, "reason": why}, event)

    async def _count(self, problem_id: str) -> Solvers:
        try:
            async with self._pool.acquire() as connection, connection.transaction(readonly=True):
                await connection.execute(f"SET LOCAL statement_timeout = {COUNT_TIMEOUT_MS}")
                number = await connection.fetchval(PROBLEM_RECORDS_SQL["count_solvers"], problem_id)
        except asyncpg.QueryCanceledError:
            return await self._estimate(problem_id)
        return Solvers(number=number, estimated=False)

    async def _estimate(self, problem_id: str) -> Solvers:
        explain = f"EXPLAIN (FORMAT JSON) {PROBLEM_RECORDS_SQL['solvers']}"
        (explained,) = json.loads(await self._pool.fetchval(explain, problem_id))
        return Solvers(number=explained["Plan"]["Plan Rows"], estimated=True)
