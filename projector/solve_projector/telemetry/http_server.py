"""Serves /metrics and a process's probes from a thread of its own, so that a stuck event loop can still be seen.

prometheus_client's WSGI application on its threading server: one thread a request, so a slow client holds up nobody
else, and a client that sends or takes nothing for CLIENT_TIMEOUT_S is dropped.
"""

import asyncio
import io
import json
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from socketserver import TCPServer
from threading import Thread
from typing import Any, TextIO
from wsgiref.simple_server import WSGIRequestHandler
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import prometheus_client
import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import ThreadingWSGIServer

from solve_projector.errors import MetricsUnservable

CLIENT_TIMEOUT_S = 10.0
STOP_POLL_S = 0.1

log = structlog.get_logger()
Probe = Callable[[], tuple[bool, dict[str, Any]]]


class _Failure(io.StringIO):
    """Where wsgiref writes a traceback: one line for the log instead."""

    def flush(self) -> None:
        log.debug("request not answered", action="request_failed", error=self.getvalue().rstrip().rpartition("\n")[2])


class _Handler(WSGIRequestHandler):
    timeout = CLIENT_TIMEOUT_S

    def get_stderr(self) -> TextIO:
        return _Failure()

    def log_message(self, *_: object) -> None:
        """Scrapes come every few seconds; none is logged."""


class _Server(ThreadingWSGIServer):
    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Skips resolving the host's full name, which takes seconds with a slow DNS."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def handle_error(self, _request: object, _client: object) -> None:
        """A client that hangs up is no traceback among lines of JSON."""
        log.debug("request not answered", action="request_failed", error=str(sys.exception()))


def _application(registry: CollectorRegistry, probes: Mapping[str, Probe]) -> WSGIApplication:
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter
    metrics = prometheus_client.make_wsgi_app(registry)

    def route(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics" or environ["REQUEST_METHOD"] != "GET":  # it refuses every other method
            found: Iterable[bytes] = metrics(environ, start_response)
            return found
        if path not in probes:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [f"this serves {', '.join(['/metrics', *probes])}\n".encode()]
        good, said = probes[path]()
        start_response("200 OK" if good else "503 Service Unavailable", [("Content-Type", "application/json")])
        return [json.dumps(said).encode() + b"\n"]

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        is_head = environ["REQUEST_METHOD"] == "HEAD"
        started: list[Any] = []
        asked = environ | ({"REQUEST_METHOD": "GET"} if is_head else {})
        body = b"".join(route(asked, lambda *status_and_headers: started.extend(status_and_headers)))  # type: ignore[arg-type]
        status, headers = started
        start_response(status, [*headers, ("Content-Length", str(len(body))), ("Cache-Control", "no-store")])
        return [] if is_head else [body]

    return application


@asynccontextmanager
async def serving_metrics(
    host: str, port: int, registry: CollectorRegistry, probes: Mapping[str, Probe], advice: str
) -> AsyncIterator[int]:
    """Serves until exit; gives the port, a free one for port 0.

    Raises MetricsUnservable, ending in `advice`, where the address cannot be used.
    """
    try:
        server = _Server(host, port)
    except OSError as error:
        raise MetricsUnservable(f"cannot listen on {host}:{port}: {error}; {advice}") from error
    server.set_app(_application(registry, probes))
    Thread(target=server.serve_forever, args=(STOP_POLL_S,), name="metrics", daemon=True).start()
    log.info("serving metrics", action="metrics_serving", host=host, port=server.server_port)
    try:
        yield server.server_port
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
