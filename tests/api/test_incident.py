"""The incident over HTTP: a profile says 0, an admin sees 15 of 50, repairs, and everything is right."""

from redis.asyncio import Redis

from tests.api.served import Served, serving
from tests.events import registered, solved
from tests.world import World

USERS = [f"u{number:02}" for number in range(50)]
LOST = USERS[:15]
KEYS = ["success", "message", "total_users", "users_updated", "users_unchanged", "updates"]
BACKFILL, SYNC = "/api/admin/backfill-problems-solved", "/api/admin/sync-leaderboard"


async def lose_solves(world: World) -> None:
    """Fifty users, of whom fifteen have their solves in the log alone: neither count nor board knows them."""
    await world.publish(registered(user) for user in USERS)
    await world.publish(
        solved(f"{user}-{problem}", user, f"p{problem}", 60 * number + problem)
        for number, user in enumerate(USERS)
        for problem in range(1 + number % 4)
    )
    await world.run_once()
    async with world.database() as database:
        await database.execute("DELETE FROM verdicts WHERE user_id = ANY ($1)", LOST)
        await database.execute(
            "UPDATE users SET problems_solved = 0, last_solved_at = NULL WHERE user_id = ANY ($1)", LOST
        )
    async with Redis.from_url(world.settings.redis_url.get_secret_value()) as redis:
        (board,) = await redis.keys(f"*{world.settings.leaderboard_prefix}*:board")
        assert await redis.zrem(board, *LOST) == len(LOST)


async def board_of(api: Served) -> list[tuple[int, str, int]]:
    """The whole board, page by page."""
    found: list[tuple[int, str, int]] = []
    asked: dict[str, str | int] = {"limit": 20}
    while True:
        page = await api.get("/api/leaderboard", params=asked)
        found += [(one["rank"], one["user_id"], one["problems_solved"]) for one in page["entries"]]
        if page["next_cursor"] is None:
            assert len(found) == page["total"]
            return found
        asked["cursor"] = page["next_cursor"]


def right_board(world: World) -> list[tuple[int, str, int]]:
    """A few plain lines."""
    ranked = sorted(
        (-one.problems_solved, one.last_solved_at, user_id) for user_id, one in world.model().solved.items()
    )
    return [(rank, user_id, -solved) for rank, (solved, _, user_id) in enumerate(ranked, 1)]


async def test_the_incident_from_the_page_that_says_0_to_the_board_that_is_right(world: World) -> None:
    await lose_solves(world)
    model = world.model().solved
    async with serving(world) as api, api.admin() as admin:
        assert (await api.get("/api/users/u03"))["problems_solved"] == 0
        assert len(await board_of(api)) == 35

        dry = (await admin.post(BACKFILL, params={"dry_run": "true"})).json()
        assert (dry["dry_run"], dry["users_updated"], dry["total_users"]) == (True, 15, 50)
        assert (await api.get("/api/users/u03"))["problems_solved"] == 0

        done = await admin.post(BACKFILL)
        assert done.status_code == 200
        report = done.json()
        assert list(report)[: len(KEYS)] == KEYS
        assert report["success"] is True
        assert report["message"] == "Backfill complete: 15 users updated out of 50"
        assert (report["total_users"], report["users_updated"], report["users_unchanged"]) == (50, 15, 35)
        updates = [(one["user_id"], one["username"], one["old_count"], one["new_count"]) for one in report["updates"]]
        assert sorted(updates) == [(user, f"name of {user}", 0, model[user].problems_solved) for user in LOST]
        assert (await api.get("/api/users/u03"))["problems_solved"] == 4

        assert (await admin.post(SYNC)).json()["success"] is True
        again = (await admin.post(BACKFILL)).json()
        assert (again["users_updated"], again["drift"]) == (0, False)
        await api.until_from("redis")
        assert await board_of(api) == right_board(world)
    assert await world.differences() == []


async def test_the_board_alone_is_repaired_by_a_sync(world: World) -> None:
    await world.publish([registered("a"), registered("b"), solved("1", "a", "p", 1), solved("2", "b", "p", 2)])
    await world.run_once()
    async with Redis.from_url(world.settings.redis_url.get_secret_value()) as redis:
        (board,) = await redis.keys(f"*{world.settings.leaderboard_prefix}*:board")
        await redis.zadd(board, {"a": 0, "ghost": -5 * 2**33})
    async with serving(world) as api, api.admin() as admin:
        dry = (await admin.post(SYNC, params={"dry_run": "true"})).json()
        assert (dry["dry_run"], dry["added"], dry["changed"], dry["removed"]) == (True, 0, 1, 1)
        done = (await admin.post(SYNC)).json()
        assert (done["dry_run"], done["added"], done["changed"], done["removed"]) == (False, 0, 1, 1)
        await api.until_from("redis")
        assert await board_of(api) == right_board(world) == [(1, "a", 1), (2, "b", 1)]
