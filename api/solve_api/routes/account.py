"""How do admins look after their own account over HTTP? Their sessions, one by one or all, and their password."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from solve_api.http.problems import problems
from solve_api.http.public import public
from solve_api.identity import own_account, sessions
from solve_api.identity.authentication import Caller, delete_cookie, now, raw_session, require_session, set_cookie
from solve_api.models.identity import (
    EndedSessions,
    EndSessionsRequest,
    LogOutEverywhereRequest,
    OwnSession,
    PasswordRequest,
    SessionList,
    SessionState,
)
from solve_api.stores import Held

# whoever has no log-in is limited too: each guess at a session asks PostgreSQL
router = APIRouter(prefix="/api/admin", tags=["sessions"], dependencies=[Depends(public)], responses=problems(429))
InBrowser = Annotated[Caller, Depends(require_session)]


@router.get("/sessions", responses=problems(401, 403, 503))
async def list_sessions(request: Request, caller: InBrowser, stores: Held) -> SessionList:
    """This admin's open sessions, the latest used first."""
    found = await sessions.sessions_of(stores.pool, stores.settings, caller.admin_id, now())
    this = sessions.id_of(raw_session(request) or "")
    return SessionList(sessions=[OwnSession.of(one, current=one.session_id == this) for one in found])


@router.post("/sessions/end", responses=problems(401, 403, 422, 503))
async def end_sessions(request: Request, caller: InBrowser, asked: EndSessionsRequest) -> EndedSessions:
    """End some of this admin's sessions; safe to repeat."""
    password = asked.password.get_secret_value()
    return EndedSessions(sessions_ended=await own_account.end_sessions(request, caller, asked.session_ids, password))


@router.post("/logout-everywhere", responses=problems(401, 403, 422, 503))
async def logout_everywhere(
    request: Request, response: Response, caller: InBrowser, asked: LogOutEverywhereRequest
) -> EndedSessions:
    """End every session of this admin, in whichever browser."""
    ended = await own_account.end_all_sessions(request, caller, asked.password.get_secret_value())
    delete_cookie(response, request)
    return EndedSessions(sessions_ended=ended)


@router.post("/password", responses=problems(401, 403, 422, 503))
async def change_password(
    request: Request, response: Response, caller: InBrowser, asked: PasswordRequest
) -> SessionState:
    """Change this admin's password: every session ends, and this browser gets a new one. Tokens stay."""
    raw = await own_account.renew_password(
        request, caller, asked.password.get_secret_value(), asked.new_password.get_secret_value()
    )
    set_cookie(response, request, raw)
    return SessionState.of_browser(caller.name, sessions.csrf_token(raw))
