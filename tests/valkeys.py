"""Real Valkey servers for tests: nodes of a cluster, replicas, and Sentinels."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from redis.asyncio import Redis

from devstack.ports import HOST, free_port
from devstack.valkey import Valkey
from tests.waiting import until
from tests.world import World, environment_of

SLOTS = 16_384


class Server(Valkey):
    """A Valkey with more options."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder)
        self._more = options

    def command(self) -> list[str]:
        return [*super().command(), *self._more]

    async def ask(self, *words: Any) -> Any:
        """The answer to one command."""
        async with Redis(host=HOST, port=self.port, protocol=2) as client:
            return await client.execute_command(*words)


class SentinelServer(Server):
    """A Sentinel of one master, which it may replace by itself."""

    def __init__(self, folder: Path, master: Server, quick_ms: int = 500) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True)
        self._file = folder / "sentinel.conf"
        self._file.write_text(
            f"bind {HOST}\nport {self.port}\ndir {folder}\nsentinel monitor main {HOST} {master.port} 1\n"
            f"sentinel down-after-milliseconds main {quick_ms}\nsentinel failover-timeout main 3000\n"
        )

    def command(self) -> list[str]:
        return [super().command()[0], str(self._file), "--sentinel"]

    async def master(self) -> int:
        """The port of the master."""
        return int((await self.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"))[1])


@asynccontextmanager
async def started(*servers: Server) -> AsyncIterator[None]:
    """Runs them for the length of the block."""
    async with AsyncExitStack() as stack:
        for server in servers:
            await asyncio.to_thread(server.start)
            stack.push_async_callback(asyncio.to_thread, server.stop)
        yield


@dataclass
class Cluster:
    """Two nodes with half of the slots each."""

    nodes: tuple[Server, Server]

    async def owner(self, key: str) -> int:
        """Which node has the key: 0 or 1."""
        return int(await self.slot(key) >= SLOTS // 2)

    async def slot(self, key: str) -> int:
        return int(await self.nodes[0].ask("CLUSTER", "KEYSLOT", key))


@asynccontextmanager
async def cluster(folder: Path, *more: str) -> AsyncIterator[Cluster]:
    """A cluster that answers; `more` are options of its servers."""
    bus = [free_port(), free_port()]
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port")
    first, second = (Server(folder / str(number), *options, str(bus[number]), *more) for number in (0, 1))
    async with started(first, second):
        await first.ask("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS // 2 - 1)
        await second.ask("CLUSTER", "ADDSLOTSRANGE", SLOTS // 2, SLOTS - 1)
        await second.ask("CLUSTER", "SET-CONFIG-EPOCH", 2)
        await first.ask("CLUSTER", "MEET", HOST, second.port, bus[1])
        for node in (first, second):
            await until(lambda node=node: _is_whole(node), "the cluster to agree")
        yield Cluster((first, second))


async def _is_whole(node: Server) -> bool:
    said = await node.ask("CLUSTER", "INFO")
    return b"cluster_state:ok" in said and b"cluster_known_nodes:2" in said


def on_redis(world: World, url: str) -> World:
    """The world with another Redis."""
    settings = world.settings.model_copy(update={"redis_url": SecretStr(url)})
    return replace(world, settings=settings, environment=environment_of(world.connection, settings))
