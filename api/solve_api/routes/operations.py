"""Admin routes: dead letters and the lag."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from solve_api.http.parameters import OptionalUserId
from solve_api.http.rate_limits import LimitKind
from solve_api.identity.actors import Caller
from solve_api.identity.tokens import Scope
from solve_api.operations import bodies, dead_letters
from solve_api.routes.callers import MayRead, OpenStores, require
from solve_projector.store.dead_letters import GREATEST_ID, Selection, summaries
from solve_runtime.http.problem import problems
from solve_schemas.rejection import Reason

router = APIRouter(prefix="/api/admin", tags=["admin"], responses=problems(429))
MayDecide = Annotated[Caller, Depends(require(Scope.DEAD_LETTERS))]


@router.get("/lag", responses=problems(401, 403, 503))
async def lag(_: MayRead, stores: OpenStores) -> bodies.LagReport:
    """Get the lag of PostgreSQL, the group's commits and Redis, per partition."""
    return bodies.LagReport(**await stores.lag.report())


@router.get("/dead-letters", responses=problems(401, 403, 422, 503))
async def list_dead_letters(
    _: MayRead,
    stores: OpenStores,
    reason: Annotated[Reason | None, Query()] = None,
    user_id: OptionalUserId = None,
    partition: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
    with_discarded: bool = False,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after_id: Annotated[int, Query(ge=0, le=GREATEST_ID)] = 0,
) -> bodies.DeadLetterList:
    """List records that could not be applied, oldest first."""
    chosen = Selection(None, reason and reason.value, user_id, partition, None, with_discarded)
    async with stores.pool.acquire() as connection:
        found, more = await summaries(connection, chosen, limit, after_id)
    after = found[-1]["id"] if more else None
    return bodies.DeadLetterList(
        dead_letters=[bodies.DeadLetterSummary(**one) for one in found], more=more, after_id=after
    )


@router.get("/dead-letters/{dead_letter_id:int}", responses=problems(401, 403, 404, 422, 503))
async def show_dead_letter(
    _: MayRead, stores: OpenStores, dead_letter_id: Annotated[int, Path(ge=1, le=GREATEST_ID)]
) -> bodies.DeadLetter:
    """Get one dead letter with key, headers and value."""
    return await dead_letters.show(stores.pool, dead_letter_id)


@router.post("/dead-letters/retry", responses=problems(401, 403, 404, 422, 429, 503))
async def retry(caller: MayDecide, stores: OpenStores, asked: bodies.RetryRequest) -> bodies.RetryReport:
    """Retry dead letters: apply those that are valid now."""
    dead_letters.selection_of(asked)  # what is refused costs nothing
    await stores.limits.spend(LimitKind.COSTLY, caller.name)
    return await dead_letters.retry(stores.pool, stores.connection.topic, caller.actor, asked)


@router.post("/dead-letters/discard", responses=problems(401, 403, 404, 409, 422, 503))
async def discard(caller: MayDecide, stores: OpenStores, asked: bodies.DiscardRequest) -> bodies.DiscardReport:
    """Discard dead letters, all of them or none. They stay listed with who discarded them, when and why."""
    return bodies.DiscardReport(discarded=await dead_letters.discard(stores.pool, caller.actor, asked.ids, asked.why))
