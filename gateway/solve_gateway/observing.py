"""Middleware around everything: request ids, headers, metrics, and an answer to what nobody expected."""

from time import perf_counter
from uuid import uuid4

import structlog
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from solve_gateway.telemetry import GatewayMetrics
from solve_runtime.http.headers import HEADERS
from solve_runtime.http.problem import MEDIA_TYPE, Problem, sentence
from solve_runtime.http.request_ids import noted

KINDS = {404: "not-found", 405: "method-not-allowed"}
UNKNOWN_ROUTE = "unknown"
PROBES = {"/livez", "/readyz"}
UNEXPECTED = Problem(
    500,
    "internal-error",
    "Something went wrong",
    "The error was logged under the X-Request-ID of this answer. The events may be in the log or not; send them again.",
)

log = structlog.get_logger()


def problem_response(problem: Problem) -> Response:
    """Problem details."""
    return Response(problem.body.model_dump_json(), problem.status, problem.headers, MEDIA_TYPE)


def add_problem_answers(app: FastAPI, metrics: GatewayMetrics) -> None:
    """Answers what routes raise."""

    async def handle(_request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            kind = KINDS.get(error.status_code, "http-error")
            detail = sentence(str(error.detail))
            error = Problem(error.status_code, kind, "The request was refused", detail, headers=error.headers)
        assert isinstance(error, Problem)  # noqa: S101 - nothing else is registered
        metrics.refuse(error.kind)
        return problem_response(error)

    for kind in (Problem, HTTPException):
        app.add_exception_handler(kind, handle)


class Observed:
    """The outermost layer."""

    def __init__(self, app: ASGIApp, metrics: GatewayMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        structlog.contextvars.clear_contextvars()
        sent = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
        own = {**HEADERS, "Cache-Control": "no-store", "X-Request-ID": noted(sent or uuid4().hex)}
        added = [(name.lower().encode(), value.encode()) for name, value in own.items()]
        status, began = 0, perf_counter()

        async def completed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        self._metrics.begin()
        try:
            await self._app(scope, receive, completed)
        except ClientDisconnect:  # nobody reads an answer; the status of none is 0
            pass
        except Exception as error:
            log.exception("request failed", action="request_failed", error=repr(error))
            if not status:
                await problem_response(UNEXPECTED)(scope, receive, completed)
        finally:
            self._metrics.answered(_route(scope), status, perf_counter() - began)


def _route(scope: Scope) -> str:
    """The template of the path, so that the metrics have few routes."""
    route = scope.get("route")
    return getattr(route, "path", UNKNOWN_ROUTE)
