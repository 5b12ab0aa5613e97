"""What do admins see of the machinery, and of each other? The lag, who did what, and the tokens of scripts."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from solve_api.http.public import public
from solve_api.identity import audit, own_tokens, tokens
from solve_api.identity.authentication import Caller, now, require_session
from solve_api.pages.charts import Chart, Point, Series, Size, Tick, draw
from solve_api.pages.rendering import admin_page
from solve_api.stores import Held
from solve_projector.store.dead_letters import GREATEST_ID

POLL_MS = 2_000
AUDIT_ROWS = 50
WIDE, NARROW = Size(960, 260), Size(340, 210)
STAGES = {"postgresql": "PostgreSQL", "kafka_group": "Group’s commits", "redis": "Redis"}

# whoever has no log-in is limited too: each guess at a session asks PostgreSQL
router = APIRouter(include_in_schema=False, dependencies=[Depends(public)])
Admin = Annotated[Caller, Depends(require_session)]
RowId = Annotated[int, Path(ge=1, le=GREATEST_ID)]


@router.api_route("/admin/lag", methods=["GET", "HEAD"])
async def lag(request: Request, caller: Admin, stores: Held) -> Response:
    """How far each stage of each partition is, and how that has gone."""
    report = stores.lag.report()
    charts = [("wide", lag_chart(report["past"], WIDE)), ("narrow", lag_chart(report["past"], NARROW))]
    return admin_page(request, caller, "lag.html", poll_ms=POLL_MS, lag=report, charts=charts, stages=STAGES)


def lag_chart(past: Sequence[Mapping[str, float]], size: Size) -> Chart | None:
    """Messages that each stage had not, over the minutes until now; None before the second look."""
    if len(past) < 2:
        return None
    end = past[-1]["at"]
    series = [
        Series(name, kind, [Point(one["at"] - end, one[kind]) for one in past if kind in one])
        for kind, name in STAGES.items()
    ]
    minutes = int((end - past[0]["at"]) // 60)
    if minutes:
        ticks = [Tick(-60.0 * ago, f"−{ago} min" if ago else "now") for ago in range(minutes, -1, -1)]
    else:
        ticks = [Tick(past[0]["at"] - end, f"−{end - past[0]['at']:.0f} s"), Tick(0, "now")]
    return draw(series, ticks, size)


@router.api_route("/admin/audit", methods=["GET", "HEAD"])
async def audit_trail(
    request: Request,
    caller: Admin,
    stores: Held,
    before_id: Annotated[int | None, Query(ge=1, le=GREATEST_ID)] = None,
) -> Response:
    """Who did what, the newest first."""
    found = await audit.latest(stores.pool, AUDIT_ROWS + 1, before_id)
    entries = found[:AUDIT_ROWS]
    older = entries[-1].audit_id if len(found) > AUDIT_ROWS else None
    rows = [(one, details_of(one.detail)) for one in entries]
    return admin_page(request, caller, "audit.html", entries=rows, older=older, before_id=before_id)


def details_of(detail: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was said of an action, in short."""
    return [(name.replace("_", " "), _words(value)) for name, value in detail.items() if value not in (None, {}, [])]


@router.api_route("/admin/tokens", methods=["GET", "HEAD"])
async def token_list(request: Request, caller: Admin, stores: Held) -> Response:
    """This admin's, also those that no longer work."""
    found = await tokens.tokens(stores.pool, caller.admin_id)
    return admin_page(request, caller, "tokens.html", tokens=found, now=now())


@router.post("/admin/tokens/{token_id:int}/revoke")
async def revoke(request: Request, caller: Admin, token_id: RowId) -> Response:
    """Ends one of them."""
    await own_tokens.revoke(request, caller, token_id)
    return RedirectResponse("/admin/tokens", 303)


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(one)}" for name, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_words(one) for one in value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
