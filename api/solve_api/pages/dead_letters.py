"""The pages of dead letters: list them, show one, retry them, or discard them with a reason."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from solve_api.http.rate_limits import LimitKind
from solve_api.identity.actors import Caller
from solve_api.operations import dead_letters
from solve_api.operations.bodies import RetryRequest
from solve_api.pages.formats import path_with
from solve_api.pages.rendering import admin_page
from solve_api.routes.callers import InSession, OpenStores
from solve_api.stores import Stores
from solve_projector.store.dead_letters import GREATEST_ID, Selection, summaries
from solve_runtime.http.problem import Problem
from solve_schemas.events import NO_CONTROL_CHARS, TEXT_MAX_CHARS
from solve_schemas.rejection import Reason

LIST_PATH = "/admin/dead-letters"
SHOWN = 100
NOTHING_SELECTED = Problem(422, "selector-unclear", "Nothing selected", "Select at least one dead letter.")
REASON_MISSING = Problem(
    422, "reason-missing", "A reason is required", "Enter a reason, so that others can see why it was discarded."
)

router = APIRouter(include_in_schema=False)
FilterText = Annotated[str, Field(max_length=TEXT_MAX_CHARS, pattern=NO_CONTROL_CHARS)]
Id = Annotated[int, Field(ge=1, le=GREATEST_ID)]
Count = Annotated[int | None, Field(ge=0, le=GREATEST_ID)]


class Filters(BaseModel):
    """Which dead letters a list shows, kept from page to page and after a decision."""

    reason: FilterText = ""
    user_id: FilterText = ""
    with_discarded: bool = False
    after_id: int = Field(0, ge=0, le=GREATEST_ID)

    def fields(self, **changes: Any) -> dict[str, Any]:
        """The values for links and forms; empty texts for what is not set."""
        values = {
            "reason": self.reason,
            "user_id": self.user_id,
            "with_discarded": "true" if self.with_discarded else "",
            "after_id": self.after_id or "",
        }
        return {**values, **changes}


class ListQuery(Filters):
    """The query of the list, with the result of the last decision."""

    applied: Count = None
    parked: Count = None
    still_dead: Count = None
    discarded: Count = None


class DecisionForm(Filters):
    """A sent form: which dead letters, why, and in which list."""

    ids: list[Id] = Field([], max_length=1_000)
    why: str = Field("", max_length=500)


ListAsked = Annotated[ListQuery, Query()]
SentDecision = Annotated[DecisionForm, Form()]


@router.api_route(LIST_PATH, methods=["GET", "HEAD"])
async def show_all(request: Request, caller: InSession, stores: OpenStores, asked: ListAsked) -> Response:
    """The list, oldest first, with the result of the last decision."""
    retried = None if asked.applied is None else (asked.applied, asked.parked or 0, asked.still_dead or 0)
    return await _list(request, caller, stores, asked, retried=retried, discarded=asked.discarded)


@router.api_route(LIST_PATH + "/{dead_letter_id:int}", methods=["GET", "HEAD"])
async def show(
    request: Request, caller: InSession, stores: OpenStores, dead_letter_id: Annotated[Id, Path()]
) -> Response:
    """One dead letter with key, headers and value."""
    found = await dead_letters.show(stores.pool, dead_letter_id)
    return admin_page(request, caller, "dead_letter.html", letter=found)


@router.api_route(LIST_PATH + "/retry", methods=["GET", "HEAD"])
@router.api_route(LIST_PATH + "/discard", methods=["GET", "HEAD"])
async def reload(caller: InSession) -> Response:  # noqa: ARG001 - only for admins
    """Leads back from the address of a refused decision that is reloaded."""
    return RedirectResponse(LIST_PATH, 303)


@router.post(LIST_PATH + "/retry")
async def retry(request: Request, caller: InSession, stores: OpenStores, sent: SentDecision) -> Response:
    """Retries the selected dead letters, then shows the same list."""
    if not sent.ids:
        return await _list(request, caller, stores, sent, problem=NOTHING_SELECTED, why=sent.why)
    await stores.limits.spend(LimitKind.COSTLY, caller.name)
    topic = stores.connection.topic
    report = await dead_letters.retry(stores.pool, topic, caller.actor, RetryRequest(ids=sent.ids))
    result = {"applied": report.applied, "parked": report.parked, "still_dead": sum(report.still_dead.values())}
    return RedirectResponse(path_with(LIST_PATH, **sent.fields(**result)), 303)


@router.post(LIST_PATH + "/discard")
async def discard(request: Request, caller: InSession, stores: OpenStores, sent: SentDecision) -> Response:
    """Discards the selected dead letters, then shows the same list."""
    if not sent.ids:
        return await _list(request, caller, stores, sent, problem=NOTHING_SELECTED, why=sent.why)
    if not sent.why.strip():
        return await _list(request, caller, stores, sent, problem=REASON_MISSING, selected=sent.ids)
    number = await dead_letters.discard(stores.pool, caller.actor, sent.ids, sent.why)
    return RedirectResponse(path_with(LIST_PATH, **sent.fields(discarded=number)), 303)


async def _list(request: Request, caller: Caller, stores: Stores, filters: Filters, **shown: Any) -> Response:
    """The list, with the result of a decision, or with why it was refused and what had been entered."""
    selection = Selection(None, filters.reason or None, filters.user_id or None, None, None, filters.with_discarded)
    async with stores.pool.acquire() as connection:
        found, more = await summaries(connection, selection, SHOWN, filters.after_id)
    return admin_page(
        request,
        caller,
        "dead_letters.html",
        letters=found,
        filters=filters,
        newer=path_with(LIST_PATH, **filters.fields(after_id=found[-1]["id"])) if more else None,
        oldest=path_with(LIST_PATH, **filters.fields(after_id="")) if filters.after_id else None,
        reasons=[one.value for one in Reason],
        **{"retried": None, "discarded": None, "selected": (), "why": "", **shown},
    )
