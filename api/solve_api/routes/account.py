"""Admin routes about one's own account: sessions and password."""

from fastapi import APIRouter, Depends, Request, Response

from solve_api.http.problems import problems
from solve_api.identity import own_account, sessions
from solve_api.identity.bodies import (
    EndedSessions,
    EndSessionsRequest,
    LogOutEverywhereRequest,
    OwnSession,
    PasswordRequest,
    SessionList,
    SessionState,
)
from solve_api.routes.callers import InSession, OpenStores, delete_cookie, public, set_cookie

router = APIRouter(prefix="/api/admin", tags=["sessions"], dependencies=[Depends(public)], responses=problems(429))


@router.get("/sessions", responses=problems(401, 403, 503))
async def list_sessions(caller: InSession, stores: OpenStores) -> SessionList:
    """List your open sessions, most recently used first."""
    this = sessions.id_of(caller.visitor.session_id)
    found = await own_account.own_sessions(stores.identity, caller)
    return SessionList(sessions=[OwnSession.of(one, current=one.session_id == this) for one in found])


@router.post("/sessions/end", responses=problems(401, 403, 422, 503))
async def end_sessions(caller: InSession, stores: OpenStores, asked: EndSessionsRequest) -> EndedSessions:
    """End some of your sessions; safe to repeat."""
    password = asked.password.get_secret_value()
    ended = await own_account.end_sessions(stores.identity, caller, asked.session_ids, password)
    return EndedSessions(sessions_ended=ended)


@router.post("/logout-everywhere", responses=problems(401, 403, 422, 503))
async def logout_everywhere(
    request: Request, response: Response, caller: InSession, stores: OpenStores, asked: LogOutEverywhereRequest
) -> EndedSessions:
    """End all of your sessions, in every browser."""
    ended = await own_account.end_all_sessions(stores.identity, caller, asked.password.get_secret_value())
    delete_cookie(response, request)
    return EndedSessions(sessions_ended=ended)


@router.post("/password", responses=problems(401, 403, 422, 503))
async def change_password(
    request: Request, response: Response, caller: InSession, stores: OpenStores, asked: PasswordRequest
) -> SessionState:
    """Change your password. All sessions end, and this browser gets a new one; tokens stay valid."""
    old, new = asked.password.get_secret_value(), asked.new_password.get_secret_value()
    session_id = await own_account.change_own_password(stores.identity, caller, old, new)
    set_cookie(response, request, session_id)
    return SessionState.of_browser(caller.name, sessions.csrf_token(session_id))
