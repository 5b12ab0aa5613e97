"""Admin routes of what a judge decides beyond verdicts: they publish events, and show what the facts say."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from solve_api.http.parameters import LIMITS, AskedProblemId, AskedUserId, OptionalOffset, OptionalPartition
from solve_api.http.rate_limits import LimitKind
from solve_api.identity.actors import Caller
from solve_api.identity.tokens import Scope
from solve_api.operations.fact_bodies import (
    FoundUsers,
    ListRequest,
    ProblemFactRequest,
    ProblemRecord,
    Published,
    RemoveRequest,
    UnlistRequest,
    UserRecord,
)
from solve_api.routes.callers import MayRead, OpenStores, require
from solve_producer.deliveries import Place
from solve_runtime.http.problem import problems

router = APIRouter(prefix="/api/admin", tags=["admin"], responses=problems(429))
MayPublish = Annotated[Caller, Depends(require(Scope.FACTS))]
START = "The beginning of a name or an id, in any capitals."


def place_of(partition: OptionalPartition, offset: OptionalOffset) -> Place | None:
    """A place in the log, if both are given."""
    return None if partition is None or offset is None else Place(partition, offset)


@router.get("/users", responses=problems(401, 403, 422, 503))
async def find_users(
    _: MayRead,
    stores: OpenStores,
    q: Annotated[str, Query(min_length=1, **LIMITS, description=START, examples=["ad"])],
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> FoundUsers:
    """Find users by the beginning of a name or an id, removed and unlisted ones too."""
    return await stores.user_facts.find(q, limit)


@router.get("/user", responses=problems(401, 403, 404, 422, 503))
async def user_record(
    _: MayRead,
    stores: OpenStores,
    user_id: AskedUserId,
    partition: OptionalPartition = None,
    offset: OptionalOffset = None,
) -> UserRecord:
    """Get what the facts say of a user; with a place, also whether the projector has applied what is there."""
    return await stores.user_facts.record(user_id, place_of(partition, offset))


@router.post("/users/remove", status_code=202, responses=problems(401, 403, 404, 422, 429, 503))
async def remove(caller: MayPublish, stores: OpenStores, asked: RemoveRequest) -> Published:
    """Publish that a user is shown nowhere until a later registration; with `erase`, the name is kept nowhere."""
    await stores.limits.spend(LimitKind.COSTLY, caller.name)
    return await stores.user_facts.remove(caller.actor, asked.user_id, asked.reason, erase=asked.erase)


@router.post("/users/unlist", status_code=202, responses=problems(401, 403, 404, 409, 422, 429, 503))
async def unlist(caller: MayPublish, stores: OpenStores, asked: UnlistRequest) -> Published:
    """Publish that a user keeps profile and count, and is on no leaderboard."""
    await stores.limits.spend(LimitKind.COSTLY, caller.name)
    return await stores.user_facts.unlist(caller.actor, asked.user_id, asked.reason)


@router.post("/users/list", status_code=202, responses=problems(401, 403, 404, 422, 429, 503))
async def list_again(caller: MayPublish, stores: OpenStores, asked: ListRequest) -> Published:
    """Publish that a user is on leaderboards; one who was removed comes back with every solve."""
    await stores.limits.spend(LimitKind.COSTLY, caller.name)
    return await stores.user_facts.list_again(caller.actor, asked.user_id, asked.reason, asked.username)


@router.get("/problem", responses=problems(401, 403, 422, 503))
async def problem_record(
    _: MayRead,
    stores: OpenStores,
    problem_id: AskedProblemId,
    partition: OptionalPartition = None,
    offset: OptionalOffset = None,
) -> ProblemRecord:
    """Get whether a problem counts, and how many have solved it; with a place, whether what is there is applied."""
    return await stores.problem_facts.record(problem_id, place_of(partition, offset))


@router.post("/problems/withdraw", status_code=202, responses=problems(401, 403, 422, 429, 503))
async def withdraw(caller: MayPublish, stores: OpenStores, asked: ProblemFactRequest) -> Published:
    """Publish that a problem counts for nobody, until it is restored."""
    await stores.limits.spend(LimitKind.COSTLY, caller.name)
    return await stores.problem_facts.withdraw(caller.actor, asked.problem_id, asked.reason)


@router.post("/problems/restore", status_code=202, responses=problems(401, 403, 422, 429, 503))
async def restore(caller: MayPublish, stores: OpenStores, asked: ProblemFactRequest) -> Published:
    """Publish that a withdrawn problem counts as before."""
    await stores.limits.spend(LimitKind.COSTLY, caller.name)
    return await stores.problem_facts.restore(caller.actor, asked.problem_id, asked.reason)
