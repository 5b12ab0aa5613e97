"""The home page with the leaders, and the search for users."""

from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from solve_api.http.parameters import SearchText, as_typed
from solve_api.pages.rendering import live_board, page, shared_page
from solve_api.profiles.bodies import UserSummary
from solve_api.profiles.profile import profile, users_named
from solve_api.ranking.leaderboard import BoardQuestion, leaderboard
from solve_api.routes.callers import OpenStores, public
from solve_api.stores import Stores
from solve_projector.errors import UserUnknown

TOP = 10
FOUND_MAX = 100
UTC_ZONE = ZoneInfo("UTC")

router = APIRouter(include_in_schema=False, dependencies=[Depends(public)])


@router.api_route("/", methods=["GET", "HEAD"])
async def home(request: Request, stores: OpenStores) -> Response:
    """The leaders of all time and of today."""

    async def make() -> HTMLResponse:
        live = await live_board(request)  # before the boards are read, so that no change is missed
        board = await leaderboard(stores.pool, stores.boards, BoardQuestion("all", UTC_ZONE, TOP))
        today = await leaderboard(stores.pool, stores.boards, BoardQuestion("day", UTC_ZONE, TOP))
        return page(request, "home.html", board=board, today=today, live=live)

    return await shared_page(request, "home", make)


@router.api_route("/search", methods=["GET", "HEAD"])
async def search(request: Request, stores: OpenStores, username: SearchText = "") -> Response:
    """Users with a name or an id; names are not unique."""
    users: list[UserSummary] = []
    more, typed = False, ""
    for typed in as_typed(username):
        named = await users_named(stores.pool, typed, FOUND_MAX)
        users, more = [*await _with_id(stores, typed), *named.users], named.more
        if users:
            break
    found = list({one.user_id: one for one in users}.values())
    return page(request, "search.html", typed=typed, users=found, more=more)


async def _with_id(stores: Stores, user_id: str) -> list[UserSummary]:
    async def no_rank(_user_id: str, _solved: int) -> None:
        return None

    try:
        return [await profile(stores.pool, no_rank, user_id, UTC_ZONE)]
    except UserUnknown:
        return []
