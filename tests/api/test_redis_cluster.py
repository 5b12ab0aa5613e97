"""The API on a real cluster, by the node that has none of our keys: boards, live streams and limits use Redis."""

from pathlib import Path

from tests.api.listening import hearing
from tests.api.served import serving
from tests.events import registered, solved
from tests.valkeys import cluster, on_redis
from tests.world import World


async def test_boards_streams_and_limits_are_in_the_cluster(world: World, tmp_path: Path) -> None:
    async with cluster(tmp_path) as made:
        prefix = world.settings.leaderboard_prefix
        owner = await made.owner(f"{{{prefix}}}:current")
        world = on_redis(world, made.nodes[1 - owner].url())
        async with world.running(), serving(world) as api, hearing(world) as live:
            await live.started()
            page = await live.listen("a", board=True)
            await world.publish([registered("a"), solved("1", "a", "p")])
            await page.until_board("a")
            await api.until_from("redis")
            assert [row["user_id"] for row in (await api.get("/api/leaderboard"))["entries"]] == ["a"]
            async with api.admin():
                counted = [key for node in made.nodes for key in await node.ask("KEYS", f"{prefix}:limits*")]
        assert len(counted) == 1
