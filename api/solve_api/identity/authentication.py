"""Who asks, and may they? The cookie of a browser or the token of a script, for the API and for the pages alike."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Request, Response, Security
from fastapi.security import APIKeyCookie, HTTPBearer

from solve_api.http.csrf import SAFE_METHODS, forged, refuse_other_sites, said_token
from solve_api.http.problems import Problem
from solve_api.identity import sessions
from solve_api.identity.tokens import Scope, bearer_of
from solve_api.stores import stores_of

COOKIE = "solve_session"
# Browsers take this name only over TLS, for the whole host and from no other: a sister domain cannot plant a session.
TLS_COOKIE = "__Host-solve_session"
ALL_SCOPES = frozenset(Scope)
SESSION = "session"
# of what a page asks by itself
REFRESH_HEADER = "X-Refresh"

# They read nothing here: they tell the API's description how one logs in.
Cookie = Annotated[
    object,
    Security(
        APIKeyCookie(
            name=TLS_COOKIE,
            scheme_name="session",
            auto_error=False,
            description=f"Of POST /api/admin/login; without TLS it is {COOKIE}. Needs X-CSRF-Token to change things.",
        )
    ),
]
Token = Annotated[
    object,
    Security(HTTPBearer(scheme_name="token", auto_error=False, description="Of `solve-api admin token`.")),
]


@dataclass(frozen=True, slots=True)
class Caller:
    """An admin, or a script of theirs. Only a session has a CSRF token."""

    admin_id: int
    name: str
    via: str
    scopes: frozenset[Scope]
    csrf_token: str | None


def now() -> datetime:
    """This process's clock."""
    return datetime.now(UTC)


async def caller_of(request: Request) -> Caller | None:
    """Who asks; None where nobody is logged in. Looked up once a request. Raises asyncpg's errors.

    A bearer token goes before a cookie, also where it does not work: a script must not act as somebody's browser.
    """
    if not hasattr(request.state, "caller"):
        request.state.caller = await _look_up(request)
    found: Caller | None = request.state.caller
    return found


def require(scope: Scope | None = None) -> Callable[..., Awaitable[Caller]]:
    """A dependency that gives the Caller; without a scope, anybody who is logged in.

    Raises Problem 401 (log-in-needed) and 403 (scope-missing, csrf).
    """

    async def dependency(request: Request, _cookie: Cookie, _token: Token) -> Caller:
        caller = await _required(request)
        if scope and scope not in caller.scopes:
            raise Problem(
                403,
                "scope-missing",
                "The token may not do this",
                f"This needs the scope {scope}, which this token has not; make one with: solve-api admin token",
            )
        return caller

    return dependency


async def require_session(request: Request, _cookie: Cookie) -> Caller:
    """A dependency for what no script may do. Raises Problem 401, and 403 (session-needed, csrf)."""
    caller = await _required(request)
    if caller.csrf_token is None:
        raise Problem(
            403,
            "session-needed",
            "A token may not do this",
            "This needs a log-in with a password; log in and try again.",
        )
    return caller


def raw_session(request: Request) -> str | None:
    """What the cookie says, right or wrong."""
    return request.cookies.get(_cookie_name(request))


def set_cookie(response: Response, request: Request, raw: str) -> None:
    """Keeps a session in the browser until that is closed; the server ends it sooner where it must.

    Lax, not Strict: with Strict a link to /admin in a mail or a chat would find nobody logged in. Requests of other
    sites that change something go without the cookie all the same, and would fail for want of the CSRF token.
    """
    secure = _is_tls(request)
    response.set_cookie(_cookie_name(request), raw, path="/", secure=secure, httponly=True, samesite="lax")


def delete_cookie(response: Response, request: Request) -> None:
    """Makes the browser forget."""
    secure = _is_tls(request)
    response.delete_cookie(_cookie_name(request), path="/", secure=secure, httponly=True, samesite="lax")


async def _required(request: Request) -> Caller:
    caller = await caller_of(request)
    if caller is None:
        raise Problem(
            401,
            "log-in-needed",
            "Log in first",
            "Log in at /admin, or send a token that works as Authorization: Bearer.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if caller.csrf_token is not None and request.method not in SAFE_METHODS:
        await _refuse_forged(request)
    return caller


async def _refuse_forged(request: Request) -> None:
    refuse_other_sites(request)
    raw = raw_session(request) or ""
    if not sessions.is_csrf_token(raw, await said_token(request)):
        raise forged(
            "It has no CSRF token of this session; send the one of GET /api/admin/session as the header X-CSRF-Token, "
            "or load the page again."
        )


async def _look_up(request: Request) -> Caller | None:
    stores = stores_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        bearer = await bearer_of(stores.pool, token.strip(), now())
        if bearer is None:
            return None
        return Caller(bearer.admin_id, bearer.name, f"token:{bearer.label}", bearer.scopes, None)
    raw = raw_session(request)
    if not raw:
        return None
    session = await sessions.session_of(
        stores.pool, stores.settings, raw, now(), used=REFRESH_HEADER not in request.headers
    )
    if session is None:
        return None
    return Caller(session.admin_id, session.name, SESSION, ALL_SCOPES, sessions.csrf_token(raw))


def _cookie_name(request: Request) -> str:
    return TLS_COOKIE if _is_tls(request) else COOKIE


def _is_tls(request: Request) -> bool:
    return request.url.scheme == "https"
