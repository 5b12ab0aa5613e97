"""Runs the HTTP server, from the check of the tables to the last answered request."""

import asyncio
import signal
import socket
from collections.abc import Callable
from contextlib import closing

import structlog
import uvicorn
from sse_starlette.sse import AppStatus
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from solve_api.app import create_app
from solve_api.http.open_file_limit import fit_open_files
from solve_api.settings import ApiSettings
from solve_projector.errors import DatabaseUnavailable, PoolerUnsuitable
from solve_projector.store.command_session import command_session
from solve_projector.store.postgresql import Failure, classify
from solve_runtime.http.connections import ConnectionLimits, Connections
from solve_runtime.http.server import Server, address_of, config_for, listening_socket
from solve_runtime.kafka_settings import KafkaConnection

GRACE_S = 10
ADVICE = "set SOLVE_API_HOST and SOLVE_API_PORT, or --host and --port"

log = structlog.get_logger()


async def serve(connection: KafkaConnection, settings: ApiSettings, on_ready: Callable[[str], None]) -> None:
    """Serves until SIGINT or SIGTERM, and calls `on_ready` with the address once requests are answered.

    While PostgreSQL is unavailable, pages say so. Raises AddressUnusable, SchemaMismatch.
    """
    await _check_tables(settings)
    with closing(listen(settings)) as listening:
        server = server_of(connection, settings, listening, on_ready)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, server.handle_exit, number, None)
        await server.serve()


def server_of(
    connection: KafkaConnection, settings: ApiSettings, listening: socket.socket, on_ready: Callable[[str], None]
) -> uvicorn.Server:
    """A server for a socket, not yet started; `should_exit` stops it."""
    app = create_app(connection, settings)
    address = address_of(settings.api_host, listening)

    def end_long_answers() -> None:
        app.state.stores.end_long_answers()

    # streams end themselves on request; the library would cut them off in the middle
    AppStatus.enable_automatic_graceful_drain = False
    config = config_of(app, settings, listening)
    return Server(config, lambda: on_ready(address), end_long_answers)


def config_of(app: ASGIApp, settings: ApiSettings, listening: socket.socket) -> uvicorn.Config:
    """The server's configuration for any application, also for the one in the benchmark."""
    return config_for(app, listening, _connections(app, settings), GRACE_S, settings.api_trusted_proxies)


def _connections(app: ASGIApp, settings: ApiSettings) -> Connections:
    possible, per_address = fit_open_files(settings).connections, settings.api_connections_address_max
    if possible < settings.api_connections_max:
        per_address = min(per_address, max(1, possible // 2))  # however few fit, one address never has them all
        log.warning(
            f"only {possible} connections fit; raise the limit of open files (ulimit -n), "
            "or lower SOLVE_API_CONNECTIONS_MAX",
            action="connections_limited",
        )
    head_s, body_s, answer_s = settings.api_head_timeout_s, settings.api_body_timeout_s, settings.api_answer_timeout_s
    proxies = ProxyHeadersMiddleware(app, list(settings.api_trusted_proxies)).trusted_hosts  # type: ignore[arg-type]
    return Connections(ConnectionLimits(possible, per_address, head_s, body_s, answer_s), proxies.__contains__)


async def _check_tables(settings: ApiSettings) -> None:
    try:
        async with command_session(settings):
            pass
    except DatabaseUnavailable as error:
        if isinstance(error, PoolerUnsuitable) or (error.__cause__ and classify(error.__cause__) is Failure.FINAL):
            raise  # a wrong password, or a pooler on which nothing can run: waiting does not fix it
        log.warning(
            "PostgreSQL is unavailable; pages say so until it is back", action="database_unavailable", error=str(error)
        )


def listen(settings: ApiSettings) -> socket.socket:
    """The socket to listen on. Raises AddressUnusable."""
    return listening_socket(settings.api_host, settings.api_port, ADVICE)
