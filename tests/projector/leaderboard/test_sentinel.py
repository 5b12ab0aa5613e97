"""Real Sentinels, replicas and failovers: the client finds the new master, and the leaderboard is repaired."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from devstack.ports import HOST
from solve_projector.errors import LeaderboardUnavailable
from solve_projector.leaderboard.board import open_leaderboard
from solve_projector.leaderboard.reconciler import BoardReconciler
from solve_projector.store.postgresql import open_pool
from tests.events import registered, solved
from tests.valkeys import SentinelServer, Server, on_redis, started
from tests.waiting import until
from tests.world import World

SECRET = "s3cret"


@dataclass
class Sentinels:
    """A master, its replica, and a Sentinel of them."""

    master: Server
    replica: Server
    sentinel: SentinelServer
    world: World

    async def until_master_is(self, server: Server) -> None:
        async def is_master() -> bool:
            with suppress(RedisError, OSError):
                return (await server.ask("ROLE"))[0] == b"master" and await self.sentinel.master() == server.port
            return False

        await until(is_master, "the other one to be master")

    async def cut_off_replica(self) -> None:
        """What is written from now on is lost with the master."""
        await self.replica.ask("CONFIG", "SET", "primaryauth", "x", "primaryuser", "nobody")
        await self.master.ask("CLIENT", "KILL", "TYPE", "replica")
        await until(self._is_cut_off, "the replica to be cut off")

    async def _is_cut_off(self) -> bool:
        return (await self.replica.ask("ROLE"))[3] != b"connected"


@pytest.fixture
async def sentinels(world: World, tmp_path: Path) -> AsyncIterator[Sentinels]:
    master = Server(tmp_path / "master")
    replica = Server(tmp_path / "replica", "--replicaof", f"{HOST} {master.port}")
    sentinel = SentinelServer(tmp_path / "sentinel", master)
    async with started(master, replica, sentinel):
        url = f"redis+sentinel://{HOST}:1,{HOST}:{sentinel.port}/main/0"
        made = Sentinels(master, replica, sentinel, on_redis(world, url))

        async def known() -> bool:
            replicas = await sentinel.ask("SENTINEL", "REPLICAS", "main")
            return (await replica.ask("ROLE"))[3] == b"connected" and bool(replicas)

        await until(known, "the Sentinel to know the replica")
        yield made


async def test_programs_find_the_master_by_its_sentinels(sentinels: Sentinels) -> None:
    world = sentinels.world
    await world.publish([registered("a"), solved("1", "a", "p")])
    for words in (["run", "--once"], ["top"], ["sync-leaderboard", "--dry-run"], ["lag", "--json"]):
        async with world.process(*words) as process:
            out, log = await process.output  # type: ignore[attr-defined]
        assert process.returncode == 0, (words, out, log)
        assert b"unavailable" not in out + log
    assert await world.differences() == []


@pytest.mark.parametrize("how", ["asked for", "killed", "frozen"])
async def test_a_failover_is_followed(sentinels: Sentinels, how: str) -> None:
    world = sentinels.world
    await world.publish([registered("a"), solved("1", "a", "p")])
    async with world.running() as run:
        await world.until_right()
        if how == "asked for":
            await sentinels.sentinel.ask("SENTINEL", "FAILOVER", "main")
        else:
            (sentinels.master.kill if how == "killed" else sentinels.master.pause)()
        await sentinels.until_master_is(sentinels.replica)
        await world.publish([registered("b"), solved("2", "b", "p")])
        await world.until_right()
        assert not run.done()
    assert await sentinels.replica.ask("KEYS", f"{{{world.settings.leaderboard_prefix}}}:*")
    if how == "frozen":
        sentinels.master.resume()


async def test_what_only_the_old_master_had_is_written_again(sentinels: Sentinels) -> None:
    """A change without an offset: no watermark is stale after it is lost."""
    world = sentinels.world
    await world.publish([registered("a"), registered("b"), solved("1", "a", "p"), solved("2", "b", "p")])
    await world.run_once()
    async with open_pool(world.settings) as pool, open_leaderboard(world.settings, world.connection.topic) as board:
        process = BoardReconciler(pool, board, world.connection.topic)
        await sentinels.cut_off_replica()
        await pool.execute("UPDATE users SET problems_solved = 5, version = version + 1 WHERE user_id = 'a'")
        await pool.execute("INSERT INTO leaderboard_outbox (user_id) VALUES ('a')")
        await process.check_once()
        assert (await board.rows_of(["a"]))["a"].problems_solved == 5
        sentinels.master.kill()
        await sentinels.until_master_is(sentinels.replica)

        async def repaired() -> bool:
            await process.check_once()
            with suppress(LeaderboardUnavailable):
                return (await board.rows_of(["a"]))["a"].problems_solved == 5
            return False

        await until(repaired, "the change to be on the new master")
        assert await process.check_once()


async def test_a_master_that_becomes_a_replica_is_named_and_the_address_resolved_again(
    world: World, tmp_path: Path
) -> None:
    """Without Sentinels: one address leads to the master, as of a service of Kubernetes."""
    master, other = Server(tmp_path / "master"), Server(tmp_path / "other")
    async with started(master, other):
        world = on_redis(world, master.url())
        await world.publish([registered("a"), solved("1", "a", "p")])
        async with world.running():
            await world.until_right()
            before = await _connections(master)
            await master.ask("REPLICAOF", HOST, other.port)
            async with open_leaderboard(world.settings, world.connection.topic) as board:
                with pytest.raises(LeaderboardUnavailable, match="read-only replica") as caught:
                    await board.publish(1)
                assert "redis+sentinel://" in str(caught.value)
            await world.publish([solved("2", "a", "q")])
            await until(lambda: _reconnected(master, before), "new connections")
            await master.ask("REPLICAOF", "NO", "ONE")
            await world.until_right()


async def _connections(server: Server) -> set[bytes]:
    """The ids of projectors' connections."""
    lines = (await server.ask("CLIENT", "LIST")).splitlines()
    return {line.split()[0] for line in lines if b"name=solve-projector" in line}


async def _reconnected(server: Server, before: set[bytes]) -> bool:
    return bool(await _connections(server) - before)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("redis://user:{secret}@{sentinel}/0", "REDIS_URL is a Sentinel"),
        ("redis+sentinel://user:{secret}@{sentinel}/other/0", "No master found for 'other'"),
        ("redis+sentinel://user:{secret}@{host}:1/main/0?sentinel_password={secret}", "No master found for 'main'"),
        ("redis+sentinel://user:{secret}@{sentinel}/main/0", "invalid username-password pair"),
    ],
)
async def test_what_is_wrong_with_an_address_is_said_without_its_password(
    sentinels: Sentinels, form: str, words: str
) -> None:
    url = form.format(secret=SECRET, sentinel=f"{HOST}:{sentinels.sentinel.port}", host=HOST)
    if "is a Sentinel" in words:
        url = url.replace(f"user:{SECRET}@", "")
    world = on_redis(sentinels.world, url)
    async with open_leaderboard(world.settings, world.connection.topic) as board:
        with pytest.raises(LeaderboardUnavailable, match=words) as caught:
            await asyncio.wait_for(board.state(1), 60)
    assert SECRET not in str(caught.value)
