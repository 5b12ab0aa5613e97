"""What can anybody ask of a user? Profiles, and who has a name."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from solve_api.http.caching import answer, render
from solve_api.http.parameters import UserId, Username, Zone
from solve_api.http.problems import problems
from solve_api.http.public import public
from solve_api.models.public import Profile, UserList
from solve_api.profiles.profile import profile, users_named
from solve_api.stores import Held

router = APIRouter(prefix="/api/users", tags=["users"], dependencies=[Depends(public)])


@router.get("", response_model=UserList, responses=problems(422, 429, 503))
async def look_up(
    request: Request,
    stores: Held,
    username: Username,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    """Who has exactly this name: a list, since names repeat. Nobody is an empty list."""
    return answer(request, render(await users_named(stores.pool, username, limit)))


@router.get("/{user_id:path}", response_model=Profile, responses=problems(404, 422, 429, 503))
async def show(request: Request, stores: Held, user_id: UserId, zone: Zone) -> Response:
    """One user: the count, the rank, recent solves, days of the heatmap, streaks, languages."""
    return answer(request, render(await profile(stores.pool, stores.boards.rank_of, user_id, zone)))
