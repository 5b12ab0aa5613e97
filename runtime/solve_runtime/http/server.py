"""uvicorn as all our HTTP servers use it: our own protocol, a socket that is open already, signals by the caller."""

import os
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from solve_runtime.errors import AddressUnusable
from solve_runtime.http.connections import Connections
from solve_runtime.http.protocol import LimitedProtocol

BACKLOG = 2048


class Server(uvicorn.Server):
    """Reports when it has started; `before_end` comes before it waits for the answers under way."""

    def __init__(
        self, config: uvicorn.Config, on_started: Callable[[], None], before_end: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._before_end = before_end

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts answering requests."""
        await super().startup(sockets)
        self._on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to the caller; uvicorn would raise them again after a clean end."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops."""
        self._before_end()
        await super().shutdown(sockets)


def config_for(
    app: ASGIApp, listening: socket.socket, connections: Connections, grace_s: int, proxies: Collection[str] = ()
) -> uvicorn.Config:
    """The server's configuration; answers under way have `grace_s` to end. `proxies` say whom a request is from."""
    return uvicorn.Config(
        app,
        fd=listening.fileno(),
        backlog=BACKLOG,
        log_config=None,
        log_level="warning",  # we report the address ourselves
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        timeout_graceful_shutdown=grace_s,
        timeout_keep_alive=30,
        http=partial(LimitedProtocol, connections),  # type: ignore[arg-type]  # it is only called
        ws="none",
    )


def listening_socket(host: str, port: int, advice: str) -> socket.socket:
    """The socket to listen on. Raises AddressUnusable, which ends with the advice."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise AddressUnusable(f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}; {advice}") from error
    # connections inherit it; without it, an answer may wait 40 ms for the acknowledgement of the previous one
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def address_of(host: str, listening: socket.socket) -> str:
    """The URL at which it is reached from this machine."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
