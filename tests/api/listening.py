"""How does a test hear what the API tells? A server in this process, and listeners so light that a thousand fit."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

import uvicorn
from fastapi import FastAPI

from api.live.changes import Changes, open_changes
from api.problems import add_problem_handlers
from api.routes import events
from api.settings import ApiSettings
from api.stores import Stores
from projector.database import open_pool
from projector.leaderboard import open_leaderboard
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
        if "data" in fields:
            self.heard.append(Heard(fields.get("event", "message"), json.loads(fields["data"]), self.last_id))


class Api:
    """A served API with nothing but its live updates."""

    def __init__(self, changes: Changes, port: int) -> None:
        self.changes = changes
        self.port = port
        self._listeners: list[Listener] = []

    async def listen(self, *user_ids: str, board: bool = False, last_id: str = "", **query: str) -> Listener:
        """An open stream that is read; closed with the server."""
        asked = [("user_id", user_id) for user_id in user_ids] + list(query.items())
        listener = await Listener.begin(self.port, asked + ([("board", "true")] if board else []), last_id)
        self._listeners.append(listener)
        return listener.listen()

    async def begun(self) -> None:
        """Waits until the stream of changes is read."""
        await until(lambda: not self.changes.away, "the stream of changes to be read")

    async def close(self) -> None:
        """Leaves every stream."""
        await asyncio.gather(*(listener.close() for listener in self._listeners))


@asynccontextmanager
async def serving(world: World, **more: Any) -> AsyncIterator[Api]:
    """The API of this world's stores, at a port of its own."""
    fields = {name: getattr(world.settings, name) for name in type(world.settings).model_fields}
    settings = ApiSettings(**fields | more)
    async with (
        open_pool(settings) as pool,
        open_leaderboard(settings, world.connection.topic) as board,
        open_changes(settings, pool, world.connection.topic) as changes,
    ):
        app = FastAPI()
        app.include_router(events.router)
        add_problem_handlers(app)
        app.state.stores = Stores(
            connection=world.connection, settings=settings, pool=pool, board=board, changes=changes
        )
        with socket.create_server((HOST, 0), backlog=2_000) as listening:
            config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=10)
            server = uvicorn.Server(config)
            task = asyncio.create_task(server.serve([listening]))
            api = Api(changes, listening.getsockname()[1])
            try:
                yield api
            finally:
                await api.close()
                changes.close_streams()
                server.should_exit = True
                await task
