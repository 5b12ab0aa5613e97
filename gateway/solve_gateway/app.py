"""Assembles the application: routes, and what surrounds them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from solve_gateway.gateway import open_gateway
from solve_gateway.observing import Observed, add_problem_answers
from solve_gateway.routes import clics, events, health, judge0
from solve_gateway.settings import GatewaySettings
from solve_gateway.spool import Spool
from solve_gateway.telemetry import GatewayMetrics
from solve_gateway.tokens import KnownTokens
from solve_runtime.http.openapi import with_problems
from solve_runtime.kafka_settings import KafkaConnection

DESCRIPTION = """Takes the events of judges and publishes them to the log.

Errors are problem details (RFC 9457). 503 and 429 have `Retry-After`, and 408 is to be sent again as well;
sending an event again is always safe, because the same event counts once."""


def create_app(
    connection: KafkaConnection, settings: GatewaySettings, tokens: KnownTokens, metrics: GatewayMetrics
) -> FastAPI:
    """The application; it is connected to Kafka during its lifespan. Raises SpoolUnusable."""
    folder = settings.gateway_spool_folder
    spool = Spool(folder, settings.gateway_spool_max_bytes, settings.gateway_spool_files_max) if folder else None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_gateway(connection, settings, tokens, metrics, spool) as gateway:
            app.state.gateway = gateway
            yield

    app = FastAPI(
        title="solve-counts gateway",
        version=version("solve-counts"),
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_url="/v1/openapi.json",
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    for part in (events, judge0, clics, health):
        app.include_router(part.router)
    add_problem_answers(app, metrics)
    app.add_middleware(Observed, metrics=metrics)
    app.openapi = with_problems(app.openapi, _complete)  # type: ignore[method-assign]
    return app


def _complete(_method: str, operation: dict[str, Any]) -> None:
    """Leaves out 422, which no route answers."""
    operation["responses"].pop("422", None)
