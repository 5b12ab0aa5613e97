"""What do admins do about records that were not applied? See them, read them again, or give them up with a reason."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import Field

from api import letters
from api.admin_models import DiscardRequest, RetryRequest
from api.authentication import Caller, require_session
from api.pages.formats import path_with
from api.pages.rendering import admin_page
from api.parameters import PLAIN
from api.problems import Problem
from api.public import public
from api.stores import Held
from projector import dead_letters
from projector.dead_letters import GREATEST_ID, Selection
from schemas.events import TEXT_MAX_CHARS
from schemas.record import Reason

LIST_PATH = "/admin/dead-letters"
SHOWN = 100

# whoever has no log-in is limited too: each guess at a session asks PostgreSQL
router = APIRouter(include_in_schema=False, dependencies=[Depends(public)])
Admin = Annotated[Caller, Depends(require_session)]
Ids = Annotated[list[Annotated[int, Field(ge=1, le=GREATEST_ID)]], Form(max_length=1_000)]
Typed = Annotated[str, Query(max_length=TEXT_MAX_CHARS, pattern=PLAIN)]
Count = Annotated[int | None, Query(ge=0, le=GREATEST_ID)]


@router.api_route(LIST_PATH, methods=["GET", "HEAD"])
async def show_all(
    request: Request,
    caller: Admin,
    stores: Held,
    reason: Typed = "",
    user_id: Typed = "",
    with_discarded: bool = False,
    applied: Count = None,
    parked: Count = None,
    still_dead: Count = None,
    discarded: Count = None,
    after_id: Annotated[int, Query(ge=0, le=GREATEST_ID)] = 0,
) -> Response:
    """The oldest first, and what became of those that were just dealt with."""
    chosen = Selection(None, reason or None, user_id or None, None, None, with_discarded)
    async with stores.pool.acquire() as connection:
        found, more = await dead_letters.summaries(connection, chosen, SHOWN, after_id)
    asked = {"reason": reason, "user_id": user_id, "with_discarded": "true" if with_discarded else ""}
    return admin_page(
        request,
        caller,
        "letters.html",
        letters=found,
        newer=path_with(LIST_PATH, **asked, after_id=found[-1]["id"]) if more else None,
        oldest=path_with(LIST_PATH, **asked) if after_id else None,
        reasons=[one.value for one in Reason],
        reason=reason,
        user_id=user_id,
        with_discarded=with_discarded,
        retried=None if applied is None else (applied, parked or 0, still_dead or 0),
        discarded=discarded,
    )


@router.api_route(LIST_PATH + "/{dead_letter_id:int}", methods=["GET", "HEAD"])
async def show(
    request: Request, caller: Admin, stores: Held, dead_letter_id: Annotated[int, Path(ge=1, le=GREATEST_ID)]
) -> Response:
    """One of them whole."""
    async with stores.pool.acquire() as connection:
        found = letters.whole(await dead_letters.letter(connection, dead_letter_id))
    return admin_page(request, caller, "letter.html", letter=found)


@router.post(LIST_PATH + "/retry")
async def retry(request: Request, caller: Admin, ids: Ids = []) -> Response:  # noqa: B006 - FastAPI copies it
    """Reads the chosen ones again."""
    _refuse_none(ids)
    report = await letters.retry(request, caller, RetryRequest(ids=ids))
    dead = sum(report.still_dead.values())
    return RedirectResponse(path_with(LIST_PATH, applied=report.applied, parked=report.parked, still_dead=dead), 303)


@router.post(LIST_PATH + "/discard")
async def discard(
    request: Request,
    caller: Admin,
    ids: Ids = [],  # noqa: B006 - FastAPI copies it
    why: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Gives the chosen ones up."""
    _refuse_none(ids)
    if not why.strip():
        raise Problem(422, "why-missing", "A decision needs a reason", "Say why, for whoever asks later.")
    number = await letters.discard(request, caller, DiscardRequest(ids=ids, why=why))
    return RedirectResponse(path_with(LIST_PATH, discarded=number), 303)


def _refuse_none(ids: list[int]) -> None:
    if not ids:
        raise Problem(422, "selector-unclear", "Nothing was chosen", "Go back and tick at least one dead letter.")
