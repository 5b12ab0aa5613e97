"""The home page with the leaders, and the search for users."""

from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from solve_api.errors import BoardNotReady
from solve_api.http.parameters import ListCursor, SearchText, as_typed
from solve_api.pages.formats import path_with
from solve_api.pages.rendering import POLL_MS, lags, last_event_id, live_board, page, shared_page
from solve_api.profiles.bodies import UserList, UserSummary
from solve_api.profiles.search import search, users_exactly
from solve_api.ranking.bodies import LeaderboardPage
from solve_api.ranking.kept_boards import OURSELVES
from solve_api.ranking.leaderboard import BoardQuestion, leaderboard, period_of
from solve_api.routes.callers import OpenStores
from solve_api.stores import Stores

TOP = 10
FOUND_MAX = 50
PATIENCE_S = 0.3  # for leaders that were never computed
UTC_ZONE = ZoneInfo("UTC")

router = APIRouter(include_in_schema=False)


@router.api_route("/", methods=["GET", "HEAD"])
async def home(request: Request, stores: OpenStores) -> Response:
    """The leaders of all time and of today."""

    async def make() -> HTMLResponse:
        event_id = await last_event_id(request)  # before the boards are read, so that no change is missed
        board = await _leaders(stores, BoardQuestion("all", UTC_ZONE, TOP))
        today = await _leaders(stores, BoardQuestion("day", UTC_ZONE, TOP))
        late = lags(today, event_id)
        poll_ms = POLL_MS if late or lags(board, event_id) else None
        live = live_board(event_id)
        return page(request, "home.html", board=board, today=today, late=late, live=live, poll_ms=poll_ms)

    return await shared_page(request, "home", make)


async def _leaders(stores: Stores, asked: BoardQuestion) -> LeaderboardPage | None:
    """The leaders, or None while they are computed for the first time: nobody waits for them here."""
    try:
        period = await period_of(stores.boards, asked, OURSELVES, PATIENCE_S)
        return await leaderboard(stores.boards, asked, period, PATIENCE_S)
    except BoardNotReady:
        return None


@router.api_route("/search", methods=["GET", "HEAD"])
async def search_page(
    request: Request, stores: OpenStores, q: SearchText = "", username: SearchText = "", cursor: ListCursor = None
) -> Response:
    """Users whose name or id starts with a text; first who has just this name or id. Old links say `username`."""
    exact: list[UserSummary] = []
    found: UserList | None = None
    typed = ""
    for typed in as_typed(q or username):
        exact = [] if cursor else await users_exactly(stores.pool, typed)
        found = await search(stores.pool, stores.search_blocks, typed, FOUND_MAX, cursor)
        if exact or found.users:
            break
    users = {one.user_id: one for one in (*exact, *(found.users if found else ()))}
    next_path = found and found.next_cursor and path_with("/search", q=typed, cursor=found.next_cursor)
    return page(
        request,
        "search.html",
        typed=typed,
        users=list(users.values()),
        found=found,
        first_path=cursor and path_with("/search", q=typed),
        next_path=next_path,
    )
