"""Turns a request into plain values: the open stores, where it comes from, and who sent it, by cookie or by token.

Nothing deeper than routes and pages sees a request of the web framework.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from asgi_correlation_id import correlation_id
from fastapi import Depends, Request, Response, Security
from fastapi.security import APIKeyCookie, HTTPBearer

from solve_api.http.csrf import SAFE_METHODS, forged, refuse_other_sites, sent_token
from solve_api.http.paths import is_tls
from solve_api.identity import sessions
from solve_api.identity.actors import SESSION, Caller, Visitor
from solve_api.identity.sessions import now
from solve_api.identity.tokens import Scope, bearer_of
from solve_api.stores import Stores
from solve_runtime.http.networks import network_of
from solve_runtime.http.problem import Problem

COOKIE = "solve_session"
# Browsers accept this name only over TLS, for the whole host and from no other: a sister domain cannot plant a session.
TLS_COOKIE = "__Host-solve_session"
ALL_SCOPES = frozenset(Scope)
REFRESH_HEADER = "X-Refresh"  # sent by a page that refreshes itself

# These two read nothing: they describe logins in the OpenAPI document.
CookieScheme = Annotated[
    object,
    Security(
        APIKeyCookie(
            name=TLS_COOKIE,
            scheme_name="session",
            auto_error=False,
            description=f"Set by POST /api/admin/login; named {COOKIE} without TLS. Changes also need X-CSRF-Token.",
        )
    ),
]
TokenScheme = Annotated[
    object,
    Security(HTTPBearer(scheme_name="token", auto_error=False, description="Made by `solve-api admin token`.")),
]


def stores_of(request: Request) -> Stores:
    """The open stores of this process."""
    stores: Stores = request.app.state.stores
    return stores


async def _stores(request: Request) -> Stores:
    """Async, like every dependency here: FastAPI runs others in a thread, and waits for it."""
    return stores_of(request)


OpenStores = Annotated[Stores, Depends(_stores)]


def visitor_of(request: Request) -> Visitor:
    """Where a request comes from, as a trusted proxy reports it."""
    return Visitor(
        client=_client_of(request),
        request_id=correlation_id.get() or "",
        session_id=request.cookies.get(_cookie_name(request), ""),
        user_agent=request.headers.get("user-agent", ""),
    )


def address_of(request: Request) -> str:
    """The address that a request is counted under: all of one customer's IPv6 addresses are one."""
    return network_of(_client_of(request))


def _client_of(request: Request) -> str:
    return request.client.host if request.client else "unknown"


async def caller_of(request: Request) -> Caller | None:
    """Who sent a request, looked up once; None if nobody is logged in. Raises asyncpg's errors.

    A bearer token precedes a cookie, even if it is not valid: a script must not act as somebody's browser.
    """
    if not hasattr(request.state, "caller"):
        request.state.caller = await _look_up(request)
    caller: Caller | None = request.state.caller
    return caller


def require(scope: Scope | None = None) -> Callable[..., Awaitable[Caller]]:
    """A dependency that returns the caller; without a scope, anybody who is logged in.

    Raises Problem 401 (login-required) and 403 (scope-missing, csrf).
    """

    async def dependency(request: Request, _cookie: CookieScheme, _token: TokenScheme) -> Caller:
        caller = await _required(request)
        if scope and scope not in caller.scopes:
            raise Problem(
                403,
                "scope-missing",
                "The token lacks a scope",
                f"This needs the scope {scope}, which this token lacks; create another token with that scope.",
            )
        return caller

    return dependency


async def require_session(request: Request, _cookie: CookieScheme) -> Caller:
    """A dependency for what no script may do. Raises Problem 401, and 403 (session-required, csrf)."""
    caller = await _required(request)
    if caller.csrf_token is None:
        raise Problem(
            403,
            "session-required",
            "Tokens cannot be used here",
            "This needs a login with a password; log in and try again.",
        )
    return caller


LoggedIn = Annotated[Caller, Depends(require())]
InSession = Annotated[Caller, Depends(require_session)]
MayRead = Annotated[Caller, Depends(require(Scope.READ))]


def set_cookie(response: Response, request: Request, session_id: str) -> None:
    """Stores a session in the browser until it closes, or until the session ends on the server.

    Lax, not Strict: with Strict, a link to /admin in an email would find nobody logged in. Requests of other sites that
    change something are sent without the cookie anyway, and would fail for lack of the CSRF token.
    """
    secure = is_tls(request)
    response.set_cookie(_cookie_name(request), session_id, path="/", secure=secure, httponly=True, samesite="lax")


def delete_cookie(response: Response, request: Request) -> None:
    """Removes the session from the browser."""
    secure = is_tls(request)
    response.delete_cookie(_cookie_name(request), path="/", secure=secure, httponly=True, samesite="lax")


async def _required(request: Request) -> Caller:
    caller = await caller_of(request)
    if caller is None:
        raise Problem(
            401,
            "login-required",
            "Login required",
            "Log in at /admin, or send a valid token as Authorization: Bearer.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if caller.csrf_token is not None and request.method not in SAFE_METHODS:
        await _refuse_forged(request, caller)
    return caller


async def _refuse_forged(request: Request, caller: Caller) -> None:
    refuse_other_sites(request)
    if not sessions.is_csrf_token(caller.visitor.session_id, await sent_token(request)):
        raise forged(
            "The CSRF token of this session is missing; reload the page, or send the token of GET /api/admin/session "
            "in the header X-CSRF-Token."
        )


async def _look_up(request: Request) -> Caller | None:
    stores, visitor = stores_of(request), visitor_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        bearer = await bearer_of(stores.pool, token.strip(), now())
        if bearer is None:
            return None
        actor = visitor.acting_as(bearer.name, f"token:{bearer.label}")
        return Caller(bearer.admin_id, actor, bearer.scopes, visitor, token_id=bearer.token_id)
    if not visitor.session_id:
        return None
    used = REFRESH_HEADER not in request.headers
    session = await sessions.session_of(stores.pool, stores.settings, visitor.session_id, now(), used=used)
    if session is None:
        return None
    csrf_token = sessions.csrf_token(visitor.session_id)
    return Caller(session.admin_id, visitor.acting_as(session.name, SESSION), ALL_SCOPES, visitor, csrf_token)


def _cookie_name(request: Request) -> str:
    return TLS_COOKIE if is_tls(request) else COOKIE
