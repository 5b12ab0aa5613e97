"""How does an admin get in and out by the pages? A form, a cookie, and a way back that stays on this site."""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from solve_api.errors import PasswordsBusy
from solve_api.http.csrf import refuse_other_sites
from solve_api.http.problems import Problem, problem_of
from solve_api.http.public import public
from solve_api.identity.authentication import Caller, caller_of, delete_cookie, raw_session, require_session, set_cookie
from solve_api.identity.login import log_in, log_out
from solve_api.models.identity import PASSWORD_MAX_CHARS
from solve_api.pages.formats import path_with
from solve_api.pages.rendering import admin_page

LOGIN_PATH, PANEL_PATH = "/admin/login", "/admin"
# a path of the panel and nothing that a browser could read as another site
LOCAL = re.compile(r"/admin(?:[/?][!#-\[\]-~]*)?")

# whoever has no log-in is limited too: each guess at a session asks PostgreSQL
router = APIRouter(include_in_schema=False, dependencies=[Depends(public)])
Next = Annotated[str, Query(alias="next", max_length=2_000)]


def local_path(said: str) -> str:
    """A page of the panel to go on to; the first one where it is none."""
    if (
        LOCAL.fullmatch(said)
        and "//" not in said.partition("?")[0]
        and not said.startswith((LOGIN_PATH, "/admin/logout"))
    ):
        return said
    return PANEL_PATH


def login_needed(request: Request) -> Response:
    """Leads to the form, and from there back; it says so where a session has ended."""
    asked = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
    back = local_path(asked) if request.method in {"GET", "HEAD"} else PANEL_PATH
    ended = "1" if raw_session(request) else None
    target = path_with(LOGIN_PATH, next=None if back == PANEL_PATH else back, ended=ended)
    return RedirectResponse(target, 303, {"Cache-Control": "no-store"})


@router.api_route(LOGIN_PATH, methods=["GET", "HEAD"])
async def form(request: Request, going_on: Next = PANEL_PATH, ended: str = "", left: str = "") -> Response:
    """The form; who is logged in already goes on."""
    if await caller_of(request):
        return RedirectResponse(local_path(going_on), 303)
    return _form(request, local_path(going_on), ended=bool(ended), left=bool(left))


@router.post(LOGIN_PATH)
async def login(
    request: Request,
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=PASSWORD_MAX_CHARS)] = "",
    going_on: Annotated[str, Form(alias="next", max_length=2_000)] = PANEL_PATH,
) -> Response:
    """Opens a session, or shows the form once more."""
    refuse_other_sites(request)  # else another site could log its visitors in as somebody it knows
    onward = local_path(going_on)
    try:
        raw = await log_in(request, name, password)
    except (Problem, PasswordsBusy) as error:
        problem = problem_of(error)
        if problem.status not in {401, 429, 503}:
            raise
        return _form(request, onward, problem, name)
    response = RedirectResponse(onward, 303)
    set_cookie(response, request, raw)
    return response


@router.post("/admin/logout")
async def logout(request: Request, caller: Annotated[Caller, Depends(require_session)]) -> Response:
    """Ends this session."""
    await log_out(request, caller)
    response = RedirectResponse(path_with(LOGIN_PATH, left="1"), 303)
    delete_cookie(response, request)
    return response


def _form(
    request: Request,
    going_on: str,
    problem: Problem | None = None,
    name: str = "",
    *,
    ended: bool = False,
    left: bool = False,
) -> Response:
    response = admin_page(
        request,
        None,
        "login.html",
        status=problem.status if problem else 200,
        going_on=going_on,
        problem=problem,
        name=name,
        ended=ended,
        left=left,
    )
    response.headers.update(problem.headers if problem else {})
    return response
