"""Public routes about users: search, profiles, and all solves of one."""

from typing import Annotated

from fastapi import Query, Request, Response

from solve_api.http.caching import answer, render, render_fields
from solve_api.http.direct import DirectRouter
from solve_api.http.parameters import AskedUserId, ListCursor, OptionalStart, OptionalUsername, UserId, Zone
from solve_api.profiles.bodies import Profile, SolveList, UserList
from solve_api.profiles.profile import profile_fields
from solve_api.profiles.search import search, users_named
from solve_api.profiles.solves import solves
from solve_api.routes.callers import OpenStores
from solve_runtime.http.problem import Problem, problems

router = DirectRouter("/api", "users")
Limit = Annotated[int, Query(ge=1, le=100)]


@router.get("/users", response_model=UserList, responses=problems(422, 429, 503))
async def look_up(
    request: Request,
    stores: OpenStores,
    q: OptionalStart = None,
    username: OptionalUsername = None,
    limit: Limit = 20,
    cursor: ListCursor = None,
) -> Response:
    """Find users by the beginning of a name or an id (`q`), or by a whole name (`username`), most solved first.

    Names are not unique. The list is empty if nobody matches.
    """
    if username is not None and q is None and cursor is None:
        return answer(request, render(await users_named(stores.pool, username, limit)))
    if q is None or username is not None:
        raise Problem(
            422, "question-unclear", "Unclear question", "Use one of q and username; a cursor belongs to its q."
        )
    if not q.strip():
        raise Problem(422, "search-empty", "Nothing to search for", "q must have a character that is not a space.")
    return answer(request, render(await search(stores.pool, stores.search_blocks, q, limit, cursor)))


@router.get("/users/{user_id:path}/solves", response_model=SolveList, responses=problems(404, 410, 422, 429, 503))
async def list_solves(
    request: Request, stores: OpenStores, user_id: UserId, limit: Limit = 50, cursor: ListCursor = None
) -> Response:
    """List all solves of a user, newest first: of each problem the first that stands."""
    return answer(request, render(await solves(stores.pool, user_id, limit, cursor)))


@router.get("/users/{user_id:path}", response_model=Profile, responses=problems(404, 410, 422, 429, 503))
async def show(request: Request, stores: OpenStores, user_id: UserId, zone: Zone) -> Response:
    """Get one user: count, rank, recent solves, days of the heatmap, streaks and languages."""
    return answer(request, render_fields(await profile_fields(stores.profiles, stores.boards.rank_of, user_id, zone)))


@router.get("/user", response_model=Profile, responses=problems(404, 410, 422, 429, 503))
async def show_by_id(request: Request, stores: OpenStores, user_id: AskedUserId, zone: Zone) -> Response:
    """Get one user by an id that no path can hold, such as `.`, `..`, `a/../b` or `a/solves`."""
    return await show(request, stores, user_id, zone)


@router.get("/user/solves", response_model=SolveList, responses=problems(404, 410, 422, 429, 503))
async def list_solves_by_id(
    request: Request, stores: OpenStores, user_id: AskedUserId, limit: Limit = 50, cursor: ListCursor = None
) -> Response:
    """List all solves of a user with an id that no path can hold."""
    return await list_solves(request, stores, user_id, limit, cursor)
