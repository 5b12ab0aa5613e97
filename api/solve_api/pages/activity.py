"""The activity page: what admins, scripts and operators did."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from solve_api.identity import audit
from solve_api.pages.rendering import admin_page
from solve_api.routes.callers import InSession, OpenStores
from solve_projector.store.dead_letters import GREATEST_ID

ROWS = 50

router = APIRouter(include_in_schema=False)


@router.api_route("/admin/activity", methods=["GET", "HEAD"])
async def activity(
    request: Request,
    caller: InSession,
    stores: OpenStores,
    before_id: Annotated[int | None, Query(ge=1, le=GREATEST_ID)] = None,
) -> Response:
    """Who did what, newest first."""
    found = await audit.latest(stores.pool, ROWS + 1, before_id)
    shown = found[:ROWS]
    older = shown[-1].audit_id if len(found) > ROWS else None
    rows = [(one, details_of(one.detail)) for one in shown]
    return admin_page(request, caller, "activity.html", rows=rows, older=older, before_id=before_id)


def details_of(detail: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of a row's details, without empty ones."""
    return [(name.replace("_", " "), _text(value)) for name, value in detail.items() if value not in (None, {}, [])]


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(one)}" for name, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_text(one) for one in value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
