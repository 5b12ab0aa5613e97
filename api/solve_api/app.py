"""Assembles the application: routes, pages and middleware.

Middleware from the outside in: last resort, request id, security headers, CORS, compression, rate, body size;
then the routes.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI

from solve_api import __version__
from solve_api.http.direct import operation_id
from solve_api.http.error_handlers import LastResort, add_error_handlers
from solve_api.http.headers import BodyLimit, HeadAsGet, SecurityHeaders, headers_of
from solve_api.http.read_rate import ReadRate
from solve_api.http.sharing import PublicCompression, PublicCors
from solve_api.pages import add_pages, problem_page
from solve_api.routes import events, facts, health, leaderboard, operations, repairs, sessions, users
from solve_api.settings import ApiSettings
from solve_api.stores import Stores, open_stores
from solve_runtime.http.openapi import with_problems
from solve_runtime.http.problem import problems
from solve_runtime.http.request_ids import noted
from solve_runtime.kafka_settings import KafkaConnection

COMPRESSED_FROM_BYTES = 1_000
DESCRIPTION = """Profiles, leaderboard and repairs. Counts come from PostgreSQL and can be proved from the log.

Errors are problem details (RFC 9457). Admins log in and get a cookie, or send a token made by `solve-api admin token`
as `Authorization: Bearer`. With the cookie, requests that change something need the header `X-CSRF-Token`."""

TAKES_BODY = {"post", "put", "patch", "delete"}

Opening = Callable[[KafkaConnection, ApiSettings], AbstractAsyncContextManager[Stores]]


def create_app(connection: KafkaConnection, settings: ApiSettings, opening: Opening = open_stores) -> FastAPI:
    """The application. Its stores are open during its lifespan."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opening(connection, settings) as stores:
            app.state.stores = stores
            yield

    app = FastAPI(
        title="solve-counts",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        # nobody gives it a provider; to look for one on each request takes a thirtieth of it
        telemetry={"tracing": False, "metrics": False, "logs": False},
        openapi_url="/api/openapi.json",
        redirect_slashes=False,  # it redirects to whatever host the request names
        docs_url=None,  # it loads scripts from other sites
        redoc_url=None,
        generate_unique_id_function=operation_id,
    )
    users.router.add_to(app)
    leaderboard.router.add_to(app)
    for part in (events, sessions, repairs, operations, facts, health):
        app.include_router(part.router)
    add_pages(app)
    add_error_handlers(app, problem_page)
    _add_middleware(app, settings)
    app.openapi = with_problems(app.openapi, _complete)  # type: ignore[method-assign]
    return app


def _add_middleware(app: FastAPI, settings: ApiSettings) -> None:
    """The last one added is the outermost."""
    app.add_middleware(HeadAsGet)
    app.add_middleware(BodyLimit, max_bytes=settings.api_body_max_bytes)
    app.add_middleware(ReadRate)
    app.add_middleware(PublicCompression, minimum_size=COMPRESSED_FROM_BYTES, compresslevel=5)
    if settings.api_cors_origins:
        app.add_middleware(
            PublicCors,
            allow_origins=settings.api_cors_origins,
            allow_methods=["GET"],
            # scripts that keep an ETag or read a stream themselves ask for these in a preflight request
            allow_headers=["If-None-Match", "Last-Event-ID"],
            expose_headers=["ETag", leaderboard.SOURCE_HEADER, "X-Request-ID", "Retry-After"],
        )
    app.add_middleware(SecurityHeaders, shared=bool(settings.api_cors_origins))
    # its own validator writes a line for each request, before the rate
    app.add_middleware(CorrelationIdMiddleware, validator=None, transformer=noted)
    app.add_middleware(LastResort, headers=headers_of)


def _complete(method: str, operation: dict[str, Any]) -> None:
    """Adds 413 wherever a body is read."""
    if method in TAKES_BODY:
        operation["responses"] |= {str(status): response for status, response in problems(413).items()}
