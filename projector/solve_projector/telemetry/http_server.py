"""How is a process asked over HTTP? A few pages, from a thread of its own.

A thread, because an event loop that is stuck must still be seen to be stuck.
"""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple

import prometheus_client
import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from solve_projector.errors import MetricsUnservable

# A client that connects and says nothing must not hold a thread for ever.
CLIENT_TIMEOUT_S = 10.0
STOP_POLL_S = 0.1

log = structlog.get_logger()


class Answer(NamedTuple):
    """What a page says."""

    status: HTTPStatus
    kind: str
    body: bytes


Page = Callable[[str], Answer]


def metrics_page(registry: CollectorRegistry) -> Page:
    """Prometheus' page; its argument is the request's Accept header."""
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, that nobody asks for

    def page(accept: str) -> Answer:
        encode, kind = choose_encoder(accept)
        return Answer(HTTPStatus.OK, kind, encode(registry))

    return page


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    pages: Mapping[str, Page]

    def handle_error(self, _request: object, _client: object) -> None:
        """One who asks and hangs up is no news, and no traceback among lines of JSON."""
        log.debug("a request was not answered", action="request_failed", error=repr(sys.exception()))


class _Handler(BaseHTTPRequestHandler):
    timeout = CLIENT_TIMEOUT_S
    server: _Server

    def do_GET(self) -> None:  # the name that http.server calls
        """One of the pages."""
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            said = f"there are {', '.join(self.server.pages)}\n"
            status, kind, body = Answer(HTTPStatus.NOT_FOUND, "text/plain", said.encode())
        else:
            status, kind, body = page(self.headers.get("Accept", ""))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """A scrape every few seconds is no news."""


@asynccontextmanager
async def serving_pages(host: str, port: int, pages: Mapping[str, Page], do: str) -> AsyncIterator[int]:
    """Serves while it is open; the port, which is a free one for 0.

    Raises MetricsUnservable, with what to `do` about an address that cannot be had.
    """
    server = _listen(host, port, do)
    server.pages = pages
    found = int(server.server_address[1])
    Thread(target=server.serve_forever, args=(STOP_POLL_S,), name="pages", daemon=True).start()
    log.info("serving metrics", action="metrics_serving", host=host, port=found, pages=", ".join(pages))
    try:
        yield found
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()


def _listen(host: str, port: int, do: str) -> _Server:
    class _OfFamily(_Server):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    try:
        return _OfFamily((host, port), _Handler)
    except OSError as error:
        raise MetricsUnservable(f"cannot listen on {host}:{port}: {error}; {do}") from error
