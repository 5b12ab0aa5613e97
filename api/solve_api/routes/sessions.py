"""How do admins log in and out over HTTP, make tokens, and see who did what?"""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from solve_api.http.csrf import refuse_other_sites
from solve_api.http.problems import problems
from solve_api.http.public import public
from solve_api.identity import audit, own_tokens, sessions, tokens
from solve_api.identity.authentication import Caller, delete_cookie, require, require_session, set_cookie
from solve_api.identity.login import confirm, log_in, log_out
from solve_api.identity.tokens import NewToken, Scope
from solve_api.models.identity import (
    AuditEntry,
    AuditList,
    CreatedToken,
    LogInRequest,
    SessionState,
    TokenList,
    TokenRequest,
    TokenState,
)
from solve_api.stores import Held
from solve_projector.store.dead_letters import GREATEST_ID

# whoever has no log-in is limited too: each guess at a token asks PostgreSQL
router = APIRouter(prefix="/api/admin", tags=["sessions"], dependencies=[Depends(public)], responses=problems(429))
LoggedIn = Annotated[Caller, Depends(require())]
InBrowser = Annotated[Caller, Depends(require_session)]
MayRead = Annotated[Caller, Depends(require(Scope.READ))]
RowId = Annotated[int, Path(ge=1, le=GREATEST_ID)]


@router.post("/login", responses=problems(401, 403, 422, 429, 503))
async def login(request: Request, response: Response, asked: LogInRequest) -> SessionState:
    """Open a session; its id is in the cookie alone."""
    refuse_other_sites(request)  # else another site could log its visitors in as somebody it knows
    raw = await log_in(request, asked.name, asked.password.get_secret_value())
    set_cookie(response, request, raw)
    return SessionState.of_browser(asked.name.strip().lower(), sessions.csrf_token(raw))


@router.post("/logout", status_code=204, responses=problems(401, 403, 503))
async def logout(request: Request, response: Response, caller: InBrowser) -> None:
    """End this session."""
    await log_out(request, caller)
    delete_cookie(response, request)


@router.get("/session", responses=problems(401, 503))
async def session(caller: LoggedIn) -> SessionState:
    """Who is logged in, and the CSRF token of this session."""
    scopes = [scope for scope in Scope if scope in caller.scopes]
    return SessionState(name=caller.name, via=caller.via, scopes=scopes, csrf_token=caller.csrf_token)


@router.get("/tokens", responses=problems(401, 403, 503))
async def list_tokens(caller: InBrowser, stores: Held) -> TokenList:
    """This admin's tokens."""
    return TokenList(tokens=[TokenState.of(one) for one in await tokens.tokens(stores.pool, caller.admin_id)])


@router.post("/tokens", status_code=201, responses=problems(401, 403, 422, 429, 503))
async def create_token(request: Request, caller: InBrowser, asked: TokenRequest) -> CreatedToken:
    """Make a token for a script; this answer is the only one that shows it."""
    await confirm(request, caller, asked.password.get_secret_value())
    wanted = NewToken(asked.label, frozenset(asked.scopes), asked.days)
    raw, made = await own_tokens.make(request, caller, wanted)
    return CreatedToken(**TokenState.of(made).model_dump(), token=raw)


@router.delete("/tokens/{token_id:int}", responses=problems(401, 403, 404, 422, 503))
async def revoke_token(request: Request, caller: InBrowser, token_id: RowId) -> TokenState:
    """End one of this admin's tokens; safe to repeat."""
    return TokenState.of(await own_tokens.revoke(request, caller, token_id))


@router.get("/audit", responses=problems(401, 403, 422, 503))
async def list_audit(
    _: MayRead,
    stores: Held,
    limit: Annotated[int, Query(ge=1, le=audit.MOST)] = 100,
    before_id: Annotated[int | None, Query(ge=1, le=GREATEST_ID)] = None,
) -> AuditList:
    """Who did what, and what came of it."""
    found = await audit.latest(stores.pool, limit, before_id)
    last = found[-1].audit_id if len(found) == limit else None
    # asked by itself, since one more than the greatest limit is never given
    older = last is not None and await audit.latest(stores.pool, 1, last)
    return AuditList(entries=[AuditEntry.of(one) for one in found], before_id=last if older else None)
