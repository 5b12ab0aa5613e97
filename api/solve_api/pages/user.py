"""How does one user's page look? The count, the year, the way there, and the latest solves."""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from solve_api.http.parameters import UserId, Zone
from solve_api.http.public import public
from solve_api.models.public import Profile
from solve_api.pages.charts import Size, solves_chart
from solve_api.pages.formats import path_with
from solve_api.pages.heatmap import heatmap
from solve_api.pages.rendering import page, shared_page
from solve_api.profiles.profile import profile
from solve_api.stores import Held

WIDE, NARROW = Size(960, 260), Size(340, 210)

router = APIRouter(include_in_schema=False, dependencies=[Depends(public)])


@router.api_route("/users/{user_id:path}", methods=["GET", "HEAD"])
async def show(request: Request, stores: Held, user_id: UserId, zone: Zone) -> Response:
    """A user's page; days begin in `tz`."""

    async def make() -> HTMLResponse:
        shown = stores.changes.hub.shown
        found = await profile(stores.pool, stores.boards.rank_of, user_id, zone)
        today = found.as_of.astimezone(zone).date()
        sizes = (("wide", WIDE), ("narrow", NARROW))
        return page(
            request,
            "user.html",
            user=found,
            live=_live(found, shown and str(shown)),
            zone=zone.key,
            year=heatmap(found.days, today),
            charts=[(name, solves_chart(found.days, today, size)) for name, size in sizes],
        )

    return await shared_page(request, make)


def _live(user: Profile, position: str | None) -> dict[str, Any]:
    """The user themselves, from the version shown on, and the board, on which others may have moved them."""
    url = path_with("/api/events", user_id=user.user_id, board="true", last_event_id=position)
    return {"url": url, "version": user.version}
