"""Runs the gateway, from the check of its tokens to the last answered request."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from math import ceil

import structlog
import uvicorn

from solve_gateway.app import create_app
from solve_gateway.settings import GatewaySettings
from solve_gateway.telemetry import GatewayMetrics
from solve_gateway.tokens import KnownTokens
from solve_runtime.http.connections import ConnectionLimits, Connections
from solve_runtime.http.open_files import open_files_of
from solve_runtime.http.server import Server, address_of, config_for, listening_socket
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.metrics_server import serving_metrics

OWN_FILES = 100  # Kafka, metrics, and connections about to be refused
GRACE_S = 3  # of an answer under way, beyond the time that Kafka has: to be connected, and to confirm
ADVICE = "set SOLVE_GATEWAY_HOST and SOLVE_GATEWAY_PORT, or --host and --port"
METRICS_ADVICE = "set SOLVE_GATEWAY_METRICS_HOST and SOLVE_GATEWAY_METRICS_PORT to a free address"

log = structlog.get_logger()
OnReady = Callable[[str], None]


async def serve(connection: KafkaConnection, settings: GatewaySettings, on_ready: OnReady) -> None:
    """Serves until SIGINT or SIGTERM, and calls `on_ready` with the address once requests are answered.

    While Kafka is unavailable it answers 503. Raises TokensUnusable, AddressUnusable, MetricsUnservable.
    """
    async with opened(connection, settings, on_ready) as server:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, server.handle_exit, number, None)
        await server.serve()


@asynccontextmanager
async def opened(
    connection: KafkaConnection, settings: GatewaySettings, on_ready: OnReady
) -> AsyncIterator[uvicorn.Server]:
    """A server, not yet started; `should_exit` stops it."""
    tokens, metrics = KnownTokens(settings.gateway_tokens_file), GatewayMetrics()
    app = create_app(connection, settings, tokens, metrics)
    with closing(listening_socket(settings.gateway_host, settings.gateway_port, ADVICE)) as listening:
        address = address_of(settings.gateway_host, listening)
        config = config_for(app, listening, _connections(settings), grace_s_of(settings))
        async with _metrics(settings, metrics):
            yield Server(config, lambda: on_ready(address))


def grace_s_of(settings: GatewaySettings) -> int:
    """How long a gateway that stops waits for answers under way."""
    return ceil(2 * settings.gateway_delivery_timeout_s) + GRACE_S


@asynccontextmanager
async def _metrics(settings: GatewaySettings, metrics: GatewayMetrics) -> AsyncIterator[None]:
    host, port = settings.gateway_metrics_host, settings.gateway_metrics_port
    if port is None:
        yield
        return
    async with serving_metrics(host, port, metrics.registry, {}, METRICS_ADVICE):
        yield


def _connections(settings: GatewaySettings) -> Connections:
    """A proxy brings the requests of many judges, so there is no limit by address: tokens have one each."""
    wanted = settings.gateway_connections_max
    possible = max(1, min(wanted, open_files_of(OWN_FILES + wanted) - OWN_FILES))
    if possible < wanted:
        log.warning(
            f"only {possible} connections fit; raise the limit of open files (ulimit -n), "
            "or lower SOLVE_GATEWAY_CONNECTIONS_MAX",
            action="connections_limited",
        )
    times_s = settings.gateway_head_timeout_s, settings.gateway_body_timeout_s, settings.gateway_answer_timeout_s
    return Connections(ConnectionLimits(possible, possible, *times_s), lambda _: False)
