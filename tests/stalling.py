"""A proxy that stops a writer between two messages of one statement."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

HOST = "127.0.0.1"
FLUSH = b"H\x00\x00\x00\x04"  # PostgreSQL manual, 54.7: the statement is prepared and asks for no ReadyForQuery
PIECE = 2**16


class StallingProxy:
    """Before a PostgreSQL server; the first connection that prepares a statement with these words stalls after it."""

    def __init__(self, database_url: str, words: bytes) -> None:
        self._target = urlsplit(database_url)
        self._words = words
        self.stalled = asyncio.Event()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """The database's address through the proxy."""
        server = await asyncio.start_server(self._serve, HOST, 0)
        login, at, _ = self._target.netloc.rpartition("@")
        port = server.sockets[0].getsockname()[1]
        async with server:
            yield self._target._replace(netloc=f"{login}{at}{HOST}:{port}").geturl()
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward, back = await asyncio.open_connection(self._target.hostname, self._target.port or 5432)
        with suppress(OSError):
            await asyncio.gather(self._forward_until_prepared(reader, back), _forward(onward, writer))

    async def _forward_until_prepared(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = b""
        while piece := await reader.read(PIECE):
            at = -1 if self.stalled.is_set() else (seen + piece).find(self._words)
            if at >= 0 and (end := (seen + piece).find(FLUSH, at)) >= 0:
                writer.write((seen + piece)[len(seen) : end + len(FLUSH)])
                self.stalled.set()
                while await reader.read(PIECE):  # the connection stays, and says nothing more
                    pass
                break
            writer.write(piece)
            await writer.drain()
            seen = (seen + piece)[-PIECE:]
        writer.close()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()
    writer.close()
