"""What is answered before there is a request? Nonsense that is no HTTP, and a head or trailers without end."""

from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from solve_api.http.headers import HEAD_MAX_BYTES, HEADERS
from solve_api.http.problems import MEDIA_TYPE, Problem

TOO_LARGE = Problem(
    431,
    "head-too-large",
    "The head of the request is too large",
    f"Address and header fields may have {HEAD_MAX_BYTES} bytes together; send fewer.",
)
NO_HTTP = Problem(400, "bad-request", "The request cannot be read", "This is no HTTP request; send one (RFC 9112).")


class HeadLimit(HttpToolsProtocol):
    """uvicorn's fast parser has no limit of its own; `h11_max_incomplete_event_size` is for the other one."""

    _beside_body = 0  # bytes of this message that are no body

    def data_received(self, data: bytes) -> None:
        """Whatever a client sends."""
        self._beside_body += len(data)
        super().data_received(data)
        if self._beside_body > HEAD_MAX_BYTES and not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:  # nothing is put into another answer's middle
                self.transport.write(_answer(TOO_LARGE))
            self.transport.close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words
        """Of what the parser refuses."""
        self.transport.write(_answer(NO_HTTP))
        self.transport.close()

    def on_body(self, body: bytes) -> None:
        """A part of a body, which has a limit of its own."""
        self._beside_body -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The next head is counted anew."""
        self._beside_body = 0
        super().on_message_complete()


def _answer(problem: Problem) -> bytes:
    """As our layers would have sent it, which it never reaches."""
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
