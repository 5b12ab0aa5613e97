"""Relays for tests: in this process, or as processes of their own."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr

from solve_producer.client import SolveProducer
from solve_schemas.event_source import DEFAULT_SOURCE
from solve_sources.outbox.relay import Relay, Relayed
from solve_sources.outbox.settings import OutboxSettings
from solve_sources.outbox.telemetry import RelayTelemetry
from tests.sources.outbox.judges import Judge
from tests.world import World


def settings_of(judge: Judge, **changes: Any) -> OutboxSettings:
    """Small batches, and polls that no test waits for."""
    fields: dict[str, Any] = {"outbox_batch_rows": 20, "outbox_poll_s": 0.05}
    return OutboxSettings(outbox_database_url=SecretStr(judge.url), **(fields | changes))


async def relay_once(
    world: World, judge: Judge, *, keep: bool = False, source: str = DEFAULT_SOURCE, **changes: Any
) -> Relayed:
    """What `relay --once` did."""
    async with SolveProducer(world.connection) as producer:
        relay = Relay(settings_of(judge, **changes), producer, RelayTelemetry(), source=source, keep=keep)
        await relay.run_once()
    return relay.done


@asynccontextmanager
async def relaying(judge: Judge, producer: Any, telemetry: RelayTelemetry | None = None) -> AsyncIterator[Relay]:
    """A relay that runs until exit, where it is stopped in its clean way."""
    stopping = asyncio.Event()
    relay = Relay(settings_of(judge), producer, telemetry or RelayTelemetry())
    task = asyncio.create_task(relay.run(stopping))
    try:
        yield relay
    finally:
        stopping.set()
        await task


@asynccontextmanager
async def relay_process(world: World, judge: Judge, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`solve-producer relay`, killed at exit where it still runs; its log is its standard error."""
    ours = {
        "OUTBOX_DATABASE_URL": judge.url, "SOLVE_OUTBOX_POLL_S": "0.05", "SOLVE_OUTBOX_BATCH_ROWS": "20"
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "solve_producer", "relay",
        env=world.environment | ours | environment, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
