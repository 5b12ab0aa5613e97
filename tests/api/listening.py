"""Event streams for tests: a server in this process, and listeners so light that a thousand fit."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

import uvicorn

from solve_api.live.changes import Changes
from solve_api.process import listen, server_of
from tests.api.served import settings_of
from tests.waiting import until
from tests.world import World

HOST = "127.0.0.1"


class Heard(NamedTuple):
    """One event, as an EventSource would dispatch it."""

    kind: str
    data: Any
    id: str


class Listener:
    """One open stream; `last_id` moves as an EventSource's does."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard: list[Heard] = []
        self.last_id = ""
        self.heartbeats = 0
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""  # of an answer that is no stream
        self.open = True
        self._reader = reader
        self._writer = writer
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def begin(cls, port: int, query: list[tuple[str, str]], last_id: str = "") -> Self:
        """Asks, and reads the head of the answer."""
        made = cls(*await asyncio.open_connection(HOST, port))
        head = f"GET /api/events?{urlencode(query)} HTTP/1.1\r\nHost: {HOST}\r\n"
        head += f"Last-Event-ID: {last_id}\r\n" if last_id else ""
        made._writer.write(f"{head}\r\n".encode())
        status, *lines = (await made._reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        made.status = int(status.split()[1])
        made.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        if made.status != 200:
            made.body = await made._reader.readexactly(int(made.headers["content-length"]))
        return made

    def listen(self) -> Self:
        """Hears from now on."""
        if self.status == 200:
            self._task = asyncio.create_task(self._hear())
        return self

    async def close(self) -> None:
        """As a page that is left."""
        self._writer.close()
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    def of(self, kind: str) -> list[Any]:
        """The data of these events."""
        return [event.data for event in self.heard if event.kind == kind]

    def counts(self, user_id: str) -> list[int]:
        """What was heard of a user, in order."""
        return [data["problems_solved"] for data in self.of("user") if data["user_id"] == user_id]

    async def until_counts(self, user_id: str, count: int) -> None:
        """Waits for it to be the newest, and sees that none went back."""
        await until(lambda: self.counts(user_id)[-1:] == [count], f"{user_id} to have {count}")
        versions = [data["version"] for data in self.of("user") if data["user_id"] == user_id]
        assert versions == sorted(set(versions))

    async def until_board(self, *user_ids: str) -> None:
        """Waits until the board's readers know that these moved."""

        def named() -> bool:
            seen = {row["user_id"] for data in self.of("board") for row in data["changed"]}
            return seen >= set(user_ids) or any(data["many"] for data in self.of("board"))

        await until(named, f"the board to tell of {user_ids}")

    async def _hear(self) -> None:
        text = b""
        try:
            while size := int(await self._reader.readuntil(b"\r\n"), 16):
                text += (await self._reader.readexactly(size + 2))[:-2]
                *blocks, text = text.split(b"\r\n\r\n")
                for block in blocks:
                    self._dispatch(block.decode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open = False

    def _dispatch(self, block: str) -> None:
        fields = dict(line.split(": ", 1) for line in block.split("\r\n") if not line.startswith(":"))
        self.last_id = fields.get("id", self.last_id)
        self.heartbeats += block.startswith(":")
        if "data" in fields:
            self.heard.append(Heard(fields.get("event", "message"), json.loads(fields["data"]), self.last_id))


class Api:
    """A served API and who listens to it."""

    def __init__(self, server: uvicorn.Server, port: int) -> None:
        self.server = server
        self.port = port
        self._listeners: list[Listener] = []

    @property
    def changes(self) -> Changes:
        """What its process knows of changes."""
        found: Changes = self.server.config.app.state.stores.changes  # type: ignore[union-attr]
        return found

    async def listen(self, *user_ids: str, board: bool = False, last_id: str = "", **query: str) -> Listener:
        """An open stream that is read; closed with the server."""
        asked = [("user_id", user_id) for user_id in user_ids] + list(query.items())
        listener = await Listener.begin(self.port, asked + ([("board", "true")] if board else []), last_id)
        self._listeners.append(listener)
        return listener.listen()

    async def started(self) -> None:
        """Waits until the stream of changes is read."""
        await until(lambda: not self.changes.unavailable, "the stream of changes to be read")

    async def close(self) -> None:
        """Leaves every stream."""
        await asyncio.gather(*(listener.close() for listener in self._listeners))


@asynccontextmanager
async def hearing(world: World, **changes: Any) -> AsyncIterator[Api]:
    """As `solve-api serve`, at a port of its own, until the end of the block."""
    settings = settings_of(world, **changes)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    with closing(listen(settings)) as listening:
        server = server_of(world.connection, settings, listening, ready.set_result)
        task = asyncio.create_task(server.serve())
        api = Api(server, listening.getsockname()[1])
        try:
            await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
            assert ready.done(), f"the server did not begin: {task}"
            yield api
        finally:
            await api.close()
            server.should_exit = True
            await task
