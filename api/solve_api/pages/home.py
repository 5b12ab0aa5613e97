"""The home page with the leaders, and the search for users."""

from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from solve_api.http.parameters import SearchText, as_typed
from solve_api.pages.rendering import live_board, page, shared_page
from solve_api.profiles.bodies import UserSummary
from solve_api.profiles.profile import profile, users_named
from solve_api.ranking.bodies import LeaderboardPage
from solve_api.ranking.leaderboard import BoardQuestion, latest_period_of, leaderboard
from solve_api.routes.callers import OpenStores
from solve_api.stores import Stores
from solve_projector.errors import UserUnknown

TOP = 10
FOUND_MAX = 100
PATIENCE_S = 0.3  # for the leaders of today
POLL_MS = 2_000  # until they are shown
UTC_ZONE = ZoneInfo("UTC")

router = APIRouter(include_in_schema=False)


@router.api_route("/", methods=["GET", "HEAD"])
async def home(request: Request, stores: OpenStores) -> Response:
    """The leaders of all time and of today."""

    async def make() -> HTMLResponse:
        live = await live_board(request)  # before the boards are read, so that no change is missed
        board = await leaderboard(stores.boards, BoardQuestion("all", UTC_ZONE, TOP))
        today, late = await _today(stores)
        poll_ms = POLL_MS if late else None
        return page(request, "home.html", board=board, today=today, late=late, live=live, poll_ms=poll_ms)

    return await shared_page(request, "home", make)


async def _today(stores: Stores) -> tuple[LeaderboardPage | None, bool]:
    """The leaders of today, and whether newer ones are still being computed: nobody waits for them here."""
    asked = BoardQuestion("day", UTC_ZONE, TOP)
    found = await latest_period_of(stores.boards, asked, PATIENCE_S)
    if found is None:
        return None, True
    return await leaderboard(stores.boards, asked, found), not found.is_fresh


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
