"""What do admins do about records that were not applied? See them, read them again, or give them up with a reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import Field

from solve_api.http.parameters import PLAIN
from solve_api.http.problems import Problem
from solve_api.http.public import public
from solve_api.identity.authentication import Caller, require_session
from solve_api.models.operations import DiscardRequest, RetryRequest
from solve_api.operations import dead_letters as letters
from solve_api.pages.formats import path_with
from solve_api.pages.rendering import admin_page
from solve_api.stores import Held, stores_of
from solve_projector.store import dead_letters
from solve_projector.store.dead_letters import GREATEST_ID, Selection
from solve_schemas.events import TEXT_MAX_CHARS
from solve_schemas.record import Reason

LIST_PATH = "/admin/dead-letters"
SHOWN = 100
NOTHING_CHOSEN = Problem(
    422, "selector-unclear", "Nothing was chosen", "Nothing was chosen: tick at least one dead letter."
)
WHY_MISSING = Problem(
    422, "why-missing", "A decision needs a reason", "A decision needs a reason: say why, for whoever asks later."
)

# whoever has no log-in is limited too: each guess at a session asks PostgreSQL
router = APIRouter(include_in_schema=False, dependencies=[Depends(public)])
Admin = Annotated[Caller, Depends(require_session)]
Ids = Annotated[list[Annotated[int, Field(ge=1, le=GREATEST_ID)]], Form(max_length=1_000)]
Typed = Annotated[str, Field(max_length=TEXT_MAX_CHARS, pattern=PLAIN)]
After = Annotated[int, Field(ge=0, le=GREATEST_ID)]
Count = Annotated[int | None, Query(ge=0, le=GREATEST_ID)]


@dataclass(frozen=True, slots=True)
class Listed:
    """Which of them a list shows: from page to page, and again after a decision."""

    reason: str
    user_id: str
    with_discarded: bool
    after_id: int = 0

    def fields(self, **changes: Any) -> dict[str, Any]:
        """As links and forms carry it; nothing for what was not asked."""
        shown = "true" if self.with_discarded else ""
        asked = {
            "reason": self.reason,
            "user_id": self.user_id,
            "with_discarded": shown,
            "after_id": self.after_id or "",
        }
        return {**asked, **changes}


async def of_link(
    reason: Annotated[Typed, Query()] = "",
    user_id: Annotated[Typed, Query()] = "",
    with_discarded: Annotated[bool, Query()] = False,
    after_id: Annotated[After, Query()] = 0,
) -> Listed:
    """What a link asks for."""
    return Listed(reason, user_id, with_discarded, after_id)


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided on, why, and in which list."""

    listed: Listed
    ids: list[int]
    why: str


async def of_form(
    reason: Annotated[Typed, Form()] = "",
    user_id: Annotated[Typed, Form()] = "",
    with_discarded: Annotated[bool, Form()] = False,
    after_id: Annotated[After, Form()] = 0,
    ids: Ids = [],  # noqa: B006 - FastAPI copies it
    why: Annotated[str, Form(max_length=500)] = "",
) -> Decision:
    """What a form of the list, or of one letter, sends."""
    return Decision(Listed(reason, user_id, with_discarded, after_id), ids, why)


Decided = Annotated[Decision, Depends(of_form)]


@router.api_route(LIST_PATH, methods=["GET", "HEAD"])
async def show_all(
    request: Request,
    caller: Admin,
    listed: Annotated[Listed, Depends(of_link)],
    applied: Count = None,
    parked: Count = None,
    still_dead: Count = None,
    discarded: Count = None,
) -> Response:
    """The oldest first, and what became of those that were just dealt with."""
    retried = None if applied is None else (applied, parked or 0, still_dead or 0)
    return await _list(request, caller, listed, retried=retried, discarded=discarded)


@router.api_route(LIST_PATH + "/{dead_letter_id:int}", methods=["GET", "HEAD"])
async def show(
    request: Request, caller: Admin, stores: Held, dead_letter_id: Annotated[int, Path(ge=1, le=GREATEST_ID)]
) -> Response:
    """One of them whole."""
    async with stores.pool.acquire() as connection:
        found = letters.whole(await dead_letters.read_dead_letter(connection, dead_letter_id))
    return admin_page(request, caller, "letter.html", letter=found)


@router.api_route(LIST_PATH + "/retry", methods=["GET", "HEAD"])
@router.api_route(LIST_PATH + "/discard", methods=["GET", "HEAD"])
async def asked_again(caller: Admin) -> Response:  # noqa: ARG001 - it must be one
    """The address of a decision that was refused, loaded once more."""
    return RedirectResponse(LIST_PATH, 303)


@router.post(LIST_PATH + "/retry")
async def retry(request: Request, caller: Admin, asked: Decided) -> Response:
    """Reads the chosen ones again, and shows the list that they were chosen in."""
    if not asked.ids:
        return await _list(request, caller, asked.listed, NOTHING_CHOSEN, why=asked.why)
    report = await letters.retry(request, caller, RetryRequest(ids=asked.ids))
    dead = sum(report.still_dead.values())
    became = asked.listed.fields(applied=report.applied, parked=report.parked, still_dead=dead)
    return RedirectResponse(path_with(LIST_PATH, **became), 303)


@router.post(LIST_PATH + "/discard")
async def discard(request: Request, caller: Admin, asked: Decided) -> Response:
    """Gives the chosen ones up, and shows the list that they were chosen in."""
    if not asked.ids:
        return await _list(request, caller, asked.listed, NOTHING_CHOSEN, why=asked.why)
    if not asked.why.strip():
        return await _list(request, caller, asked.listed, WHY_MISSING, ticked=asked.ids)
    number = await letters.discard(request, caller, DiscardRequest(ids=asked.ids, why=asked.why))
    return RedirectResponse(path_with(LIST_PATH, **asked.listed.fields(discarded=number)), 303)


async def _list(
    request: Request,
    caller: Caller,
    listed: Listed,
    problem: Problem | None = None,
    *,
    ticked: Sequence[int] = (),
    why: str = "",
    retried: tuple[int, int, int] | None = None,
    discarded: int | None = None,
) -> Response:
    """Also where a decision was refused: what was ticked and typed for it is still there."""
    chosen = Selection(None, listed.reason or None, listed.user_id or None, None, None, listed.with_discarded)
    async with stores_of(request).pool.acquire() as connection:
        found, more = await dead_letters.summaries(connection, chosen, SHOWN, listed.after_id)
    return admin_page(
        request,
        caller,
        "letters.html",
        status=problem.status if problem else 200,
        problem=problem,
        letters=found,
        listed=listed,
        newer=path_with(LIST_PATH, **listed.fields(after_id=found[-1]["id"])) if more else None,
        oldest=path_with(LIST_PATH, **listed.fields(after_id="")) if listed.after_id else None,
        reasons=[one.value for one in Reason],
        ticked=ticked,
        why=why,
        retried=retried,
        discarded=discarded,
    )
