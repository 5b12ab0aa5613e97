"""How does an answer become HTML? Templates that escape everything, and fail where something is missing."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from solve_api.http.caching import ALWAYS_ASK
from solve_api.identity.authentication import Caller
from solve_api.pages import formats
from solve_api.pages.assets import asset_path
from solve_api.stores import stores_of

NOT_KEPT = "no-store"

_templates = Environment(
    loader=PackageLoader("solve_api.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {
    "number": formats.number,
    "plural": formats.plural,
    "when": formats.when,
    "ago": formats.ago,
    "day_text": formats.day_text,
    "duration": formats.duration,
}
_templates.globals |= {
    "asset_path": asset_path,
    "user_path": formats.user_path,
    "path_with": formats.path_with,
    "share": formats.share,
}


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page that anybody may see; always asked for again, since a count must never be old."""
    return _response(request, template, status, ALWAYS_ASK, values)


async def shared_page(request: Request, make: Callable[[], Awaitable[HTMLResponse]]) -> HTMLResponse:
    """The same for all who ask for this address at this time: when a board moves, every page that is open does."""
    made = await stores_of(request).pages.ask((request.url.path, request.url.query), make)
    # a response of its own: each gets headers of its own on the way out
    return HTMLResponse(made.body, made.status_code, dict(made.headers))


def admin_page(
    request: Request, caller: Caller | None, template: str, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """A page of the panel, which no cache keeps."""
    return _response(request, template, status, NOT_KEPT, {"admin": caller, **values})


def live_board(request: Request) -> dict[str, Any]:
    """What the script listens to: the board from what is known now, so that nothing between is missed."""
    shown = stores_of(request).changes.hub.shown
    return {"url": formats.path_with("/api/events", board="true", last_event_id=shown and str(shown)), "version": None}


def _response(request: Request, template: str, status: int, kept: str, values: dict[str, Any]) -> HTMLResponse:
    known = {"path": request.url.path, "admin": None, "live": None, "poll_ms": None, "zone": None, **values}
    html = _templates.get_template(template).render(known)
    return HTMLResponse(html, status, {"Cache-Control": kept})
