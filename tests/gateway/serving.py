"""Gateways for tests: in this process, or as processes of their own, with a token for each judge."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from solve_gateway.process import opened
from solve_gateway.settings import GatewaySettings
from solve_gateway.tokens import add_token
from solve_runtime.kafka_settings import KafkaConnection
from tests.asking import parsed
from tests.waiting import until
from tests.world import World

KEY = "0123456789abcdef" * 4
NDJSON = {"Content-Type": "application/x-ndjson"}
JSON = {"Content-Type": "application/json"}


class Served:
    """A running gateway."""

    def __init__(self, address: str, tokens_file: Path) -> None:
        self.address = address
        self.tokens_file = tokens_file

    @asynccontextmanager
    async def judge(self, name: str = "judge", *sources: str) -> AsyncIterator[httpx.AsyncClient]:
        """A client with a token of its own."""
        raw = add_token(self.tokens_file, name, sources)
        async with self.client(Authorization=f"Bearer {raw}") as client:
            yield client

    @asynccontextmanager
    async def client(self, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
        """A client without a token."""
        async with httpx.AsyncClient(base_url=self.address, headers=headers, timeout=60) as client:
            yield client


@asynccontextmanager
async def gateway(connection: KafkaConnection, folder: Path, **changes: Any) -> AsyncIterator[Served]:
    """As `solve-producer serve`, until the end of the block."""
    path = folder / "tokens.json"
    if not path.exists():
        add_token(path, "first")
    fields: dict[str, Any] = {
        "gateway_tokens_file": path, "gateway_port": 0, "gateway_callback_key": KEY, "gateway_url": "http://gateway"
    }  # fmt: skip
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with opened(connection, GatewaySettings(**(fields | changes)), ready.set_result) as server:
        task = asyncio.create_task(server.serve())
        try:
            await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
            assert ready.done(), f"the gateway did not start: {task}"
            yield Served(ready.result(), path)
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def gateway_process(
    world: World, folder: Path, *words: str, **environment: str
) -> AsyncIterator[tuple[Served, asyncio.subprocess.Process]]:
    """`solve-producer serve`, killed at exit where it still runs."""
    path = folder / "tokens.json"
    if not path.exists():
        add_token(path, "first")
    ours = {"SOLVE_GATEWAY_TOKENS_FILE": str(path), "SOLVE_GATEWAY_PORT": "0", "SOLVE_GATEWAY_CALLBACK_KEY": KEY}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "solve_producer", "serve", "--json", *words,
        env=world.environment | ours | environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    try:
        line = await process.stdout.readline()
        assert line, (await process.communicate())[1].decode()
        yield Served(json.loads(line)["url"], path), process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def until_metric(port: int, name: str, value: float) -> None:
    """Waits until a metric without labels has this value."""

    async def has() -> bool:
        try:
            text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
        except httpx.HTTPError:
            return False
        return parsed(text)[name, frozenset()] == value

    async with httpx.AsyncClient() as client:
        await until(has, f"{name} to be {value}", poll_s=0.01)
