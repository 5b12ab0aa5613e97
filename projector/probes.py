"""How does a projector answer those who watch it? /metrics, /livez and /readyz, from a thread of its own.

A thread, because an event loop that is stuck must still be seen to be stuck.
"""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import prometheus_client
import structlog
from prometheus_client.exposition import choose_encoder

from projector.errors import MetricsUnservable
from projector.monitor import Monitor
from projector.settings import ProjectorSettings

PAGES = "/metrics, /livez, /readyz"
# A client that connects and says nothing must not hold a thread for ever.
CLIENT_TIMEOUT_S = 10.0
STOP_POLL_S = 0.1

log = structlog.get_logger()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    monitor: Monitor

    def handle_error(self, _request: object, _client: object) -> None:
        """One who asks and hangs up is no news, and no traceback among lines of JSON."""
        log.debug("a probe was not answered", action="probe_failed", error=repr(sys.exception()))


class _Handler(BaseHTTPRequestHandler):
    timeout = CLIENT_TIMEOUT_S
    server: _Server

    def do_GET(self) -> None:  # the name that http.server calls
        """One of three pages."""
        page = self.path.partition("?")[0]
        if page == "/metrics":
            encode, kind = choose_encoder(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, kind, encode(self.server.monitor.metrics.registry))
        elif page == "/livez":
            why = self.server.monitor.health.why_dead()
            self._say(why is None, {"alive": why is None, "why": why or "it makes progress, or there is nothing to do"})
        elif page == "/readyz":
            missing = self.server.monitor.health.not_ready()
            self._say(not missing, {"ready": not missing, "missing": missing})
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", f"there are {PAGES}\n".encode())

    def _say(self, good: bool, what: dict[str, object]) -> None:
        status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, "application/json", json.dumps(what).encode() + b"\n")

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """A scrape every few seconds is no news."""


@asynccontextmanager
async def serving(settings: ProjectorSettings, monitor: Monitor) -> AsyncIterator[int | None]:
    """Serves while it is open; the port, or None where METRICS_PORT is unset. Raises MetricsUnservable."""
    if settings.metrics_port is None:
        yield None
        return
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, that nobody asks for
    server = _listen(settings.metrics_host, settings.metrics_port)
    server.monitor = monitor
    port = int(server.server_address[1])
    thread = Thread(target=server.serve_forever, args=(STOP_POLL_S,), name="probes", daemon=True)
    thread.start()
    log.info("serving metrics", action="metrics_serving", host=settings.metrics_host, port=port, pages=PAGES)
    try:
        yield port
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()


def _listen(host: str, port: int) -> _Server:
    class _OfFamily(_Server):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    try:
        return _OfFamily((host, port), _Handler)
    except OSError as error:
        raise MetricsUnservable(
            f"cannot serve metrics on {host}:{port}: {error}; set METRICS_HOST and METRICS_PORT to what is free"
        ) from error
