"""Answers that are encoded without validation, compared with what their documented models write."""

from solve_api.bodies import Body
from solve_api.profiles.bodies import Profile
from solve_api.ranking.bodies import LeaderboardPage
from solve_producer.demo.simulation import simulate
from tests.api.served import serving
from tests.events import registered
from tests.projector.replay.test_replay import season
from tests.world import World

USERS = ("user-1", "user-2?tz=Asia/Kathmandu", "nobody yet")
BOARDS = (
    "?limit=7", "?limit=7&around=user-3", "?friends=user-1,user-2,nobody&me=user-1", "?period=year&tz=America/St_Johns",
    "?around=user-3&period=year",
)  # fmt: skip


async def test_each_answer_is_its_model(world: World) -> None:
    await world.publish([*simulate(season(14, 600)), registered("nobody yet", 7, 'a "name" \u2028 with all')])
    await world.run_once()
    async with serving(world) as api:
        await api.until_from("redis")
        asked: list[tuple[type[Body], str]] = [(Profile, f"/api/users/{user_id}") for user_id in USERS]
        asked += [(LeaderboardPage, f"/api/leaderboard{query}") for query in BOARDS]
        for model, path in asked:
            found = await api.anybody.get(path)
            assert found.status_code == 200, path
            assert found.text == model.model_validate_json(found.text).model_dump_json(), path
