"""What is an API process? The server around the application, from the first check to the last answered request."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog
import uvicorn

from api.app import create_app
from api.errors import AddressUnusable
from api.settings import ApiSettings
from projector.database import connect
from projector.errors import DatabaseUnavailable
from projector.migrate import require_schema
from schemas.connection import KafkaConnection

GRACE_S = 10
BACKLOG = 2048

log = structlog.get_logger()


class _Server(uvicorn.Server):
    """Ends the open streams first: they would keep it from ending."""

    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """When it was told to stop."""
        self._end_streams()
        await super().shutdown(sockets)


async def serve(connection: KafkaConnection, settings: ApiSettings, on_ready: Callable[[str], None]) -> None:
    """Serves until SIGINT or SIGTERM. `on_ready` is told the address once requests are answered.

    Raises AddressUnusable, SchemaMismatch where PostgreSQL is there with other tables; where it is away, pages say so
    until it is back.
    """
    await _check_tables(settings)
    async with serving(connection, settings) as (server, address):
        task = asyncio.create_task(server.serve())
        while not server.started and not task.done():
            await asyncio.sleep(0.01)
        if server.started:
            on_ready(address)
        await task


@asynccontextmanager
async def serving(connection: KafkaConnection, settings: ApiSettings) -> AsyncIterator[tuple[uvicorn.Server, str]]:
    """A server on its socket, not yet started, and its address."""
    listening = _listen(settings)
    port = listening.getsockname()[1]
    app = create_app(connection, settings)

    def end_streams() -> None:
        app.state.stores.changes.close_streams()

    config = uvicorn.Config(
        app,
        fd=listening.fileno(),
        backlog=BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=bool(settings.api_trusted_proxies),
        forwarded_allow_ips=list(settings.api_trusted_proxies),
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=32 * 1024,
    )
    host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
    try:
        yield _Server(config, end_streams), f"http://{host}:{port}"
    finally:
        listening.close()


async def _check_tables(settings: ApiSettings) -> None:
    try:
        database = await connect(settings)
    except DatabaseUnavailable as error:
        log.warning("PostgreSQL is away; the pages wait for it", action="database_away", error=str(error))
        return
    try:
        await require_schema(database, settings)
    finally:
        await database.close()


def _listen(settings: ApiSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.api_host else socket.AF_INET
    try:
        return socket.create_server((settings.api_host, settings.api_port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise AddressUnusable(
            f"cannot listen on {settings.api_host}:{settings.api_port}: {error.strerror or error}; "
            "set API_HOST and API_PORT, or --host and --port"
        ) from error
