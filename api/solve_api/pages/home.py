"""What does somebody see first? What this is, who leads, and where to look further."""

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse

from solve_api.http.parameters import PLAIN
from solve_api.http.public import public
from solve_api.models.public import UserSummary
from solve_api.pages.rendering import live_board, page, shared_page
from solve_api.profiles.profile import profile, users_named
from solve_api.ranking.leaderboard import BoardQuestion, leaderboard
from solve_api.stores import Held, Stores
from solve_projector.errors import UserUnknown
from solve_schemas.events import TEXT_MAX_CHARS

TOP = 10
FOUND_MAX = 100
UTC_ZONE = ZoneInfo("UTC")

router = APIRouter(include_in_schema=False, dependencies=[Depends(public)])
Typed = Annotated[str, Query(max_length=TEXT_MAX_CHARS, pattern=PLAIN)]


@router.api_route("/", methods=["GET", "HEAD"])
async def home(request: Request, stores: Held) -> Response:
    """The first page."""

    async def make() -> HTMLResponse:
        live = live_board(request)  # before the boards are read: what changes in between is told
        board = await leaderboard(stores.pool, stores.boards, BoardQuestion("all", UTC_ZONE, TOP))
        today = await leaderboard(stores.pool, stores.boards, BoardQuestion("day", UTC_ZONE, TOP))
        return page(request, "home.html", board=board, today=today, live=live)

    return await shared_page(request, make)


@router.api_route("/search", methods=["GET", "HEAD"])
async def search(request: Request, stores: Held, username: Typed = "") -> Response:
    """Who has a name, or an id: names repeat, so it is a list."""
    typed = username.strip()
    users: list[UserSummary] = []
    more = False
    if typed:
        named = await users_named(stores.pool, typed, FOUND_MAX)
        users, more = [*await _with_id(stores, typed), *named.users], named.more
    found = list({one.user_id: one for one in users}.values())
    return page(request, "search.html", typed=typed, users=found, more=more)


async def _with_id(stores: Stores, user_id: str) -> list[UserSummary]:
    async def no_rank(_user_id: str, _solved: int) -> None:
        return None

    try:
        return [await profile(stores.pool, no_rank, user_id, UTC_ZONE)]
    except UserUnknown:
        return []
