"""The login page: a form, a cookie, and a way back that stays on this site."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from solve_api.errors import LoginRefused, PasswordsBusy, TooManyRequests
from solve_api.http.csrf import refuse_other_sites
from solve_api.http.paths import asked_address
from solve_api.http.problems import problem_of
from solve_api.identity.bodies import PASSWORD_MAX_CHARS
from solve_api.identity.login import log_in, log_out
from solve_api.pages.formats import path_with
from solve_api.pages.rendering import admin_page
from solve_api.routes.callers import InSession, OpenStores, caller_of, delete_cookie, set_cookie, visitor_of

LOGIN_PATH, PANEL_PATH = "/admin/login", "/admin"
# a path of the panel, and nothing that a browser could take for another site
LOCAL_PATH = re.compile(r"/admin(?:[/?][!#-\[\]-~]*)?")

router = APIRouter(include_in_schema=False)
Next = Annotated[str, Query(alias="next", max_length=2_000)]


def local_path(text: str) -> str:
    """A page of the panel to continue at, or the panel itself if the text is not one."""
    if (
        LOCAL_PATH.fullmatch(text)
        and "//" not in text.partition("?")[0]
        and not text.startswith((LOGIN_PATH, "/admin/logout"))
    ):
        return text
    return PANEL_PATH


def login_required(request: Request) -> Response:
    """Leads to the form, and from there back; the form says if a session has ended."""
    back = local_path(asked_address(request)) if request.method in {"GET", "HEAD"} else PANEL_PATH
    ended = "1" if visitor_of(request).session_id else None
    target = path_with(LOGIN_PATH, next=None if back == PANEL_PATH else back, ended=ended)
    return RedirectResponse(target, 303, {"Cache-Control": "no-store"})


@router.api_route(LOGIN_PATH, methods=["GET", "HEAD"])
async def form(request: Request, next_path: Next = PANEL_PATH, ended: str = "", left: str = "") -> Response:
    """The form, or a redirect for who is logged in."""
    if await caller_of(request):
        return RedirectResponse(local_path(next_path), 303)
    return _page(request, local_path(next_path), ended=ended, left=left)


@router.post(LOGIN_PATH)
async def login(
    request: Request,
    stores: OpenStores,
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=PASSWORD_MAX_CHARS)] = "",
    next_path: Annotated[str, Form(alias="next", max_length=2_000)] = PANEL_PATH,
) -> Response:
    """Opens a session, or shows the form again with the reason."""
    refuse_other_sites(request)  # otherwise another site could log its visitors in under a name it knows
    target = local_path(next_path)
    try:
        session_id = await log_in(stores.identity, visitor_of(request), name, password)
    except (LoginRefused, PasswordsBusy, TooManyRequests) as error:
        return _page(request, target, name=name, problem=problem_of(error))
    response = RedirectResponse(target, 303)
    set_cookie(response, request, session_id)
    return response


@router.post("/admin/logout")
async def logout(request: Request, caller: InSession, stores: OpenStores) -> Response:
    """Ends this session."""
    await log_out(stores.identity, caller)
    response = RedirectResponse(path_with(LOGIN_PATH, left="1"), 303)
    delete_cookie(response, request)
    return response


def _page(request: Request, next_path: str, **shown: Any) -> Response:
    """The form: where it leads, and if any, the typed name and why it appears."""
    values = {"name": "", "ended": "", "left": "", **shown}
    return admin_page(request, None, "login.html", next_path=next_path, **values)
