"""Serves the API in the test's process, with clients for visitors, admins and scripts."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import httpx
import uvicorn

from solve_api.identity.accounts import create_admin
from solve_api.identity.sessions import now
from solve_api.identity.tokens import NewToken, Scope, create_token
from solve_api.process import listen, server_of
from solve_api.settings import ApiSettings
from tests.waiting import until
from tests.world import World

NAME, PASSWORD = "ada", "correct horse battery staple"


class Served:
    """A running API. `anybody` is a client that is not logged in."""

    def __init__(
        self, world: World, settings: ApiSettings, address: str, anybody: httpx.AsyncClient, server: uvicorn.Server
    ) -> None:
        self.world = world
        self.settings = settings
        self.address = address
        self.anybody = anybody
        self._server = server

    def stop(self) -> None:
        """As a SIGTERM."""
        self._server.should_exit = True

    async def get(self, path: str, **options: Any) -> Any:
        """The body of a 200."""
        found = await self.anybody.get(path, **options)
        assert found.status_code == 200, found.text
        return found.json()

    async def until_from(self, source: str) -> None:
        """Waits until boards are read from there."""

        async def is_there() -> bool:
            found = await self.anybody.get("/api/leaderboard")
            return found.headers.get("x-leaderboard-source") == source

        await until(is_there, f"boards to be read from {source}")

    async def create_admin(self, name: str = NAME, password: str = PASSWORD) -> int:
        """An account."""
        async with self.world.database() as database:
            return await create_admin(database, name, password)

    @asynccontextmanager
    async def admin(self, name: str = NAME, *, create: bool = True) -> AsyncIterator[httpx.AsyncClient]:
        """A client that is logged in with a cookie and sends the CSRF token."""
        if create:
            await self.create_admin(name)
        async with self.client() as client:
            found = await client.post("/api/admin/login", json={"name": name, "password": PASSWORD})
            assert found.status_code == 200, found.text
            client.headers["X-CSRF-Token"] = found.json()["csrf_token"]
            yield client

    @asynccontextmanager
    async def script(self, *scopes: Scope) -> AsyncIterator[httpx.AsyncClient]:
        """A client with a bearer token."""
        admin_id = await self.create_admin("robot")
        async with self.world.database() as database:
            raw, _ = await create_token(database, admin_id, NewToken("test", frozenset(scopes)), now())
        async with self.client(Authorization=f"Bearer {raw}") as client:
            yield client

    @asynccontextmanager
    async def client(self, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
        """Another browser, or another script."""
        async with httpx.AsyncClient(base_url=self.address, timeout=60, headers=headers) as client:
            yield client


def settings_of(world: World, **changes: Any) -> ApiSettings:
    """The world's settings and the API's own; any free port."""
    fields = {name: getattr(world.settings, name) for name in type(world.settings).model_fields}
    return ApiSettings(**{**fields, "api_port": 0, **changes})


@asynccontextmanager
async def serving(world: World, **changes: Any) -> AsyncIterator[Served]:
    """As `solve-api serve`, until the end of the block."""
    settings = settings_of(world, **changes)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    with closing(listen(settings)) as listening:
        server = server_of(world.connection, settings, listening, ready.set_result)
        task = asyncio.create_task(server.serve())
        try:
            await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
            assert ready.done(), f"the server did not begin: {task}"
            async with httpx.AsyncClient(base_url=ready.result(), timeout=60) as anybody:
                yield Served(world, settings, ready.result(), anybody, server)
        finally:
            server.should_exit = True
            await task


def problem_of(found: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """The body of an error, which is as RFC 9457 says."""
    assert found.status_code == status, found.text
    assert found.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(found.content)
    assert (body["type"], body["status"]) == (f"urn:solve-counts:problem:{kind}", status)
    assert body["title"]
    assert body["detail"]
    return body
