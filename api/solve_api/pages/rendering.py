"""Renders pages from templates that escape every value and fail if one is missing."""

from collections.abc import Awaitable, Callable, Hashable
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from solve_api.http.caching import REVALIDATE
from solve_api.http.paths import path_of
from solve_api.identity.actors import Caller
from solve_api.pages import formats, names
from solve_api.pages.assets import asset_path
from solve_api.ranking.bodies import LeaderboardPage
from solve_api.routes.callers import stores_of
from solve_runtime.http.problem import Problem

NO_STORE = "no-store"
POLL_MS = 2_000  # of pages whose newest numbers no event announces
CLOCKS_DIFFER = timedelta(seconds=1)

_templates = Environment(
    loader=PackageLoader("solve_api.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
FILTERS = (
    *(formats.number, formats.plural, formats.when, formats.ago, formats.day_text, formats.duration),
    *(names.bdi, names.isolated, names.quoting),
)
FUNCTIONS = (
    *(asset_path, formats.user_path, formats.solves_path, formats.path_with, formats.share),
    *(names.naming, names.quoting, names.shown_name),
)
_templates.filters |= {one.__name__: one for one in FILTERS}
_templates.globals |= {one.__name__: one for one in FUNCTIONS}


def page(request: Request, template: str, **values: Any) -> HTMLResponse:
    """A public page, revalidated on every visit, since a count must never be stale."""
    return _response(request, template, 200, REVALIDATE, values)


async def shared_page(
    request: Request, question: Hashable, make: Callable[[], Awaitable[HTMLResponse]]
) -> HTMLResponse:
    """Renders a page once for equal questions: when a board moves, every open page asks for it.

    `question` names the page and is made of parsed values: addresses can be equal as text where ids are not.
    """
    made = await stores_of(request).answers.run(question, make)
    # a response for each request, since middleware adds headers to it
    return HTMLResponse(made.body, made.status_code, dict(made.headers))


def admin_page(
    request: Request, caller: Caller | None, template: str, *, problem: Problem | None = None, **values: Any
) -> HTMLResponse:
    """A page of the panel, which no cache stores; a problem gives it status and headers, and is shown."""
    status = problem.status if problem else 200
    response = _response(request, template, status, NO_STORE, {"admin": caller, "problem": problem, **values})
    response.headers.update(problem.headers if problem else {})
    return response


def live_board(event_id: str | None) -> dict[str, Any]:
    """The event stream of the board, from this id on."""
    url = formats.path_with("/api/events", board="true", last_event_id=event_id)
    return {"url": url, "version": None}


def lags(board: LeaderboardPage | None, event_id: str | None) -> bool:
    """Whether a newer board is to come that no event will announce: a kept one may lack the latest changes."""
    if board is None or event_id is None:
        return board is None or board.source == "postgresql"
    changed_at = datetime.fromtimestamp(int(event_id.partition("-")[0]) / 1000, UTC)
    return board.source == "postgresql" and board.as_of < changed_at + CLOCKS_DIFFER


async def last_event_id(request: Request) -> str | None:
    """The stream id up to which readers of the board were notified."""
    stream_id = await stores_of(request).changes.board_notified_to()
    return str(stream_id) if stream_id else None


def _response(request: Request, template: str, status: int, cache: str, values: dict[str, Any]) -> HTMLResponse:
    context = {"path": path_of(request), "admin": None, "live": None, "poll_ms": None, "zone": None, **values}
    html = _templates.get_template(template).render(context)
    return HTMLResponse(html, status, {"Cache-Control": cache})
