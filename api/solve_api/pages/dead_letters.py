"""The pages of dead letters: list them, show one, retry them, or discard them with a reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import Field

from solve_api.http.problems import Problem
from solve_api.http.rate_limits import LimitKind
from solve_api.identity.actors import Caller
from solve_api.operations import dead_letters
from solve_api.operations.bodies import RetryRequest
from solve_api.pages.formats import path_with
from solve_api.pages.rendering import admin_page
from solve_api.routes.callers import InSession, OpenStores, public
from solve_api.stores import Stores
from solve_projector.store.dead_letters import GREATEST_ID, Selection, summaries
from solve_schemas.events import NO_CONTROL_CHARS, TEXT_MAX_CHARS
from solve_schemas.record import Reason

LIST_PATH = "/admin/dead-letters"
SHOWN = 100
NOTHING_SELECTED = Problem(422, "selector-unclear", "Nothing selected", "Select at least one dead letter.")
REASON_MISSING = Problem(
    422, "reason-missing", "A reason is required", "Enter a reason, so that others can see why it was discarded."
)

router = APIRouter(include_in_schema=False, dependencies=[Depends(public)])
Ids = Annotated[list[Annotated[int, Field(ge=1, le=GREATEST_ID)]], Form(max_length=1_000)]
FilterText = Annotated[str, Field(max_length=TEXT_MAX_CHARS, pattern=NO_CONTROL_CHARS)]
After = Annotated[int, Field(ge=0, le=GREATEST_ID)]
Count = Annotated[int | None, Query(ge=0, le=GREATEST_ID)]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which dead letters a list shows, kept from page to page and after a decision."""

    reason: str
    user_id: str
    with_discarded: bool
    after_id: int = 0

    def fields(self, **changes: Any) -> dict[str, Any]:
        """The values for links and forms; empty texts for what is not set."""
        values = {
            "reason": self.reason,
            "user_id": self.user_id,
            "with_discarded": "true" if self.with_discarded else "",
            "after_id": self.after_id or "",
        }
        return {**values, **changes}


async def filters_of_link(
    reason: Annotated[FilterText, Query()] = "",
    user_id: Annotated[FilterText, Query()] = "",
    with_discarded: Annotated[bool, Query()] = False,
    after_id: Annotated[After, Query()] = 0,
) -> Filters:
    """The filters in a link."""
    return Filters(reason, user_id, with_discarded, after_id)


@dataclass(frozen=True, slots=True)
class DecisionForm:
    """A sent form: which dead letters, why, and in which list."""

    filters: Filters
    ids: list[int]
    why: str


async def decision_of_form(
    reason: Annotated[FilterText, Form()] = "",
    user_id: Annotated[FilterText, Form()] = "",
    with_discarded: Annotated[bool, Form()] = False,
    after_id: Annotated[After, Form()] = 0,
    ids: Ids = [],  # noqa: B006 - FastAPI copies it
    why: Annotated[str, Form(max_length=500)] = "",
) -> DecisionForm:
    """The form of the list or of one dead letter."""
    return DecisionForm(Filters(reason, user_id, with_discarded, after_id), ids, why)


SentDecision = Annotated[DecisionForm, Depends(decision_of_form)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the list reports: the result of a decision, or why it was refused and what had been entered."""

    retried: tuple[int, int, int] | None = None
    discarded: int | None = None
    problem: Problem | None = None
    selected: Sequence[int] = ()
    why: str = ""


@router.api_route(LIST_PATH, methods=["GET", "HEAD"])
async def show_all(
    request: Request,
    caller: InSession,
    stores: OpenStores,
    filters: Annotated[Filters, Depends(filters_of_link)],
    applied: Count = None,
    parked: Count = None,
    still_dead: Count = None,
    discarded: Count = None,
) -> Response:
    """The list, oldest first, with the result of the last decision."""
    retried = None if applied is None else (applied, parked or 0, still_dead or 0)
    return await _list(request, caller, stores, filters, Outcome(retried, discarded))


@router.api_route(LIST_PATH + "/{dead_letter_id:int}", methods=["GET", "HEAD"])
async def show(
    request: Request, caller: InSession, stores: OpenStores, dead_letter_id: Annotated[int, Path(ge=1, le=GREATEST_ID)]
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
        return await _list(request, caller, stores, sent.filters, Outcome(problem=NOTHING_SELECTED, why=sent.why))
    await stores.limits.spend(LimitKind.COSTLY, caller.name)
    topic = stores.connection.topic
    report = await dead_letters.retry(stores.pool, topic, caller.actor, RetryRequest(ids=sent.ids))
    result = {"applied": report.applied, "parked": report.parked, "still_dead": sum(report.still_dead.values())}
    return RedirectResponse(path_with(LIST_PATH, **sent.filters.fields(**result)), 303)


@router.post(LIST_PATH + "/discard")
async def discard(request: Request, caller: InSession, stores: OpenStores, sent: SentDecision) -> Response:
    """Discards the selected dead letters, then shows the same list."""
    if not sent.ids:
        return await _list(request, caller, stores, sent.filters, Outcome(problem=NOTHING_SELECTED, why=sent.why))
    if not sent.why.strip():
        refused = Outcome(problem=REASON_MISSING, selected=sent.ids)
        return await _list(request, caller, stores, sent.filters, refused)
    number = await dead_letters.discard(stores.pool, caller.actor, sent.ids, sent.why)
    return RedirectResponse(path_with(LIST_PATH, **sent.filters.fields(discarded=number)), 303)


async def _list(request: Request, caller: Caller, stores: Stores, filters: Filters, outcome: Outcome) -> Response:
    selection = Selection(None, filters.reason or None, filters.user_id or None, None, None, filters.with_discarded)
    async with stores.pool.acquire() as connection:
        found, more = await summaries(connection, selection, SHOWN, filters.after_id)
    return admin_page(
        request,
        caller,
        "dead_letters.html",
        status=outcome.problem.status if outcome.problem else 200,
        outcome=outcome,
        letters=found,
        filters=filters,
        newer=path_with(LIST_PATH, **filters.fields(after_id=found[-1]["id"])) if more else None,
        oldest=path_with(LIST_PATH, **filters.fields(after_id="")) if filters.after_id else None,
        reasons=[one.value for one in Reason],
    )
