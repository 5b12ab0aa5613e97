"""The account page: an admin's sessions, and a form for a new password."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from solve_api import errors
from solve_api.http.problems import problem_of
from solve_api.identity import own_account
from solve_api.identity.actors import Caller
from solve_api.identity.bodies import PASSWORD_MAX_CHARS
from solve_api.identity.passwords import MAX_CHARS, MIN_CHARS
from solve_api.identity.sessions import SessionId
from solve_api.pages.formats import path_with
from solve_api.pages.login import LOGIN_PATH
from solve_api.pages.rendering import admin_page
from solve_api.routes.callers import InSession, OpenStores, delete_cookie, set_cookie
from solve_api.stores import Stores
from solve_runtime.http.problem import Problem

ACCOUNT_PATH = "/admin/account"
NOTHING_SELECTED = Problem(422, "selector-unclear", "Nothing selected", "Select at least one browser.")
# shown above the form rather than on an error page
REFUSALS: tuple[type[errors.ApiError], ...] = (
    errors.LoginRefused,
    errors.PasswordNotConfirmed,
    errors.PasswordRefused,
    errors.PasswordsBusy,
    errors.TooManyRequests,
)

router = APIRouter(include_in_schema=False)
Ids = Annotated[list[SessionId], Form(max_length=1_000)]
Count = Annotated[int | None, Query(ge=0, le=1_000)]
Password = Annotated[str, Form(max_length=PASSWORD_MAX_CHARS)]


@router.api_route(ACCOUNT_PATH, methods=["GET", "HEAD"])
async def account(
    request: Request, caller: InSession, stores: OpenStores, changed: str = "", ended: Count = None
) -> Response:
    """The admin's sessions, and the forms."""
    return await _page(request, caller, stores, changed=changed, ended=ended)


@router.api_route(ACCOUNT_PATH + "/sessions/end", methods=["GET", "HEAD"])
@router.api_route(ACCOUNT_PATH + "/logout-everywhere", methods=["GET", "HEAD"])
@router.api_route(ACCOUNT_PATH + "/password", methods=["GET", "HEAD"])
async def reload(caller: InSession) -> Response:  # noqa: ARG001 - only for admins
    """Leads back from the address of a refused form that is reloaded."""
    return RedirectResponse(ACCOUNT_PATH, 303)


@router.post(ACCOUNT_PATH + "/sessions/end")
async def end_sessions(
    request: Request,
    caller: InSession,
    stores: OpenStores,
    ids: Ids = [],  # noqa: B006 - FastAPI copies it
    password: Password = "",
) -> Response:
    """Logs out the selected browsers."""
    if not ids:
        return await _page(request, caller, stores, problem=NOTHING_SELECTED, form="sessions")
    try:
        number = await own_account.end_sessions(stores.identity, caller, ids, password)
    except REFUSALS as error:
        return await _page(request, caller, stores, problem=problem_of(error), form="sessions", selected=ids)
    return RedirectResponse(path_with(ACCOUNT_PATH, ended=number), 303)


@router.post(ACCOUNT_PATH + "/logout-everywhere")
async def logout_everywhere(
    request: Request, caller: InSession, stores: OpenStores, password: Password = ""
) -> Response:
    """Logs out every browser, this one included."""
    try:
        await own_account.end_all_sessions(stores.identity, caller, password)
    except REFUSALS as error:
        return await _page(request, caller, stores, problem=problem_of(error), form="sessions")
    response = RedirectResponse(path_with(LOGIN_PATH, left="1"), 303)
    delete_cookie(response, request)
    return response


@router.post(ACCOUNT_PATH + "/password")
async def change_password(
    request: Request,
    caller: InSession,
    stores: OpenStores,
    password: Password = "",
    new_password: Password = "",
    confirmation: Password = "",
) -> Response:
    """Changes the password, or shows the form again with the reason."""
    try:
        if new_password != confirmation:
            raise errors.PasswordRefused("the two new passwords are not the same; enter them again")
        session_id = await own_account.change_own_password(stores.identity, caller, password, new_password)
    except REFUSALS as error:
        return await _page(request, caller, stores, problem=problem_of(error), form="password")
    response = RedirectResponse(path_with(ACCOUNT_PATH, changed="1"), 303)
    set_cookie(response, request, session_id)
    return response


async def _page(request: Request, caller: Caller, stores: Stores, **shown: Any) -> Response:
    """The page, with a success, or with why a form ("sessions" or "password") was refused."""
    return admin_page(
        request,
        caller,
        "account.html",
        sessions=await own_account.own_sessions(stores.identity, caller),
        chars_min=MIN_CHARS,
        chars_max=MAX_CHARS,
        **{"changed": "", "ended": None, "form": "", "selected": (), **shown},
    )
