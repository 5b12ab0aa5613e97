"""What is the API made of? The one place that puts routes, pages and layers together.

Layers from the outside in: request id, security headers, other sites, Vary, compression, size; then the routes.
"""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from solve_api.http.caching import VariesByEncoding
from solve_api.http.headers import BodyLimit, HeadAsGet, SecurityHeaders
from solve_api.http.problems import ProblemDetails, add_problem_handlers, problems
from solve_api.http.rate_limits import RateLimits
from solve_api.pages import add_pages, problem_page
from solve_api.routes import account, events, health, leaderboard, operations, repairs, sessions, users
from solve_api.settings import ApiSettings
from solve_api.stores import Stores, open_stores
from solve_runtime.kafka_settings import KafkaConnection

COMPRESSED_FROM_BYTES = 1_000
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
DESCRIPTION = """Problems solved, ranking and repair. Counts come from PostgreSQL and can be proved from the log.

Errors are problem details (RFC 9457). Admins log in with a cookie, or send `Authorization: Bearer` with a token of
`solve-api admin token`. Requests that change something with the cookie need the header `X-CSRF-Token`."""

TAKES_BODY = {"post", "put", "patch", "delete"}

Opening = Callable[[KafkaConnection, ApiSettings], AbstractAsyncContextManager[Stores]]


def create_app(connection: KafkaConnection, settings: ApiSettings, opening: Opening = open_stores) -> FastAPI:
    """An application; its stores are open while its lifespan lasts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opening(connection, settings) as stores:
            app.state.stores = stores
            yield

    app = FastAPI(
        title="solve-counts",
        version="0.1.0",
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_url="/api/openapi.json",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    app.state.rate_limits = RateLimits(settings)
    for part in (users, leaderboard, events, sessions, account, repairs, operations, health):
        app.include_router(part.router)
    add_pages(app)
    add_problem_handlers(app, problem_page)
    _add_layers(app, settings)
    _complete_openapi(app)
    return app


def _add_layers(app: FastAPI, settings: ApiSettings) -> None:
    """The last one added is the outermost."""
    app.add_middleware(HeadAsGet)
    app.add_middleware(BodyLimit, max_bytes=settings.api_body_max_bytes)
    app.add_middleware(GZipMiddleware, minimum_size=COMPRESSED_FROM_BYTES, compresslevel=5)
    app.add_middleware(VariesByEncoding)
    if settings.api_cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.api_cors_origins,
            allow_methods=["GET"],
            # a script that keeps an ETag, or reads a stream by itself, is asked about them in advance
            allow_headers=["If-None-Match", "Last-Event-ID"],
            expose_headers=["ETag", leaderboard.SOURCE_HEADER, "X-Request-ID", "Retry-After"],
        )
    app.add_middleware(SecurityHeaders, shared=bool(settings.api_cors_origins))
    app.add_middleware(CorrelationIdMiddleware, validator=lambda said: REQUEST_ID.fullmatch(said) is not None)


def _operation_id(route: APIRoute) -> str:
    return f"{route.tags[0] if route.tags else 'page'}_{route.name}"


def _complete_openapi(app: FastAPI) -> None:
    """Problem details are one schema; 422 is one of them, not FastAPI's own; any body can be too large."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["ProblemDetails"] = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for methods in document["paths"].values():
            for method, operation in methods.items():
                if method in TAKES_BODY:
                    operation["responses"] |= {str(status): said for status, said in problems(413).items()}
        app.openapi_schema = document
        return document

    app.openapi = openapi  # type: ignore[method-assign]
