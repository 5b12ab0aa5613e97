"""Serves /metrics and a process's probes from a thread of its own, so that a stuck event loop can still be seen.

One event loop in that thread holds every connection. A connection is for one request, which has to arrive and be
answered within REQUEST_TIMEOUT_S; beyond CONNECTIONS_MAX the oldest one is closed, so that no client keeps others out.
"""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import prometheus_client
import structlog
from prometheus_client import CollectorRegistry

from solve_runtime.errors import MetricsUnservable

REQUEST_TIMEOUT_S = 10.0
HEAD_MAX_BYTES = 16 * 1024
CONNECTIONS_MAX = 100
BACKLOG = 128
LOG_INTERVAL_S = 60.0

log = structlog.get_logger()
Probe = Callable[[], tuple[bool, dict[str, Any]]]
Headers = list[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """What is sent back."""

    status: int
    headers: Headers
    body: bytes


class _Refused(Exception):
    def __init__(self, status: int, kind: str, detail: str, headers: Headers | None = None) -> None:
        title = HTTPStatus(status).phrase
        said = {"type": f"urn:solve-counts:problem:{kind}", "title": title, "status": status, "detail": detail}
        media = (b"Content-Type", b"application/problem+json")
        self.answer = Answer(status, [media, *(headers or [])], json.dumps(said).encode())
        super().__init__(detail)


class _Pages:
    """What is served, by path."""

    def __init__(self, registry: CollectorRegistry, probes: Mapping[str, Probe]) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series per counter
        self._metrics = prometheus_client.make_asgi_app(registry)
        self._probes = probes

    async def answer(self, head: bytes) -> Answer:
        """The answer to a request's head."""
        try:
            method, target, headers = _parsed(head)
            found = await self._found(method, target, headers)
        except _Refused as refused:
            return refused.answer
        except Exception as error:  # noqa: BLE001 - a probe that is broken is still answered
            log.warning("request not answered", action="request_failed", error=f"{type(error).__name__}: {error}")
            return _Refused(500, "internal-error", "The error was logged by this process.").answer
        return found._replace(body=b"", headers=[*found.headers, _length(found)]) if method == "HEAD" else found

    async def _found(self, method: str, target: str, headers: Headers) -> Answer:
        path, query = urlsplit(target)[2:4]
        if path != "/metrics" and path not in self._probes:
            raise _Refused(404, "not-found", f"this serves {', '.join(['/metrics', *self._probes])}")
        if method not in {"GET", "HEAD"}:
            raise _Refused(405, "method-not-allowed", "use GET or HEAD", [(b"Allow", b"GET, HEAD")])
        if path == "/metrics":
            return await self._exposition(query, headers)
        good, said = self._probes[path]()
        return Answer(200 if good else 503, [(b"Content-Type", b"application/json")], json.dumps(said).encode() + b"\n")

    async def _exposition(self, query: str, headers: Headers) -> Answer:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, str]:
            return {"type": "http.request"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._metrics({"type": "http", "query_string": query.encode(), "headers": headers}, receive, send)
        start, body = sent
        return Answer(start["status"], start["headers"], body["body"])


class _Connections:
    """The open connections, the oldest first."""

    def __init__(self, pages: _Pages) -> None:
        self._pages = pages
        self._open: dict[asyncio.StreamWriter, None] = {}
        self._log_at = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one request."""
        self._open[writer] = None
        if len(self._open) > CONNECTIONS_MAX:
            self._drop_oldest()
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                writer.write(_encoded(await self._pages.answer(await _head_of(reader))))
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            # a client that hangs up is no traceback among lines of JSON
            log.debug("request not answered", action="request_failed", error=f"{type(error).__name__}: {error}")
        finally:
            writer.transport.abort()
            self._open.pop(writer, None)

    def _drop_oldest(self) -> None:
        oldest = next(iter(self._open))
        del self._open[oldest]
        if time.monotonic() >= self._log_at:
            self._log_at = time.monotonic() + LOG_INTERVAL_S
            log.warning(
                "too many connections to the metrics; the oldest are closed",
                action="connections_refused",
                client=(oldest.get_extra_info("peername") or ("",))[0],
                limit=CONNECTIONS_MAX,
            )
        oldest.transport.abort()


async def _head_of(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return b""


def _parsed(head: bytes) -> tuple[str, str, Headers]:
    """Method, target and headers; a body is not read."""
    if not head:
        raise _Refused(431, "head-too-large", f"a request head may have {HEAD_MAX_BYTES} bytes")
    bad = _Refused(400, "bad-request", "this is not an HTTP request (RFC 9112)")
    try:
        first, *lines = head.decode("ascii").strip().split("\r\n")
        method, target, version = first.split(" ")
        urlsplit(target)
    except ValueError:
        raise bad from None
    pairs = [line.partition(":") for line in lines]
    if version not in {"HTTP/1.1", "HTTP/1.0"} or not method.isalpha() or not all(colon for _, colon, _ in pairs):
        raise bad
    return method, target, [(name.lower().encode(), value.strip().encode()) for name, _, value in pairs]


def _length(answer: Answer) -> tuple[bytes, bytes]:
    return b"Content-Length", str(len(answer.body)).encode()


def _encoded(answer: Answer) -> bytes:
    headers = [
        *answer.headers,
        *([] if any(name == b"Content-Length" for name, _ in answer.headers) else [_length(answer)]),
        (b"Cache-Control", b"no-store"),
        (b"X-Content-Type-Options", b"nosniff"),
        (b"Connection", b"close"),
        (b"Date", formatdate(usegmt=True).encode()),
    ]
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}".encode()]
    return b"\r\n".join([*lines, *(name + b": " + value for name, value in headers), b"", b""]) + answer.body


def _run(listening: socket.socket, pages: _Pages, loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    async def serve() -> None:
        server = await asyncio.start_server(
            _Connections(pages).serve, sock=listening, limit=HEAD_MAX_BYTES, backlog=BACKLOG
        )
        async with server:
            await stopped.wait()

    with asyncio.Runner(loop_factory=lambda: loop) as runner, suppress(asyncio.CancelledError):
        runner.run(serve())  # cancels whatever is open when it ends


@asynccontextmanager
async def serving_metrics(
    host: str, port: int, registry: CollectorRegistry, probes: Mapping[str, Probe], advice: str
) -> AsyncIterator[int]:
    """Serves until exit; gives the port, a free one for port 0.

    Raises MetricsUnservable, ending in `advice`, where the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise MetricsUnservable(f"cannot listen on {host}:{port}: {error}; {advice}") from error
    bound: int = listening.getsockname()[1]
    loop, stopped = asyncio.new_event_loop(), asyncio.Event()
    run = partial(_run, listening, _Pages(registry, probes), loop, stopped)
    thread = Thread(target=run, name="metrics", daemon=True)
    thread.start()
    log.info("serving metrics", action="metrics_serving", host=host, port=bound)
    try:
        yield bound
    finally:
        loop.call_soon_threadsafe(stopped.set)
        await asyncio.to_thread(thread.join)
