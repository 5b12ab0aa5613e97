"""Limits the size of a request's head and trailers, and answers what is not HTTP in our own words.

uvicorn's own limit works with h11 alone, which answers a request that conflicting length headers hide in a body.
"""

from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from solve_api.http.headers import HEAD_MAX_BYTES, HEADERS
from solve_api.http.problems import MEDIA_TYPE, Problem

TOO_LARGE = Problem(
    431,
    "head-too-large",
    "The request head is too large",
    f"The address and the headers may have {HEAD_MAX_BYTES} bytes together; send fewer.",
)
NOT_HTTP = Problem(400, "bad-request", "The request cannot be read", "This is not an HTTP request (RFC 9112).")


class HeadLimit(HttpToolsProtocol):
    """uvicorn's protocol for httptools, which has no limit of its own."""

    _head_bytes = 0  # of this message, trailers included

    def data_received(self, data: bytes) -> None:
        """Counts everything that a client sends."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > HEAD_MAX_BYTES and not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:  # never in the middle of another answer
                self.transport.write(_answer(TOO_LARGE))
            self.transport.close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own text
        """Answers what the parser refuses."""
        self.transport.write(_answer(NOT_HTTP))
        self.transport.close()

    def on_body(self, body: bytes) -> None:
        """Takes the body out of the count; it has its own limit."""
        self._head_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Starts the count of the next head."""
        self._head_bytes = 0
        super().on_message_complete()


def _answer(problem: Problem) -> bytes:
    """The answer as our middleware would have sent it."""
    body = problem.body.model_dump_json().encode()
    fields = {
        **HEADERS,
        "Cache-Control": "no-store",
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
