"""The pages of users for admins: find one, hidden or not, see what the facts say, and remove or list them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from solve_api.errors import NameMissing, ReasonMissing, UserIsRemoved
from solve_api.http.parameters import LIMITS, AskedUserId, SearchText, as_typed
from solve_api.http.problems import problem_of
from solve_api.http.rate_limits import LimitKind
from solve_api.identity.actors import Actor, Caller
from solve_api.operations.fact_bodies import PARKED_MAX, FoundUsers, Published, UserRecord
from solve_api.pages.decisions import FieldText, PublishedPlace
from solve_api.pages.formats import path_with
from solve_api.pages.rendering import POLL_MS, admin_page
from solve_api.routes.callers import InSession, OpenStores
from solve_api.stores import Stores

LIST_PATH = "/admin/users"
RECORD_PATH = f"{LIST_PATH}/record"
FOUND_MAX = 50

router = APIRouter(include_in_schema=False)
Deed = Literal["remove", "unlist", "list"]


class PublishedQuery(PublishedPlace):
    """What was published before this page."""

    deed: Deed | None = None


class DecisionForm(BaseModel):
    """A sent form: about whom, why, and what the deed needs."""

    user_id: Annotated[str, Field(min_length=1, **LIMITS)]
    reason: FieldText = ""
    username: FieldText = ""
    erase: bool = False


SentDecision = Annotated[DecisionForm, Form()]


@router.api_route(LIST_PATH, methods=["GET", "HEAD"])
async def find(request: Request, caller: InSession, stores: OpenStores, q: SearchText = "") -> Response:
    """Users whose name or id starts with a text."""
    found, typed = FoundUsers(users=[], more=False), q
    for typed in as_typed(q):
        found = await stores.user_facts.find(typed, FOUND_MAX)
        if found.users:
            break
    return admin_page(request, caller, "admin_users.html", typed=typed, found=found)


@router.api_route(RECORD_PATH, methods=["GET", "HEAD"])
async def show(
    request: Request,
    caller: InSession,
    stores: OpenStores,
    user_id: AskedUserId,
    before: Annotated[PublishedQuery, Query()],
) -> Response:
    """What the facts say of a user, with buttons."""
    record = await stores.user_facts.record(user_id, before.place)
    return _page(request, caller, record, before=before)


@router.api_route(LIST_PATH + "/remove", methods=["GET", "HEAD"])
@router.api_route(LIST_PATH + "/unlist", methods=["GET", "HEAD"])
@router.api_route(LIST_PATH + "/list", methods=["GET", "HEAD"])
async def reload(caller: InSession) -> Response:  # noqa: ARG001 - only for admins
    """Leads back from the address of a refused decision that is reloaded."""
    return RedirectResponse(LIST_PATH, 303)


@router.post(LIST_PATH + "/remove")
async def remove(request: Request, caller: InSession, stores: OpenStores, sent: SentDecision) -> Response:
    """Publishes that a user is removed, then shows the record."""
    return await _decide(request, caller, stores, sent, "remove")


@router.post(LIST_PATH + "/unlist")
async def unlist(request: Request, caller: InSession, stores: OpenStores, sent: SentDecision) -> Response:
    """Publishes that a user is on no leaderboard, then shows the record."""
    return await _decide(request, caller, stores, sent, "unlist")


@router.post(LIST_PATH + "/list")
async def list_again(request: Request, caller: InSession, stores: OpenStores, sent: SentDecision) -> Response:
    """Publishes that a user is on leaderboards, then shows the record."""
    return await _decide(request, caller, stores, sent, "list")


async def _decide(request: Request, caller: Caller, stores: Stores, sent: DecisionForm, deed: Deed) -> Response:
    await stores.limits.spend(LimitKind.COSTLY, caller.name)
    try:
        published = await _publish(stores, caller.actor, sent, deed)
    except (ReasonMissing, NameMissing, UserIsRemoved) as error:
        record = await stores.user_facts.record(sent.user_id)
        return _page(request, caller, record, problem=problem_of(error), sent=sent, refused=deed)
    place = {"partition": published.partition, "offset": published.offset}
    return RedirectResponse(path_with(RECORD_PATH, id=sent.user_id, deed=deed, **place), 303)


async def _publish(stores: Stores, actor: Actor, sent: DecisionForm, deed: Deed) -> Published:
    facts = stores.user_facts
    if deed == "remove":
        return await facts.remove(actor, sent.user_id, sent.reason, erase=sent.erase)
    if deed == "unlist":
        return await facts.unlist(actor, sent.user_id, sent.reason)
    return await facts.list_again(actor, sent.user_id, sent.reason, sent.username.strip() or None)


def _page(request: Request, caller: Caller, record: UserRecord, **shown: Any) -> Response:
    """The record, with what was published before, or with why a decision was refused and what had been entered."""
    values = {"before": PublishedQuery(), "sent": None, "refused": None, **shown}
    waits = record.applied is False
    return admin_page(
        request,
        caller,
        "admin_user.html",
        user=record,
        parked_max=PARKED_MAX,
        waits=waits,
        stands=_stands(record, values["before"].deed),
        poll_ms=POLL_MS if waits else None,
        **values,
    )


def _stands(record: UserRecord, deed: Deed | None) -> bool:
    """Whether the record is what the deed asked for; another fact may be later."""
    wanted = {"remove": record.removed, "unlist": not record.listed, "list": record.listed and not record.removed}
    return deed is None or wanted[deed]
