"""What does an admin see of their own account? The browsers that are logged in, and the form of a new password."""

from collections.abc import Collection
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from solve_api.errors import PasswordRefused, PasswordsBusy
from solve_api.http.problems import Problem, problem_of
from solve_api.http.public import public
from solve_api.identity import own_account, sessions
from solve_api.identity.authentication import Caller, delete_cookie, now, raw_session, require_session, set_cookie
from solve_api.identity.passwords import MAX_CHARS, MIN_CHARS
from solve_api.models.identity import PASSWORD_MAX_CHARS, SessionId
from solve_api.pages.formats import path_with
from solve_api.pages.login import LOGIN_PATH
from solve_api.pages.rendering import admin_page
from solve_api.stores import stores_of

ACCOUNT_PATH = "/admin/account"
NOTHING_CHOSEN = Problem(422, "selector-unclear", "Nothing was chosen", "Tick at least one browser.")

# whoever has no log-in is limited too: each guess at a session asks PostgreSQL
router = APIRouter(include_in_schema=False, dependencies=[Depends(public)])
Admin = Annotated[Caller, Depends(require_session)]
Ids = Annotated[list[SessionId], Form(max_length=1_000)]
Count = Annotated[int | None, Query(ge=0, le=1_000)]
Typed = Annotated[str, Form(max_length=PASSWORD_MAX_CHARS)]


@router.api_route(ACCOUNT_PATH, methods=["GET", "HEAD"])
async def account(request: Request, caller: Admin, changed: str = "", ended: Count = None) -> Response:
    """Where this admin is logged in, and the forms."""
    return await _page(request, caller, changed=bool(changed), ended=ended)


@router.api_route(ACCOUNT_PATH + "/sessions/end", methods=["GET", "HEAD"])
@router.api_route(ACCOUNT_PATH + "/logout-everywhere", methods=["GET", "HEAD"])
@router.api_route(ACCOUNT_PATH + "/password", methods=["GET", "HEAD"])
async def asked_again(caller: Admin) -> Response:  # noqa: ARG001 - it must be one
    """The address of a form that was refused, loaded once more."""
    return RedirectResponse(ACCOUNT_PATH, 303)


@router.post(ACCOUNT_PATH + "/sessions/end")
async def end_sessions(request: Request, caller: Admin, ids: Ids = [], password: Typed = "") -> Response:  # noqa: B006 - FastAPI copies it
    """Logs out the browsers that were ticked."""
    if not ids:
        return await _page(request, caller, NOTHING_CHOSEN, chosen=ids)
    try:
        number = await own_account.end_sessions(request, caller, ids, password)
    except (Problem, PasswordsBusy) as error:
        return await _page(request, caller, problem_of(error), chosen=ids)
    return RedirectResponse(path_with(ACCOUNT_PATH, ended=number), 303)


@router.post(ACCOUNT_PATH + "/logout-everywhere")
async def logout_everywhere(request: Request, caller: Admin, password: Typed = "") -> Response:
    """Logs every browser out, this one too."""
    try:
        await own_account.end_all_sessions(request, caller, password)
    except (Problem, PasswordsBusy) as error:
        return await _page(request, caller, problem_of(error), chosen=())
    response = RedirectResponse(path_with(LOGIN_PATH, left="1"), 303)
    delete_cookie(response, request)
    return response


@router.post(ACCOUNT_PATH + "/password")
async def change_password(
    request: Request, caller: Admin, password: Typed = "", new_password: Typed = "", once_more: Typed = ""
) -> Response:
    """Changes it, or shows the form once more and says why not."""
    if new_password != once_more:
        differ = PasswordRefused("the two new passwords are not the same; type them again")
        return await _page(request, caller, problem_of(differ))
    try:
        raw = await own_account.renew_password(request, caller, password, new_password)
    except (Problem, PasswordRefused, PasswordsBusy) as error:
        return await _page(request, caller, problem_of(error))
    response = RedirectResponse(path_with(ACCOUNT_PATH, changed="1"), 303)
    set_cookie(response, request, raw)
    return response


async def _page(
    request: Request,
    caller: Caller,
    problem: Problem | None = None,
    *,
    changed: bool = False,
    ended: int | None = None,
    chosen: Collection[str] | None = None,
) -> Response:
    """`chosen` are the ticks of the form of sessions, where that is the one that was refused."""
    stores = stores_of(request)
    response = admin_page(
        request,
        caller,
        "account.html",
        status=problem.status if problem else 200,
        problem=problem,
        refused=problem and ("password" if chosen is None else "sessions"),
        changed=changed,
        ended=ended,
        chosen=chosen or (),
        sessions=await sessions.sessions_of(stores.pool, stores.settings, caller.admin_id, now()),
        this=sessions.id_of(raw_session(request) or ""),
        least=MIN_CHARS,
        most=MAX_CHARS,
    )
    response.headers.update(problem.headers if problem else {})
    return response
