"""Admin routes for logging in and out, for sessions, password and tokens, and for the activity of admins."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from solve_api.http.csrf import refuse_other_sites
from solve_api.identity import audit, bodies, own_account, sessions, tokens
from solve_api.identity.login import log_in, log_out
from solve_api.identity.tokens import NewToken, Scope, TokenState
from solve_api.routes.callers import (
    InSession,
    LoggedIn,
    MayRead,
    OpenStores,
    delete_cookie,
    set_cookie,
    visitor_of,
)
from solve_projector.store.dead_letters import GREATEST_ID
from solve_runtime.http.problem import problems

router = APIRouter(prefix="/api/admin", tags=["sessions"], responses=problems(429))
RowId = Annotated[int, Path(ge=1, le=GREATEST_ID)]


@router.post("/login", responses=problems(401, 403, 422, 429, 503))
async def login(
    request: Request, response: Response, stores: OpenStores, asked: bodies.LogInRequest
) -> bodies.SessionState:
    """Log in. The id of the session is only in the cookie."""
    refuse_other_sites(request)  # otherwise another site could log its visitors in under a name it knows
    session_id = await log_in(stores.identity, visitor_of(request), asked.name, asked.password.get_secret_value())
    set_cookie(response, request, session_id)
    return bodies.SessionState.of_browser(asked.name.strip().lower(), sessions.csrf_token(session_id))


@router.post("/logout", status_code=204, responses=problems(401, 403, 503))
async def logout(request: Request, response: Response, caller: InSession, stores: OpenStores) -> None:
    """Log out of this session."""
    await log_out(stores.identity, caller)
    delete_cookie(response, request)


@router.get("/session", responses=problems(401, 503))
async def session(caller: LoggedIn) -> bodies.SessionState:
    """Get who is logged in, and the CSRF token of this session."""
    scopes = [scope for scope in Scope if scope in caller.scopes]
    return bodies.SessionState(name=caller.name, via=caller.via, scopes=scopes, csrf_token=caller.csrf_token)


@router.get("/sessions", responses=problems(401, 403, 503))
async def list_sessions(caller: InSession, stores: OpenStores) -> bodies.SessionList:
    """List your open sessions, most recently used first."""
    return bodies.SessionList(sessions=await own_account.own_sessions(stores.identity, caller))


@router.post("/sessions/end", responses=problems(401, 403, 422, 503))
async def end_sessions(caller: InSession, stores: OpenStores, asked: bodies.EndSessionsRequest) -> bodies.EndedSessions:
    """End some of your sessions; safe to repeat."""
    password = asked.password.get_secret_value()
    ended = await own_account.end_sessions(stores.identity, caller, asked.session_ids, password)
    return bodies.EndedSessions(sessions_ended=ended)


@router.post("/logout-everywhere", responses=problems(401, 403, 422, 503))
async def logout_everywhere(
    request: Request, response: Response, caller: InSession, stores: OpenStores, asked: bodies.LogOutEverywhereRequest
) -> bodies.EndedSessions:
    """End all of your sessions, in every browser."""
    ended = await own_account.end_all_sessions(stores.identity, caller, asked.password.get_secret_value())
    delete_cookie(response, request)
    return bodies.EndedSessions(sessions_ended=ended)


@router.post("/password", responses=problems(401, 403, 422, 503))
async def change_password(
    request: Request, response: Response, caller: InSession, stores: OpenStores, asked: bodies.PasswordRequest
) -> bodies.SessionState:
    """Change your password. All sessions end, and this browser gets a new one; tokens stay valid."""
    old, new = asked.password.get_secret_value(), asked.new_password.get_secret_value()
    session_id = await own_account.change_own_password(stores.identity, caller, old, new)
    set_cookie(response, request, session_id)
    return bodies.SessionState.of_browser(caller.name, sessions.csrf_token(session_id))


@router.get("/tokens", responses=problems(401, 403, 503))
async def list_tokens(caller: InSession, stores: OpenStores) -> bodies.TokenList:
    """List your tokens."""
    return bodies.TokenList(tokens=await tokens.tokens(stores.pool, caller.admin_id))


@router.post("/tokens", status_code=201, responses=problems(401, 403, 422, 429, 503))
async def create_token(caller: InSession, stores: OpenStores, asked: bodies.TokenRequest) -> bodies.CreatedToken:
    """Create a token for a script. Only this answer shows it."""
    wanted = NewToken(asked.label, frozenset(asked.scopes), asked.days)
    password = asked.password.get_secret_value()
    secret, token = await own_account.create_own_token(stores.identity, caller, wanted, password)
    return bodies.CreatedToken(**token.model_dump(), token=secret)


@router.delete("/tokens/{token_id:int}", responses=problems(401, 403, 404, 422, 503))
async def revoke_token(caller: InSession, stores: OpenStores, token_id: RowId) -> TokenState:
    """Revoke one of your tokens; safe to repeat."""
    return await own_account.revoke_own_token(stores.identity, caller, token_id)


@router.get("/activity", responses=problems(401, 403, 422, 503))
async def list_activity(
    _: MayRead,
    stores: OpenStores,
    limit: Annotated[int, Query(ge=1, le=audit.ROWS_MAX)] = 100,
    before_id: Annotated[int | None, Query(ge=1, le=GREATEST_ID)] = None,
) -> bodies.ActivityList:
    """List who did what, with which result, newest first."""
    rows = await audit.latest(stores.pool, limit, before_id)
    last = rows[-1].audit_id if len(rows) == limit else None
    # a query of its own, since one row more than the largest limit is never returned
    older = last is not None and await audit.latest(stores.pool, 1, last)
    return bodies.ActivityList(activities=rows, before_id=last if older else None)
