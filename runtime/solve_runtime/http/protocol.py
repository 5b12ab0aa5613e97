"""One HTTP/1.1 connection: limits its heads, its time and its pipeline, and refuses in our own words.

uvicorn's protocol for httptools has no limit of its own. Its other one, for h11, answers a request that conflicting
length headers hide in a body. What is refused here has a line in the log with the request id of its answer, or is
counted there if it is too much.
"""

import math
from http import HTTPStatus
from typing import Any, NoReturn
from uuid import uuid4

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from solve_runtime.http.connections import NOT_TAKEN, SILENT, Connections
from solve_runtime.http.headers import HEAD_MAX_BYTES, HEADERS, HEADERS_MAX
from solve_runtime.http.problem import MEDIA_TYPE, RETRY_AFTER_S, RETRY_LATER, Problem
from solve_runtime.http.request_ids import request_id_of

PIPELINE_MAX = 4
# so that a client that still sends can read why it was refused (RFC 9112, 9.6)
LINGER_S = 2.0
LINGER_MAX_BYTES = 512 * 1024
NEVER = math.inf
TOO_LARGE = Problem(
    431,
    "head-too-large",
    "The request head is too large",
    f"The address and the headers may have {HEAD_MAX_BYTES} bytes together, and be {HEADERS_MAX} headers; send fewer.",
)
NOT_HTTP = Problem(400, "bad-request", "The request cannot be read", "This is not an HTTP request (RFC 9112).")
ONE_HOST = Problem(400, "bad-request", "The request cannot be read", "A request has one Host header (RFC 9112, 3.2).")
UNKNOWN_CODING = Problem(
    501, "coding-unknown", "The transfer coding is unknown", "Send the body as it is, with Content-Length or in chunks."
)
PIPELINE_FULL = Problem(
    429,
    "too-many-requests",
    "Too many requests",
    f"A connection may have {PIPELINE_MAX} requests without an answer; wait for answers.",
    headers=RETRY_LATER,
)
HEAD_LATE = Problem(
    408, "request-timeout", "The request took too long", "The request head did not arrive in time; send it at once."
)
BODY_LATE = Problem(
    408, "request-timeout", "The request took too long", "The request body did not arrive in time; send it faster."
)
NO_ROOM = Problem(
    503,
    "too-many-connections",
    "Too many connections",
    f"Close connections that you do not use, and try again in {RETRY_AFTER_S} seconds.",
    headers=RETRY_LATER,
)


class LimitedProtocol(HttpToolsProtocol):
    """A connection; what it may take is in `connections.limits`."""

    def __init__(self, connections: Connections, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._all = connections
        self._running: RequestResponseCycle | None = None  # `cycle` is the one that was queued last
        self._due = NEVER  # when the head or the body that is arriving has to be complete
        self._received = 0  # bytes of this message without its body, parsed or not
        self._parsed = 0  # bytes of this head, or of these trailers
        self._headers = 0  # of this message, its trailers too; each costs more memory than its bytes
        self._silent = True
        self._in_body = False
        self._problem: Problem | None = None  # why the parser was stopped
        self._refused = False  # whatever else arrives is dropped
        self._refusal = b""  # to be sent after the answers before it
        self._lingers = False
        self._untaken_since = NEVER

    def connection_made(self, transport: Any) -> None:
        """Refuses one too many."""
        super().connection_made(transport)
        if not self._all.admit(self, self._peer):
            self._refused = True
            transport.write(_answer(NO_ROOM, uuid4().hex))
            transport.close()
            return
        self._due = self.loop.time() + self._all.limits.head_s

    def connection_lost(self, exc: Exception | None) -> None:
        """Makes room, and tells the request that runs; uvicorn tells the last one of the queue."""
        self._all.leave(self)
        self.pipeline.clear()
        if self._running:
            self._disconnect(self._running)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Counts everything that a client sends."""
        if self._refused:
            self._received += len(data)
            if self._received > LINGER_MAX_BYTES:
                self.drop()
            return
        self._silent = False
        self._unset_keepalive_if_required()
        self._expect(self._all.limits.head_s)
        self._received += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # to another protocol; the answer is in this one, and the last
            self._refused = True
            self._due = NEVER
            self.cycle.keep_alive = False
            if self.cycle.response_complete:
                self.transport.close()
        except httptools.HttpParserError:
            self._refuse(self._problem or NOT_HTTP)
        else:
            if self._received > HEAD_MAX_BYTES:
                self._refuse(TOO_LARGE)

    def on_message_begin(self) -> None:
        """Starts the count of a head."""
        self._unset_keepalive_if_required()
        self._expect(self._all.limits.head_s)
        self._parsed = self._headers = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Counts the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Counts a header. Trailers are dropped: no proxy has checked them (RFC 9110, 6.5.1)."""
        self._headers += 1
        self._count(len(name) + len(value) + len(": \r\n"))
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Refuses what is no request for us."""
        version = self.parser.get_http_version()
        hosts = sum(name == b"host" for name, _ in self.headers)
        if version not in {"1.0", "1.1"}:
            self._stop(NOT_HTTP)
        if hosts > 1 or (not hosts and version == "1.1"):
            self._stop(ONE_HOST)
        if any(name == b"transfer-encoding" and value.lower() != b"chunked" for name, value in self.headers):
            self._stop(UNKNOWN_CODING)
        if len(self.pipeline) >= PIPELINE_MAX:
            self._stop(PIPELINE_FULL)
        super().on_headers_complete()
        if self.pipeline:
            self.flow.resume_reading()  # PIPELINE_MAX is the bound; while it is paused, nobody sees a client leave
        self._in_body = True
        self._parsed = 0
        self._due = self.loop.time() + self._all.limits.body_s

    def on_body(self, body: bytes) -> None:
        """Takes the body out of the count; it has its own limit."""
        self._received -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Everything has arrived in time. Until then whoever sends slowly can be closed for others."""
        self._received = 0
        self._in_body = False
        self._due = NEVER
        super().on_message_complete()
        if not self.cycle.response_complete:
            self._all.work(self)
        else:  # answered before its body arrived, which stopped the timer
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """Waits for the next request, or refuses what followed this one."""
        answers_next = bool(self.pipeline)
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._refusal and not answers_next:
            self._unset_keepalive_if_required()
            self._send_last(self._refusal)
        elif not answers_next or (self._in_body and not self.pipeline):  # for a request, or for its body
            self._all.wait(self)

    def check(self, now: float) -> None:
        """Ends what has taken too long."""
        if not self.transport.get_write_buffer_size():
            self._untaken_since = NEVER
        elif self._untaken_since == NEVER:
            self._untaken_since = now
        elif now - self._untaken_since >= self._all.limits.answer_s:
            self._all.count(NOT_TAKEN, self._peer)
            self.drop()
            return
        if now < self._due:
            return
        if self._lingers or self._silent:
            if self._silent:
                self._all.count(SILENT, self._peer)
            self.drop()
        elif not self.flow.read_paused:  # else we are the slow ones
            self._refuse(BODY_LATE if self._in_body else HEAD_LATE)

    def drop(self) -> None:
        """Ends it at once, without an answer."""
        self.transport.abort()

    @property
    def _peer(self) -> str:
        return self.client[0] if self.client else ""

    def _expect(self, seconds: float) -> None:
        """Starts the time of a head with its first byte."""
        if self._due == NEVER:
            self._due = self.loop.time() + seconds

    def _count(self, number: int) -> None:
        self._parsed += number
        if self._parsed > HEAD_MAX_BYTES or self._headers > HEADERS_MAX:
            self._stop(TOO_LARGE)

    def _stop(self, problem: Problem) -> NoReturn:
        """Stops the parser, which makes its own error of this one."""
        self._problem = problem
        raise problem

    def _refuse(self, problem: Problem) -> None:
        """Answers what arrives now, after the answers that are due before, and ends the connection."""
        self._refused = True
        self._due = NEVER
        request_id = request_id_of(self.cycle.scope["headers"] if self._in_body else self.headers or ())
        if self._all.may_have_line(self._peer):
            log = structlog.get_logger()
            log.warning(
                "request refused",
                action="request_refused",
                kind=problem.kind,
                status=problem.status,
                client=self._peer,
                request_id=request_id,
            )
        answer = _answer(problem, request_id)
        cycle = self.cycle
        if cycle is None or (cycle.response_complete and not self._in_body):
            self._send_last(answer)
        elif not self._in_body:
            self._refusal = answer
            self.flow.resume_reading()  # else nobody sees a client leave
        elif self.pipeline:  # its body fails while it waits for its turn
            self.pipeline.popleft()
            self._refusal = answer
        elif cycle.response_started:  # it was answered before
            self.drop()
        else:
            self._disconnect(cycle)
            self._send_last(answer)

    def _disconnect(self, cycle: RequestResponseCycle) -> None:
        cycle.disconnected = True
        cycle.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _send_last(self, answer: bytes) -> None:
        if self.transport.is_closing():
            return
        self._lingers = True
        self._received = 0
        self._due = self.loop.time() + LINGER_S
        self.flow.resume_reading()
        self.transport.write(answer)
        self.transport.write_eof()


def _answer(problem: Problem, request_id: str) -> bytes:
    """The answer as our middleware would have sent it."""
    body = problem.body.model_dump_json().encode()
    fields = {
        **HEADERS,
        **problem.headers,
        "Cache-Control": "no-store",
        "X-Request-ID": request_id,
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
