"""The leaderboard page: one page of a board, with links to the others."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from solve_api.http.parameters import FRIENDS_MAX_CHARS, OptionalUserId, SearchText, Zone, as_typed, friend_ids
from solve_api.pages.formats import path_with
from solve_api.pages.rendering import POLL_MS, lags, last_event_id, live_board, page, shared_page
from solve_api.profiles.search import users_exactly
from solve_api.ranking.bodies import LeaderboardPage, Period
from solve_api.ranking.leaderboard import BoardQuestion, leaderboard, period_of
from solve_api.routes.callers import OpenStores, address_of
from solve_api.routes.leaderboard import SOURCE_HEADER
from solve_api.stores import Stores
from solve_projector.errors import UserUnknown

ROWS = 50
PERIODS: dict[Period, str] = {
    "all": "All time",
    "day": "Today",
    "week": "This week",
    "month": "This month",
    "year": "This year",
}

router = APIRouter(include_in_schema=False)


@router.api_route("/leaderboard", methods=["GET", "HEAD"])
async def show(
    request: Request,
    stores: OpenStores,
    zone: Zone,
    period: Period = "all",
    cursor: Annotated[str | None, Query(max_length=1500)] = None,
    around: OptionalUserId = None,
    find: SearchText = "",
    friends: Annotated[str, Query(max_length=FRIENDS_MAX_CHARS)] = "",
) -> Response:
    """A page of the board; `find` leads to the place of a user."""
    query = {"period": None if period == "all" else period, "tz": None if zone.key == "UTC" else zone.key}
    if typed := as_typed(find):
        return RedirectResponse(await _place_of(stores, typed, query), 303)
    chosen = friend_ids(friends) if friends.strip() else ()
    asked = BoardQuestion(period, zone, ROWS, cursor or None, around, chosen)

    of_period = await period_of(stores.boards, asked, address_of(request))

    async def make() -> HTMLResponse:
        event_id = await last_event_id(request)
        found = await leaderboard(stores.boards, asked, of_period)
        shown = _shown(found, zone, query, around, friends.strip())
        live, poll_ms = live_board(event_id), POLL_MS if lags(found, event_id) else None
        response = page(request, "board.html", board=found, live=live, poll_ms=poll_ms, zone=zone.key, **shown)
        response.headers[SOURCE_HEADER] = found.source
        return response

    return await shared_page(request, ("board", asked, friends, of_period), make)


async def _place_of(stores: Stores, typed: Sequence[str], query: dict[str, Any]) -> str:
    """Where a typed text leads: an id precedes a name, and a name of several users leads to their list."""
    found = None
    for text in typed:
        try:
            await leaderboard(stores.boards, BoardQuestion("all", ZoneInfo("UTC"), 1, around=text))
            found = text
        except UserUnknown:
            named = await users_exactly(stores.pool, text)
            if len(named) > 1:
                return path_with("/search", q=text)
            found = named[0].user_id if named else None
        if found is not None:
            return f"{path_with('/leaderboard', **query, around=found)}#here"
    return path_with("/search", q=typed[-1])


def _shown(
    found: LeaderboardPage, zone: ZoneInfo, query: dict[str, Any], around: str | None, friends: str
) -> dict[str, Any]:
    """What the template needs besides the board."""

    def link(**more: Any) -> str:
        return path_with("/leaderboard", **{**query, **more})

    place = "#here" if around else ""
    tabs = [
        (name, link(period=None if one == "all" else one, around=around, friends=friends) + place, one == found.period)
        for one, name in PERIODS.items()
    ]
    return {
        "tabs": tabs,
        "around": around,
        "friends": friends,
        "first_path": link(),
        "next_path": found.next_cursor and link(cursor=found.next_cursor),
        "previous_path": found.previous_cursor and link(cursor=found.previous_cursor),
        "most": max((one.problems_solved for one in found.entries), default=0),
        "span": _span(found, zone),
        "from_fallback": found.period == "all" and found.source == "postgresql",
    }


def _span(found: LeaderboardPage, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
    """The period in the zone of its days."""
    if found.begins_at is None or found.ends_at is None:
        return None
    return found.begins_at.astimezone(zone), found.ends_at.astimezone(zone)
