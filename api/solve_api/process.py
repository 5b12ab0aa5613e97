"""What is an API process? The server around the application, from the first check to the last answered request."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Literal

import structlog
import uvicorn
from sse_starlette.sse import AppStatus
from starlette.types import ASGIApp

from solve_api.app import create_app
from solve_api.errors import AddressUnusable
from solve_api.http.headers import HEAD_MAX_BYTES
from solve_api.settings import ApiSettings
from solve_projector.errors import DatabaseUnavailable
from solve_projector.store.migrate import require_schema
from solve_projector.store.postgresql import Failure, classify, connect
from solve_runtime.kafka_settings import KafkaConnection

GRACE_S = 10
BACKLOG = 2048

Told = Callable[[], None]

log = structlog.get_logger()


class _Server(uvicorn.Server):
    """Tells when it has begun; ends first what would keep it from ending."""

    def __init__(self, config: uvicorn.Config, on_started: Told, end_long_answers: Told) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._end_long_answers = end_long_answers

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Until requests are answered."""
        await super().startup(sockets)
        self._on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are for whoever runs the server; uvicorn would raise them once more when it has ended cleanly."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """When it was told to stop."""
        self._end_long_answers()
        await super().shutdown(sockets)


async def serve(connection: KafkaConnection, settings: ApiSettings, on_ready: Callable[[str], None]) -> None:
    """Serves until SIGINT or SIGTERM. `on_ready` is told the address once requests are answered.

    Raises AddressUnusable, SchemaMismatch where PostgreSQL is there with other tables; where it is away, pages say so
    until it is back.
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
    """The server of a socket, not yet started; `should_exit` ends it."""
    app = create_app(connection, settings)
    host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
    address = f"http://{host}:{listening.getsockname()[1]}"

    def end_long_answers() -> None:
        app.state.stores.end_long_answers()

    # streams end by themselves when they are told to; the library would break them off in the middle
    AppStatus.enable_automatic_graceful_drain = False
    config = config_of(app, settings, listening)
    return _Server(config, lambda: on_ready(address), end_long_answers)


def config_of(app: ASGIApp, settings: ApiSettings, listening: socket.socket) -> uvicorn.Config:
    """How any application is served here; the bench serves one that does nothing in the same way."""
    return uvicorn.Config(
        app,
        fd=listening.fileno(),
        backlog=BACKLOG,
        log_config=None,
        log_level="warning",  # that it serves, and where, is said by us
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=bool(settings.api_trusted_proxies),
        forwarded_allow_ips=list(settings.api_trusted_proxies),
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=30,
        http=_protocol(),
        h11_max_incomplete_event_size=HEAD_MAX_BYTES,
    )


def _protocol() -> type[asyncio.Protocol] | Literal["h11"]:
    try:
        from solve_api.http.head_limit import HeadLimit
    except ImportError:  # Windows has no httptools; h11 has a limit
        return "h11"
    return HeadLimit


async def _check_tables(settings: ApiSettings) -> None:
    try:
        database = await connect(settings)
    except DatabaseUnavailable as error:
        why = error.__cause__
        if isinstance(why, ValueError) or (why and classify(why) is Failure.FINAL):
            raise  # an address or a password that waiting does not mend
        log.warning("PostgreSQL is away; the pages wait for it", action="database_away", error=str(error))
        return
    try:
        await require_schema(database, settings)
    finally:
        await database.close()


def listen(settings: ApiSettings) -> socket.socket:
    """The socket of the pages. Raises AddressUnusable."""
    family = socket.AF_INET6 if ":" in settings.api_host else socket.AF_INET
    try:
        listening = socket.create_server((settings.api_host, settings.api_port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise AddressUnusable(
            f"cannot listen on {settings.api_host}:{settings.api_port}: {os.strerror(error.errno or 0)}; "
            "set SOLVE_API_HOST and SOLVE_API_PORT, or --host and --port"
        ) from error
    # connections inherit it; without it an event may wait 40 ms for the receipt of the one before
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
