"""A user's page: count, heatmap, chart and latest solves."""

from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from solve_api.http.parameters import AskedUserId, ListCursor, UserId, Zone
from solve_api.pages.charts import SIZES, solves_chart
from solve_api.pages.formats import SOLVES, USER_PATH, path_with, solves_path
from solve_api.pages.heatmap import heatmap
from solve_api.pages.rendering import POLL_MS, last_event_id, page, shared_page
from solve_api.profiles.bodies import Profile
from solve_api.profiles.profile import profile
from solve_api.profiles.solves import solves
from solve_api.routes.callers import OpenStores
from solve_api.stores import Stores

router = APIRouter(include_in_schema=False)


SOLVES_ROWS = 100


@router.api_route("/users/{user_id:path}" + SOLVES, methods=["GET", "HEAD"])
async def show_solves(request: Request, stores: OpenStores, user_id: UserId, cursor: ListCursor = None) -> Response:
    """A page of all solves of a user."""
    return await _solves_page(request, stores, user_id, cursor)


@router.api_route(USER_PATH + SOLVES, methods=["GET", "HEAD"])
async def show_solves_by_id(
    request: Request, stores: OpenStores, user_id: AskedUserId, cursor: ListCursor = None
) -> Response:
    """The same for an id that no path can hold."""
    return await _solves_page(request, stores, user_id, cursor)


@router.api_route("/users/{user_id:path}", methods=["GET", "HEAD"])
async def show(request: Request, stores: OpenStores, user_id: UserId, zone: Zone) -> Response:
    """A user's page, with days in `tz`."""
    return await _page(request, stores, user_id, zone)


@router.api_route(USER_PATH, methods=["GET", "HEAD"])
async def show_by_id(request: Request, stores: OpenStores, user_id: AskedUserId, zone: Zone) -> Response:
    """The same for an id that no path can hold."""
    return await _page(request, stores, user_id, zone)


async def _page(request: Request, stores: Stores, user_id: str, zone: ZoneInfo) -> Response:
    async def make() -> HTMLResponse:
        event_id = await last_event_id(request)  # before the profile is read, so that no change is missed
        found = await profile(stores.pool, stores.boards.rank_of, user_id, zone)
        today = found.as_of.astimezone(zone).date()
        return page(
            request,
            "user.html",
            user=found,
            live=_live(found, event_id),
            poll_ms=POLL_MS if found.problems_solved and found.listed and found.rank is None else None,
            zone=zone.key,
            year=heatmap(found.days, today),
            charts=[(name, solves_chart(found.days, today, size)) for name, size in SIZES],
        )

    return await shared_page(request, ("user", user_id, zone), make)


async def _solves_page(request: Request, stores: Stores, user_id: str, cursor: str | None) -> Response:
    found = await solves(stores.pool, user_id, SOLVES_ROWS, cursor)
    return page(
        request,
        "solves.html",
        user=found,
        first_path=cursor and solves_path(user_id),
        next_path=found.next_cursor and solves_path(user_id, found.next_cursor),
    )


def _live(user: Profile, event_id: str | None) -> dict[str, Any]:
    """The event stream of the user, and of the board, where others may change the user's rank."""
    url = path_with("/api/events", user_id=user.user_id, board="true", last_event_id=event_id)
    return {"url": url, "version": user.version}
