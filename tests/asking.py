"""Reads a running projector's health and metrics over HTTP."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from solve_projector.live.process import Projector, open_projector, run_projector
from tests.world import World

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def get(port: int, page: str) -> tuple[int, str]:
    """Status and body; for a thread, since the answer must not need this event loop."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()


def parsed(text: str) -> Series:
    """Each series of a scrape."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def series_of(registry: CollectorRegistry) -> Series:
    """What a scrape of this registry would find."""
    return parsed(generate_latest(registry).decode())


def by_labels(series: Series, name: str) -> dict[tuple[str, ...], float]:
    """One metric's values above 0 by its labels' values, in the order of the labels' names."""
    return {
        tuple(value for _, value in sorted(labels)): number
        for (found, labels), number in series.items()
        if found == name and number
    }


@dataclass(frozen=True)
class Watched:
    """A projector of this process, and the port it is asked at."""

    projector: Projector
    port: int

    async def page(self, name: str) -> tuple[int, Any]:
        """Status, and what the JSON says."""
        status, body = await asyncio.to_thread(get, self.port, name)
        return status, json.loads(body)

    async def missing(self) -> dict[str, str]:
        """What readiness lacks."""
        status, said = await self.page("/readyz")
        assert status == (503 if said["missing"] else 200)
        return dict(said["missing"])

    async def ready(self) -> bool:
        """Whether it lacks nothing."""
        return not await self.missing()

    async def series(self) -> Series:
        """A scrape."""
        status, body = await asyncio.to_thread(get, self.port, "/metrics")
        assert status == 200
        return parsed(body)

    async def values(self, name: str) -> dict[tuple[str, ...], float]:
        """One metric of a scrape, see `by_labels`."""
        return by_labels(await self.series(), name)


@asynccontextmanager
async def watched(world: World, **changes: Any) -> AsyncIterator[Watched]:
    """`solve-projector run` in this process with SOLVE_METRICS_PORT=0; stopped in its clean way on exit."""
    settings = world.settings.model_copy(update={"metrics_port": 0, **changes})
    stopping = asyncio.Event()
    async with open_projector(world.connection, settings) as projector:
        assert projector.metrics_port
        task = asyncio.create_task(run_projector(projector, stopping))
        try:
            yield Watched(projector, projector.metrics_port)
            stopping.set()
            await task
        finally:
            task.cancel()
            await asyncio.wait([task])
