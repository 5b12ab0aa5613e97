"""How does an error reach who asked? As problem details (RFC 9457), with nothing of our insides in them.

A page gets the same as HTML; `api/solve_api/pages/` says how.
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from asgi_correlation_id import correlation_id
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from solve_api.errors import (
    AdminUnknown,
    JobUnknown,
    PasswordRefused,
    PasswordsBusy,
    TokenRefused,
    TokenUnknown,
    ZoneUnknown,
)
from solve_projector.errors import (
    AlreadyDecided,
    DatabaseUnavailable,
    DeadLetterUnknown,
    KafkaUnavailable,
    LeaderboardUnavailable,
    LogHeadGone,
    LogRewritten,
    NothingParked,
    OffsetOutOfRange,
    RebuildRunning,
    ReplayInterrupted,
    ReplayRunning,
    SchemaMismatch,
    SelectorUnclear,
    TopicMissing,
    TopicUnsafe,
    UserUnknown,
    WhoUnknown,
)
from solve_projector.store.postgresql import DATABASE_ERRORS, Failure, classify
from solve_runtime.errors import SolveCountsError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
COME_BACK = {"Retry-After": str(RETRY_AFTER_S)}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

log = structlog.get_logger()


class ProblemDetails(BaseModel):
    """What went wrong, for programs and for people (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:solve-counts:problem:user-unknown"], description="Which kind; stable.")
    title: str = Field(examples=["There is no such user"], description="The kind, in words.")
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no user 'u-9'."], description="This time, and what to do.")


class Problem(Exception):
    """An answer that is an error. `more` are members of its own, such as `errors`."""

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more

    @property
    def body(self) -> ProblemDetails:
        """As it is sent."""
        kind = f"urn:solve-counts:problem:{self.kind}"
        return ProblemDetails(type=kind, title=self.title, status=self.status, detail=self.detail, **self.more)

    def response(self) -> Response:
        """Problem details, never kept by a cache."""
        return Response(
            self.body.model_dump_json(),
            self.status,
            {"Cache-Control": "no-store", **self.headers},
            MEDIA_TYPE,
        )


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: its errors, and 400 and 431, which come before a request; 413 comes by itself."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }
        for status in sorted({400, 431, *statuses})
    }


def away(what: str) -> Problem:
    """A server of ours does not answer; which, and nothing more."""
    return Problem(
        503,
        f"{what.lower()}-unavailable",
        f"{what} does not answer",
        f"{what} does not answer right now. Nothing is lost; try again in {RETRY_AFTER_S} seconds.",
        headers=COME_BACK,
    )


# Errors whose message is meant for who asked: status, kind, title.
SAID: dict[type[SolveCountsError], tuple[int, str, str]] = {
    UserUnknown: (404, "user-unknown", "There is no such user"),
    DeadLetterUnknown: (404, "dead-letter-unknown", "There is no such dead letter"),
    NothingParked: (404, "nothing-parked", "Nothing is parked"),
    JobUnknown: (404, "job-unknown", "There is no such job"),
    TokenUnknown: (404, "token-unknown", "There is no such token"),
    AdminUnknown: (404, "admin-unknown", "There is no such admin"),
    AlreadyDecided: (409, "already-decided", "Somebody decided this before"),
    ReplayRunning: (409, "replay-running", "Another replay runs"),
    RebuildRunning: (409, "rebuild-running", "Another rebuild runs"),
    LogHeadGone: (409, "log-proves-nothing", "The log cannot prove the counts"),
    TopicUnsafe: (409, "log-proves-nothing", "The log cannot prove the counts"),
    TopicMissing: (409, "log-proves-nothing", "The log cannot prove the counts"),
    LogRewritten: (409, "log-proves-nothing", "The log cannot prove the counts"),
    OffsetOutOfRange: (409, "log-proves-nothing", "The log cannot prove the counts"),
    SelectorUnclear: (422, "selector-unclear", "It is not clear which are meant"),
    WhoUnknown: (422, "why-missing", "A decision needs a reason"),
    ZoneUnknown: (422, "timezone-unknown", "There is no such time zone"),
    PasswordsBusy: (503, "busy", "Too many log-ins at once"),
    PasswordRefused: (422, "password-refused", "The password will not do"),
    TokenRefused: (422, "token-refused", "The token cannot be made"),
}
# Errors that name servers and settings: the log says them, an answer does not.
UNSAID: dict[type[SolveCountsError], str] = {
    DatabaseUnavailable: "PostgreSQL",
    SchemaMismatch: "PostgreSQL",
    ReplayInterrupted: "PostgreSQL",
    KafkaUnavailable: "Kafka",
    LeaderboardUnavailable: "Redis",
}


def problem_of(error: BaseException) -> Problem:
    """The answer for an error; one that nobody foresaw is a 500 that says nothing of it."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return _invalid(error)
        case HTTPException():
            return _of_http(error)
        case asyncio.CancelledError():
            return Problem(
                503,
                "interrupted",
                "The server was stopped meanwhile",
                "The server was stopped meanwhile. Nothing half done is visible; run it again.",
                headers=COME_BACK,
            )
    return _of_ours(error)


def _of_ours(error: BaseException) -> Problem:
    for kind, (status, name, title) in SAID.items():
        if isinstance(error, kind):
            come_back = COME_BACK if status == 503 else None
            return Problem(status, name, title, _sentence(str(error)), headers=come_back)
    for kind, server in UNSAID.items():
        if isinstance(error, kind):
            return away(server)
    if isinstance(error, DATABASE_ERRORS) and classify(error) is Failure.TRANSIENT:
        return away("PostgreSQL")
    return Problem(
        500,
        "internal-error",
        "Something went wrong here",
        "The error was logged under this answer's X-Request-ID. Try again, and tell the operator if it stays.",
    )


class LastResort:
    """Answers an error that nobody foresaw. The framework's own answer to it has none of the headers of our layers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI; an answer that has begun cannot become another one."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            handle = scope["app"].state.handle_problem
            await (await handle(Request(scope), error))(scope, receive, send)


def add_problem_handlers(app: FastAPI, render: Any = None) -> None:
    """Every error of every route. `render` makes a page of a problem, or None where who asked wants none."""

    async def handle(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem.status == 405:
            problem.headers["Allow"] = ", ".join(_allowed(request))
        if problem.status == 403 or (problem.status == 401 and "authorization" in request.headers):
            _log_refusal(request, problem)
        if problem.status >= 500:
            log.error(
                "request failed",
                action="request_failed",
                method=request.method,
                path=request.url.path,
                status=problem.status,
                request_id=correlation_id.get(),
                error=f"{type(error).__name__}: {error}",
                exc_info=error if problem.status == 500 else None,
            )
        page: Response | None = render(request, problem) if render else None
        return page or problem.response()

    for kind in (Problem, RequestValidationError, HTTPException, SolveCountsError, *DATABASE_ERRORS):
        app.add_exception_handler(kind, handle)
    app.state.handle_problem = handle
    app.add_middleware(LastResort)


def _log_refusal(request: Request, problem: Problem) -> None:
    """Who tried what they may not, was made to by another site, or has a token that does not work."""
    caller = getattr(request.state, "caller", None)
    log.warning(
        "request refused",
        action="request_refused",
        kind=problem.kind,
        method=request.method,
        path=request.url.path,
        who=caller.name if caller else "",
        via=caller.via if caller else "",
        client=request.client.host if request.client else "",
    )


def _allowed(request: Request) -> list[str]:
    """Every method that the path takes (RFC 9110, 10.2.1); the router tells those of one route alone."""

    def takes(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)

    return [method for method in METHODS if takes(method)]


def _invalid(error: RequestValidationError) -> Problem:
    found = [
        {"where": ".".join(str(part) for part in one["loc"]), "what": str(one["msg"])} for one in error.errors()[:20]
    ]
    first = found[0] if found else {"where": "request", "what": "cannot be read"}
    detail = f"{first['where']}: {first['what']}."
    return Problem(422, "invalid-request", "The request is not valid", detail, errors=found)


SAID_BY_HTTP = {
    404: "This address leads nowhere; begin at /, or at /api/openapi.json.",
    405: "This address takes other methods; the header Allow names them.",
}


def _of_http(error: HTTPException) -> Problem:
    kinds = {
        404: ("not-found", "There is nothing here"),
        405: ("method-not-allowed", "This cannot be done here"),
        400: ("bad-request", "The request cannot be read"),
    }
    kind, title = kinds.get(error.status_code, ("http-error", "The request was refused"))
    detail = SAID_BY_HTTP.get(error.status_code) or _sentence(str(error.detail))
    return Problem(error.status_code, kind, title, detail, headers=error.headers)


def _sentence(said: str) -> str:
    text = said[:1].upper() + said[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
