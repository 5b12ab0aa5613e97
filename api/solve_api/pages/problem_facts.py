"""The page of a problem for admins: whether it counts and for how many people, and the buttons to change that."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from solve_api.errors import ReasonMissing
from solve_api.http.parameters import LIMITS, SearchText
from solve_api.http.problems import problem_of
from solve_api.http.rate_limits import LimitKind
from solve_api.identity.actors import Caller
from solve_api.operations.fact_bodies import ProblemRecord
from solve_api.pages.decisions import FieldText, PublishedPlace
from solve_api.pages.formats import path_with
from solve_api.pages.rendering import POLL_MS, admin_page
from solve_api.routes.callers import InSession, OpenStores
from solve_api.stores import Stores

PATH = "/admin/problems"

router = APIRouter(include_in_schema=False)
Deed = Literal["withdraw", "restore"]


class PublishedQuery(PublishedPlace):
    """What was published before this page."""

    deed: Deed | None = None


class DecisionForm(BaseModel):
    """A sent form: about which problem, and why."""

    problem_id: Annotated[str, Field(min_length=1, **LIMITS)]
    reason: FieldText = ""


SentDecision = Annotated[DecisionForm, Form()]


@router.api_route(PATH, methods=["GET", "HEAD"])
async def show(
    request: Request,
    caller: InSession,
    stores: OpenStores,
    before: Annotated[PublishedQuery, Query()],
    problem_id: Annotated[SearchText, Query(alias="id")] = "",
) -> Response:
    """A form to find a problem, and the problem that was asked for."""
    record = await stores.problem_facts.record(problem_id, before.place) if problem_id else None
    return _page(request, caller, record, before=before)


@router.api_route(PATH + "/withdraw", methods=["GET", "HEAD"])
@router.api_route(PATH + "/restore", methods=["GET", "HEAD"])
async def reload(caller: InSession) -> Response:  # noqa: ARG001 - only for admins
    """Leads back from the address of a refused decision that is reloaded."""
    return RedirectResponse(PATH, 303)


@router.post(PATH + "/withdraw")
async def withdraw(request: Request, caller: InSession, stores: OpenStores, sent: SentDecision) -> Response:
    """Publishes that a problem counts for nobody, then shows it."""
    return await _decide(request, caller, stores, sent, "withdraw")


@router.post(PATH + "/restore")
async def restore(request: Request, caller: InSession, stores: OpenStores, sent: SentDecision) -> Response:
    """Publishes that a problem counts as before, then shows it."""
    return await _decide(request, caller, stores, sent, "restore")


async def _decide(request: Request, caller: Caller, stores: Stores, sent: DecisionForm, deed: Deed) -> Response:
    await stores.limits.spend(LimitKind.COSTLY, caller.name)
    facts = stores.problem_facts
    publish = facts.withdraw if deed == "withdraw" else facts.restore
    try:
        published = await publish(caller.actor, sent.problem_id, sent.reason)
    except ReasonMissing as error:
        return _page(request, caller, await facts.record(sent.problem_id), problem=problem_of(error))
    place = {"partition": published.partition, "offset": published.offset}
    return RedirectResponse(path_with(PATH, id=sent.problem_id, deed=deed, **place), 303)


def _page(request: Request, caller: Caller, record: ProblemRecord | None, **shown: Any) -> Response:
    values = {"before": PublishedQuery(), **shown}
    deed, waits = values["before"].deed, record is not None and record.applied is False
    stands = deed is None or record is None or record.withdrawn == (deed == "withdraw")
    changes = waits or (record is not None and record.recounting)
    poll_ms = POLL_MS if changes else None
    return admin_page(
        request, caller, "admin_problems.html", record=record, waits=waits, stands=stands, poll_ms=poll_ms, **values
    )
