"""The answers of a contest system for tests: in chunks of any size, compressed, cut or ended at any byte."""

import asyncio
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """How the server answers one request for the feed. `then`: what follows once what exists was sent.

    After `cut_at` bytes the connection is cut, as by a network, or with `then="end"` ended as if all had been sent.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    then: str = "follow"
    cut_at: int | None = None
    reordered: Callable[[list[bytes]], list[bytes]] = list
    gzipped: bool = False
    piece: int = 1 << 16


class Ending(Exception):
    """The answer ends here; `clean` with what HTTP says at an end."""

    def __init__(self, *, clean: bool) -> None:
        self.clean = clean


class Answer:
    """Writes one answer, in chunks, each flushed."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._turn = Turn()
        self._sent = 0
        self._gzip: Any = None

    async def whole(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """An answer with a length."""
        more = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
        await self._head(status, more)
        self._writer.write(body)
        await self._writer.drain()

    async def begin(self, turn: Turn) -> None:
        """The head of an answer in chunks."""
        self._turn = turn
        headers = {"Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked", **turn.headers}
        if turn.gzipped:
            headers["Content-Encoding"] = "gzip"
            self._gzip = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
        await self._head(200, headers)

    async def send(self, content: bytes) -> None:
        """Writes content, up to the byte after which the answer is to end. Raises Ending there."""
        if self._turn.cut_at is not None:
            content = content[: self._turn.cut_at - self._sent]
        self._sent += len(content)
        for start in range(0, len(content), self._turn.piece):
            await self._chunk(content[start : start + self._turn.piece])
        if self._sent == self._turn.cut_at:
            raise Ending(clean=self._turn.then == "end")

    async def end(self) -> None:
        """The end of a whole answer."""
        if self._gzip:
            await self._chunk(b"", last=True)
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    async def _chunk(self, content: bytes, *, last: bool = False) -> None:
        if self._gzip and (content or last):
            content = self._gzip.compress(content) + self._gzip.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
        if content:
            self._writer.write(b"%x\r\n%b\r\n" % (len(content), content))
            await self._writer.drain()

    async def _head(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} Said", "Connection: close", *(f"{name}: {one}" for name, one in headers.items())]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await self._writer.drain()
