"""Turns every error of every route into problem details, or into a page if a person asked for one."""

from collections.abc import Callable, Mapping
from uuid import uuid4

import structlog
from asgi_correlation_id import correlation_id
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from solve_api.http.paths import path_of
from solve_api.http.problems import problem_of
from solve_api.http.validation import invalid_request
from solve_projector.store.postgresql import DATABASE_ERRORS
from solve_runtime.errors import SolveCountsError
from solve_runtime.http.problem import MEDIA_TYPE, Problem, sentence
from solve_runtime.http.request_ids import noted

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
HTTP_PROBLEMS = {
    400: ("bad-request", "The request cannot be read", None),
    404: ("not-found", "Page not found", "There is nothing at this address; start at / or at /api/openapi.json."),
    405: ("method-not-allowed", "Method not allowed", "The Allow header lists the methods that this address accepts."),
}

# makes a page of a problem, or None if the client wants no page
RenderPage = Callable[[Request, Problem], Response | None]

log = structlog.get_logger()


def problem_response(problem: Problem) -> Response:
    """Problem details, which no cache stores."""
    headers = {"Cache-Control": "no-store", **problem.headers}
    return Response(problem.body.model_dump_json(), problem.status, headers, MEDIA_TYPE)


class LastResort:
    """Answers unexpected errors. The framework's own answer would lack the headers of our middleware.

    It is there twice: inside, where middleware completes its answer, and around all middleware, with the `headers` of
    each answer.
    """

    def __init__(self, app: ASGIApp, headers: Callable[[Scope], Mapping[str, str]] | None = None) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. An answer that has started cannot be replaced."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            if self._headers is None:
                response = await scope["app"].state.handle_error(Request(scope), error)
            else:
                response = _plain_answer(Request(scope), error, self._headers(scope))
            await response(scope, receive, send)


def _plain_answer(request: Request, error: Exception, headers: Mapping[str, str]) -> Response:
    """For an error of middleware, or of what answers errors: with nothing that could fail again."""
    problem = problem_of(error)
    if not correlation_id.get():
        correlation_id.set(noted(uuid4().hex))
    _log_failure(request, problem, error)
    response = problem_response(problem)
    response.headers.update({**headers, "X-Request-ID": str(correlation_id.get())})
    return response


def add_error_handlers(app: FastAPI, render_page: RenderPage) -> None:
    """Handles every error of every route."""

    async def handle(request: Request, error: Exception) -> Response:
        problem = _problem_of(error)
        if problem.status == 405:
            problem.headers["Allow"] = ", ".join(_allowed(request))
        if problem.status == 403 or (problem.status == 401 and "authorization" in request.headers):
            _log_refusal(request, problem)
        if problem.status >= 500:
            _log_failure(request, problem, error)
        return render_page(request, problem) or problem_response(problem)

    for kind in (Problem, RequestValidationError, HTTPException, SolveCountsError, *DATABASE_ERRORS):
        app.add_exception_handler(kind, handle)
    app.state.handle_error = handle
    app.add_middleware(LastResort)


def _problem_of(error: Exception) -> Problem:
    if isinstance(error, RequestValidationError):
        return invalid_request(error.errors())
    if isinstance(error, HTTPException):
        status = error.status_code
        kind, title, detail = HTTP_PROBLEMS.get(status, ("http-error", "The request was refused", None))
        return Problem(status, kind, title, detail or sentence(str(error.detail)), headers=error.headers)
    return problem_of(error)


def _log_failure(request: Request, problem: Problem, error: Exception) -> None:
    log.error(
        "request failed",
        action="request_failed",
        method=request.method,
        path=path_of(request),
        status=problem.status,
        error=f"{type(error).__name__}: {error}",
        exc_info=error if problem.status == 500 else None,
    )


def _log_refusal(request: Request, problem: Problem) -> None:
    """Logs attempts at what is not allowed, requests forged by other sites, and invalid tokens."""
    caller = getattr(request.state, "caller", None)
    log.warning(
        "request refused",
        action="request_refused",
        kind=problem.kind,
        method=request.method,
        path=path_of(request),
        who=caller.name if caller else "",
        via=caller.via if caller else "",
        client=request.client.host if request.client else "",
    )


def _allowed(request: Request) -> list[str]:
    """Every method that the path accepts (RFC 9110, 10.2.1); the router reports those of a single route."""

    def accepts(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)

    return [method for method in METHODS if accepts(method)]
