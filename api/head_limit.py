"""How long may the head of a request be? Fields and trailers are kept until they end; those without end are cut off."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.protection import HEAD_MAX_BYTES

REFUSAL = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class HeadLimit(HttpToolsProtocol):
    """uvicorn's fast parser has no limit of its own; `h11_max_incomplete_event_size` is for the other one."""

    _beside_body = 0  # bytes of this message that are no body

    def data_received(self, data: bytes) -> None:
        """Whatever a client sends."""
        self._beside_body += len(data)
        super().data_received(data)
        if self._beside_body > HEAD_MAX_BYTES and not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:  # nothing is put into another answer's middle
                self.transport.write(REFUSAL)
            self.transport.close()

    def on_body(self, body: bytes) -> None:
        """A part of a body, which has a limit of its own."""
        self._beside_body -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The next head is counted anew."""
        self._beside_body = 0
        super().on_message_complete()
