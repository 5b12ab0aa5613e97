"""Real clusters: the leaderboard is right whichever node REDIS_URL names, also while its slot moves."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from devstack.ports import HOST
from solve_projector.errors import LeaderboardUnavailable
from solve_projector.leaderboard.board import open_leaderboard
from tests.events import registered, solved
from tests.valkeys import Cluster, cluster, on_redis
from tests.waiting import until
from tests.world import World

SECRET = "s3cret"


@pytest_asyncio.fixture(scope="module")
async def nodes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


def key_of(world: World) -> str:
    return f"{{{world.settings.leaderboard_prefix}}}:current"


@pytest.mark.parametrize("form", ["the node that has our keys", "another node", "two nodes, the first one gone"])
async def test_programs_work_whichever_node_the_address_names(world: World, nodes: Cluster, form: str) -> None:
    owner = await nodes.owner(key_of(world))
    url = {
        "the node that has our keys": nodes.nodes[owner].url(),
        "another node": nodes.nodes[1 - owner].url(),
        "two nodes, the first one gone": f"redis+cluster://{HOST}:1,{HOST}:{nodes.nodes[1 - owner].port}",
    }[form]
    world = on_redis(world, url)
    await world.publish([registered("a"), solved("1", "a", "p")])
    for words in (["run", "--once"], ["top"], ["sync-leaderboard"], ["replay"], ["lag", "--json"], ["user", "a"]):
        async with world.process(*words) as process:
            out, log = await process.output  # type: ignore[attr-defined]
        assert process.returncode == 0, (words, out, log)
        assert b"unavailable" not in out + log
        assert b"MOVED" not in out + log
    assert await world.differences() == []


async def test_a_slot_that_moves_to_another_node_takes_the_leaderboard_with_it(world: World, nodes: Cluster) -> None:
    owner = await nodes.owner(key_of(world))
    here, there = nodes.nodes[owner], nodes.nodes[1 - owner]
    slot = await nodes.slot(key_of(world))
    names = [(await node.ask("CLUSTER", "MYID")).decode() for node in (here, there)]
    world = on_redis(world, here.url())
    async with world.running() as run:
        await world.publish([registered("a"), solved("1", "a", "p")])
        await world.until_right()
        await there.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", names[0])
        await here.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", names[1])
        await world.publish([registered("b"), solved("2", "b", "p")])
        while keys := await here.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            await here.ask("MIGRATE", HOST, there.port, "", 0, 5000, "KEYS", *keys)
        for node in (there, here):
            await node.ask("CLUSTER", "SETSLOT", slot, "NODE", names[1])
        await world.publish([solved("3", "b", "q")])
        await world.until_right()
        assert not run.done()
    assert await there.ask("GET", key_of(world)) is not None


async def test_a_slot_that_no_node_serves_is_named(world: World, tmp_path: Path) -> None:
    async with cluster(tmp_path) as made:
        owner = made.nodes[await made.owner(key_of(world))]
        slot = await made.slot(key_of(world))
        world = on_redis(world, owner.url())
        await world.publish([registered("a"), solved("1", "a", "p")])
        async with world.running():
            await world.until_right()
            await owner.ask("CLUSTER", "DELSLOTS", slot)
            async with open_leaderboard(world.settings, world.connection.topic) as board:
                with pytest.raises(LeaderboardUnavailable, match="does not serve the slot of our keys"):
                    await board.state(1)
            await owner.ask("CLUSTER", "ADDSLOTS", slot)
            await world.publish([solved("2", "a", "q")])
            await world.until_right()


async def test_a_redirect_that_nothing_announced_is_named_and_then_followed(world: World, tmp_path: Path) -> None:
    """Where HELLO is unknown, nothing says that it is a cluster, until a node redirects."""
    async with cluster(tmp_path, "--rename-command", "HELLO", "") as made:
        owner = await made.owner(key_of(world))
        for node in made.nodes:
            await node.ask("ACL", "SETUSER", "default", f">{SECRET}")
        port = made.nodes[1 - owner].port
        world = on_redis(world, f"redis://:{SECRET}@{HOST}:{port}/0?protocol=2")
        async with open_leaderboard(world.settings, world.connection.topic) as board:
            with pytest.raises(LeaderboardUnavailable, match="node of a Redis Cluster") as caught:
                await board.state(1)
            assert SECRET not in str(caught.value)
            assert (await board.state(1)).current is None


async def test_a_database_number_that_a_cluster_lacks_is_named(world: World, nodes: Cluster) -> None:
    world = on_redis(world, nodes.nodes[0].url().replace("/0", "/3"))
    async with open_leaderboard(world.settings, world.connection.topic) as board:
        with pytest.raises(LeaderboardUnavailable):
            await board.state(1)
        world = on_redis(world, f"redis+cluster://{HOST}:{nodes.nodes[0].port}/3")
    async with open_leaderboard(world.settings, world.connection.topic) as board:
        with pytest.raises(LeaderboardUnavailable, match="database 0 alone"):
            await until(lambda: board.state(1), "an answer")
