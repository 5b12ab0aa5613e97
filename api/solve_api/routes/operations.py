"""What do admins see of the machinery? Dead letters and the lag."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from solve_api.http.parameters import OptionalUserId
from solve_api.http.problems import problems
from solve_api.http.public import public
from solve_api.identity.authentication import Caller, require
from solve_api.identity.tokens import Scope
from solve_api.models.operations import (
    DeadLetter,
    DeadLetterList,
    DeadLetterSummary,
    DiscardReport,
    DiscardRequest,
    LagReport,
    RetryReport,
    RetryRequest,
)
from solve_api.operations import dead_letters as letters
from solve_api.stores import Held
from solve_projector.store import dead_letters
from solve_projector.store.dead_letters import GREATEST_ID, Selection
from solve_schemas.record import Reason

# whoever has no log-in is limited too: each guess at a token asks PostgreSQL
router = APIRouter(prefix="/api/admin", tags=["admin"], dependencies=[Depends(public)], responses=problems(429))
MayRead = Annotated[Caller, Depends(require(Scope.READ))]
MayDecide = Annotated[Caller, Depends(require(Scope.DEAD_LETTERS))]


@router.get("/lag", responses=problems(401, 403, 503))
async def lag(_: MayRead, stores: Held) -> LagReport:
    """How far PostgreSQL, the group's commits and Redis are behind the log, per partition."""
    return LagReport(**stores.lag.report())


@router.get("/dead-letters", responses=problems(401, 403, 422, 503))
async def list_letters(
    _: MayRead,
    stores: Held,
    reason: Annotated[Reason | None, Query()] = None,
    user_id: OptionalUserId = None,
    partition: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
    with_discarded: bool = False,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after_id: Annotated[int, Query(ge=0, le=GREATEST_ID)] = 0,
) -> DeadLetterList:
    """Records that were not applied, the oldest first."""
    chosen = Selection(None, reason and reason.value, user_id, partition, None, with_discarded)
    async with stores.pool.acquire() as connection:
        found, more = await dead_letters.summaries(connection, chosen, limit, after_id)
    after = found[-1]["id"] if more else None
    return DeadLetterList(dead_letters=[DeadLetterSummary(**one) for one in found], more=more, after_id=after)


@router.get("/dead-letters/{dead_letter_id:int}", responses=problems(401, 403, 404, 422, 503))
async def show_letter(
    _: MayRead, stores: Held, dead_letter_id: Annotated[int, Path(ge=1, le=GREATEST_ID)]
) -> DeadLetter:
    """One of them whole: key, headers and value."""
    async with stores.pool.acquire() as connection:
        return letters.whole(await dead_letters.read_dead_letter(connection, dead_letter_id))


@router.post("/dead-letters/retry", responses=problems(401, 403, 404, 422, 429, 503))
async def retry(request: Request, caller: MayDecide, asked: RetryRequest) -> RetryReport:
    """Read them again, and apply what can be applied by now."""
    return await letters.retry(request, caller, asked)


@router.post("/dead-letters/discard", responses=problems(401, 403, 404, 409, 422, 503))
async def discard(request: Request, caller: MayDecide, asked: DiscardRequest) -> DiscardReport:
    """Give them up, all or none; they stay, with who, when and why."""
    return DiscardReport(discarded=await letters.discard(request, caller, asked))
