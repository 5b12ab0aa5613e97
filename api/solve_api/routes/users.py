"""Public routes about users: profiles, and lookup by name."""

from typing import Annotated

from fastapi import Query, Request, Response

from solve_api.http.caching import answer, render, render_fields
from solve_api.http.direct import DirectRouter
from solve_api.http.parameters import AskedUserId, UserId, Username, Zone
from solve_api.http.problems import problems
from solve_api.profiles.bodies import Profile, UserList
from solve_api.profiles.profile import profile_fields, users_named
from solve_api.routes.callers import OpenStores

router = DirectRouter("/api", "users")


@router.get("/users", response_model=UserList, responses=problems(422, 429, 503))
async def look_up(
    request: Request,
    stores: OpenStores,
    username: Username,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    """Find users by exact name. Names are not unique, so the result is a list; it is empty if nobody matches."""
    return answer(request, render(await users_named(stores.pool, username, limit)))


@router.get("/users/{user_id:path}", response_model=Profile, responses=problems(404, 422, 429, 503))
async def show(request: Request, stores: OpenStores, user_id: UserId, zone: Zone) -> Response:
    """Get one user: count, rank, recent solves, days of the heatmap, streaks and languages."""
    return answer(request, render_fields(await profile_fields(stores.profiles, stores.boards.rank_of, user_id, zone)))


@router.get("/user", response_model=Profile, responses=problems(404, 422, 429, 503))
async def show_by_id(request: Request, stores: OpenStores, user_id: AskedUserId, zone: Zone) -> Response:
    """Get one user by an id that no path can hold, such as `.`, `..` or `a/../b`: browsers and proxies resolve it."""
    return await show(request, stores, user_id, zone)
