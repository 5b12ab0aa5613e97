"""Serves the live pages, with an admin made for this run and solves that go on until Ctrl-C."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from socket import socket
from typing import Any

from bench.common import open_database
from solve_api.identity.accounts import create_admin
from solve_api.process import listen, server_of
from solve_api.settings import ApiSettings
from solve_producer.demo.ongoing import publish_live
from solve_projector.live.process import open_projector, run_projector
from solve_projector.settings import ProjectorSettings
from solve_runtime.console import print_lines, stopping_event
from solve_runtime.errors import AddressUnusable
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.events import Event

NAME = "demo"
EVENTS_PER_S = 4


async def show_pages(connection: KafkaConnection, events: Sequence[Event]) -> list[Event]:
    """Serves the pages, and publishes solves of the season's users until SIGINT or SIGTERM; the events it published.

    Everything published is in PostgreSQL and in Redis when it returns.
    """
    settings = ApiSettings()
    password = await _make_admin(settings)
    stopping = stopping_event()
    published: list[Event] = []
    with closing(_listen(settings)) as listening:
        server = server_of(connection, settings, listening, lambda address: _tell(address, password))
        async with _running(server.serve()) as serving, _projecting(connection, settings) as projecting:
            solving = asyncio.create_task(publish_live(connection, events, EVENTS_PER_S, stopping, published.append))
            ended = asyncio.create_task(stopping.wait())
            await asyncio.wait({serving, projecting, solving, ended}, return_when=asyncio.FIRST_COMPLETED)
            stopping.set()
            await solving
            server.should_exit = True
    async with open_projector(connection, settings) as projector:
        await run_projector(projector, asyncio.Event(), once=True)
    print_lines("", f"stopped after {len(published)} more events")
    return published


@asynccontextmanager
async def _projecting(connection: KafkaConnection, settings: ProjectorSettings) -> AsyncIterator[asyncio.Task[Any]]:
    stopping = asyncio.Event()
    async with open_projector(connection, settings) as projector, _running(run_projector(projector, stopping)) as task:
        try:
            yield task
        finally:
            stopping.set()


@asynccontextmanager
async def _running(work: Any) -> AsyncIterator[asyncio.Task[Any]]:
    """Beside the block; its end is waited for, and its error raised."""
    task = asyncio.create_task(work)
    yield task
    await task


async def _make_admin(settings: ApiSettings) -> str:
    password = secrets.token_urlsafe(15)
    async with open_database(settings) as database:
        await create_admin(database, NAME, password)
    return password


def _listen(settings: ApiSettings) -> socket:
    try:
        return listen(settings)
    except AddressUnusable:
        if "api_port" in settings.model_fields_set:
            raise
        print_lines(f"port {settings.api_port} is taken, so the pages are at another one", to_errors=True)
        return listen(settings.model_copy(update={"api_port": 0}))


def _tell(address: str, password: str) -> None:
    print_lines(
        "",
        f"pages: {address}   admin: {address}/admin   name: {NAME}   password: {password}",
        f"About {EVENTS_PER_S} verdicts a second go on: open a profile or the board and watch. Ctrl-C ends.",
    )
