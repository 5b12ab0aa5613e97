"""Reads Server-Sent Events with a socket and little else, so that a hundred listeners cost next to nothing."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

Hear = Callable[[str, int], None]  # a user's id, and how many they have solved


class Listener:
    """One open stream that watches a user and the board."""

    def __init__(self, user_id: str, hear: Hear) -> None:
        self.boards = 0
        self._user_id = user_id
        self._hear = hear
        self._writer: asyncio.StreamWriter | None = None

    async def listen(self, url: str) -> None:
        """Until it is cancelled. Raises ConnectionError where the stream ends before."""
        address = urlsplit(url)
        reader, self._writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            query = urlencode({"user_id": self._user_id, "board": "true"})
            self._writer.write(f"GET /api/events?{query} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head.partition(b"\r\n")[0]:
                raise ConnectionError(head.decode())
            await self._read(reader)
        finally:
            self._writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        text = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            text += (await reader.readexactly(size + 2))[:-2]
            *blocks, text = text.split(b"\r\n\r\n")
            for block in blocks:
                self._dispatch(block)
        raise ConnectionError("the server ended a stream")

    def _dispatch(self, block: bytes) -> None:
        fields = dict(line.split(b": ", 1) for line in block.split(b"\r\n") if b": " in line)
        match fields.get(b"event"):
            case b"board":
                self.boards += 1
            case b"user":
                said: dict[str, Any] = json.loads(fields[b"data"])
                self._hear(said["user_id"], said["problems_solved"])
