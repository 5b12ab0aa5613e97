"""Users who are on no board, and users who were removed: shown nowhere they must not be, live and after a replay."""

import asyncio
from datetime import UTC, datetime

import pytest

from solve_projector.replay.replaying import ReplayOptions, replay
from solve_schemas.events import UserRegistered
from tests.api.listening import hearing
from tests.api.served import Served, serving
from tests.events import BEGIN, at, registered, removed, solved
from tests.producer.cli.test_cli import command
from tests.waiting import until
from tests.world import World

USERS = ("ada", "bob", "eve", "zoe")


async def fill(world: World) -> None:
    """Everybody has solved three problems this year, and may be searched for by `name`."""
    now = (datetime.now(UTC) - BEGIN).total_seconds() - 100
    await world.publish([*map(registered, USERS)])
    await world.publish(solved(f"{user}-{n}", user, f"p{n}", now + n) for user in USERS for n in range(3))
    await world.run_once()


async def run(world: World, *words: str) -> None:
    """A command, and its projection."""
    done = await asyncio.to_thread(command, world, "user", *words)
    assert done.returncode == 0, done.stderr
    await world.run_once()


async def shown(api: Served) -> dict[str, set[str]]:
    """Who is shown where."""
    year = await api.get("/api/leaderboard", params={"period": "year"})
    found = {
        "board": {one["user_id"] for one in (await api.get("/api/leaderboard"))["entries"]},
        "year": {one["user_id"] for one in year["entries"]},
        "search": {one["user_id"] for one in (await api.get("/api/users", params={"q": "name"}))["users"]},
        "named": set(),
    }
    for user in USERS:
        named = await api.get("/api/users", params={"username": f"name of {user}"})
        found["named"] |= {one["user_id"] for one in named["users"]}
    return found


async def until_shown(api: Served, users: set[str], source: str) -> None:
    """Waits until just these are shown everywhere; a board may be a moment old."""

    async def everywhere() -> bool:
        return all(found == users for found in (await shown(api)).values())

    await api.until_from(source)
    await until(everywhere, f"{users} to be shown from {source}")


async def test_who_is_unlisted_has_a_profile_and_a_count_and_is_on_no_board(world: World) -> None:
    await fill(world)
    async with serving(world) as api:
        await until_shown(api, set(USERS), "redis")
        await run(world, "unlist", "bob", "--username", "name of bob")
        await until_shown(api, {"ada", "eve", "zoe"}, "redis")
        profile = await api.get("/api/users/bob")
        assert (profile["problems_solved"], profile["rank"], profile["listed"]) == (3, None, False)
        ranks = [(await api.get(f"/api/users/{user}"))["rank"] for user in ("ada", "eve", "zoe")]
        assert ranks == [1, 1, 1], "nobody counts him among those who are better"
        page = await api.anybody.get("/users/bob")
        assert "not listed" in page.text
        async with world.process("user", "bob") as process:
            out, _ = await process.output  # type: ignore[attr-defined]
        assert b"PostgreSQL: not listed, 3 problems solved, not ranked" in out
        await run(world, "list", "bob", "--username", "name of bob")
        await until_shown(api, set(USERS), "redis")


async def test_who_is_removed_is_shown_nowhere_and_comes_back_with_every_solve(world: World) -> None:
    await fill(world)
    async with serving(world) as api:
        await until_shown(api, set(USERS), "redis")
        await run(world, "remove", "eve", "--reason", "asked to be")
        await until_shown(api, {"ada", "bob", "zoe"}, "redis")
        for path in ("/api/users/eve", "/api/user?id=eve", "/api/users/eve/solves", "/users/eve", "/users/eve/solves"):
            gone = await api.anybody.get(path)
            assert gone.status_code == 410, path
            assert "was removed" in gone.text, path
            assert "name of eve" not in gone.text, path
        await world.publish([solved("more", "eve", "more", 99)])
        await world.run_once()
        await until_shown(api, {"ada", "bob", "zoe"}, "redis")
        assert not (await replay(world.connection, world.settings, ReplayOptions(), lambda *_: None)).drifted
        await until_shown(api, {"ada", "bob", "zoe"}, "redis")
        await run(world, "list", "eve", "--username", "name of eve")
        await until_shown(api, set(USERS), "redis")
        assert (await api.get("/api/users/eve"))["problems_solved"] == 4


async def test_without_redis_the_same_are_shown(world: World) -> None:
    await fill(world)
    await world.publish([registered("bob", 9, listed=False), removed("eve", 9)])
    await world.run_once()
    unreachable = {"redis_url": "redis://127.0.0.1:1/0"}
    async with serving(world, **unreachable) as api:
        await until_shown(api, {"ada", "zoe"}, "postgresql")


async def test_an_erased_name_is_nowhere_whoever_writes_it_again(world: World) -> None:
    await fill(world)
    await world.run_once()
    await world.fetch("INSERT INTO user_search_blocks VALUES (1, 'adam', 'name of zoe', '{}', '{}', '{}', '{}')")
    await run(world, "remove", "zoe", "--erase")
    await world.publish([registered("zoe", 5, "name of zoe, late")])  # older than the erasure
    async with world.running():
        async with world.database() as site:
            await site.execute("UPDATE users SET username = 'by the site' WHERE user_id = 'zoe'")
            await site.execute("INSERT INTO users (user_id, username) VALUES ('old', 'removed long ago')")
        await world.publish([removed("old", 3, erase=True)])

        async def are_blank() -> bool:
            rows = await world.fetch("SELECT username, removed FROM users WHERE user_id IN ('zoe', 'old')")
            return [tuple(row) for row in rows] == [("", True)] * 2

        await until(are_blank, "names to be erased")
    keys = "SELECT key FROM user_search_keys WHERE user_id IN ('zoe', 'old') ORDER BY key, user_id"
    assert [row[0] for row in await world.fetch(keys)] == ["", "", "old", "zoe"]
    assert await world.value("SELECT count(*) FROM user_search_blocks") == 0, "a search makes them again"
    report = await replay(world.connection, world.settings, ReplayOptions(dry_run=True), lambda *_: None)
    assert not report.drifted


async def test_a_site_that_inserts_a_removed_user_shows_nobody(world: World) -> None:
    await world.publish([removed("gone", 1), solved("1", "gone", "p", 1)])
    await world.run_once()
    async with world.database() as site:
        await site.execute("INSERT INTO users (user_id, username) VALUES ('gone', 'somebody')")
    await world.run_once()  # sweeps
    assert tuple((await world.fetch("SELECT problems_solved, removed FROM users"))[0]) == (1, True)
    assert await world.board() == {}
    await world.publish([registered("gone", 2)])
    await world.run_once()
    assert set(await world.board()) == {"gone"}
    assert await world.value("SELECT last_solved_at FROM users") == at(1)


async def test_live_pages_hear_of_hidden_users_what_they_may(world: World) -> None:
    await fill(world)
    await world.publish([registered("bob", 9, listed=False), removed("eve", 9)])
    await world.run_once()
    async with world.running(), hearing(world) as api:
        await api.started()
        board, bobs, eves = await api.listen(board=True), await api.listen("bob"), await api.listen("eve")
        await world.publish([solved("more", "bob", "more", 99), solved("more", "eve", "more", 99)])
        await bobs.until_counts("bob", 4)
        await eves.until_counts("eve", 0)
        await world.publish([solved("more", "zoe", "more", 99)])
        await board.until_board("zoe")
        assert "bob" not in str(board.heard), "nobody on the board moved"
        assert "eve" not in str(board.heard), "nobody on the board moved"
        assert bobs.counts("bob")[-1] == 4
        await world.publish([removed("zoe", 100)])
        await until(lambda: sum("zoe" in str(one) for one in board.heard) > 1, "the board to hear of who left it")


async def test_a_sites_own_time_and_flag_do_not_bring_a_removed_user_back(world: World) -> None:
    await world.publish([removed("gone", 1)])
    await world.run_once()
    async with world.database() as site:
        await site.execute(
            "INSERT INTO users (user_id, username, registered_at, removed)"
            " VALUES ('gone', 'somebody', now(), false), ('other', 'other', now(), true)"
        )
    await world.run_once()  # sweeps
    await replay(world.connection, world.settings, ReplayOptions(), lambda *_: None)
    rows = await world.fetch("SELECT user_id, removed FROM users ORDER BY 1")
    assert [tuple(row) for row in rows] == [("gone", True), ("other", False)]


async def test_a_user_whose_name_is_never_in_the_log_comes_back_with_it(world: World) -> None:
    """From the shell: the site's name stays whatever the log says of who is listed, and goes with an erasure alone."""
    name = "SELECT username, listed, removed FROM users WHERE user_id = 'site'"

    async def after(*words: str) -> tuple[str, bool, bool]:
        await run(world, *words)
        await world.run_once()
        report = await replay(world.connection, world.settings, ReplayOptions(), lambda *_: None)
        assert not report.drifted, report
        return tuple((await world.fetch(name))[0])  # type: ignore[return-value]

    async with world.database() as site:
        await site.execute("INSERT INTO users (user_id, username) VALUES ('site', 'by the site')")
    assert await after("unlist", "site") == ("by the site", False, False)
    assert await after("remove", "site") == ("by the site", False, True)
    assert await after("list", "site") == ("by the site", True, False)
    assert await after("remove", "site", "--erase") == ("", True, True)
    assert await after("list", "site") == ("", True, False)
    async with world.database() as site:
        await site.execute("UPDATE users SET username = 'written again' WHERE user_id = 'site'")
    assert await after("unlist", "site") == ("written again", False, False)
    async with world.database() as connection:
        await connection.execute("TRUNCATE partition_offsets")
    assert (await replay(world.connection, world.settings, ReplayOptions(), lambda *_: None)).cold
    assert await after("list", "site") == ("written again", True, False)


async def test_a_name_of_the_log_goes_with_a_registration_that_has_none(world: World) -> None:
    await world.publish([registered("a", username="name"), UserRegistered(user_id="a", registered_at=at(1))])
    await world.publish([UserRegistered(user_id="b", registered_at=at(1)), registered("b", 1, "a")])
    await world.run_once()
    names = [row[0] for row in await world.fetch("SELECT username FROM users ORDER BY user_id")]
    assert names == ["", "a"], "of one time one without a name is the smallest"
    assert await world.differences() == []


@pytest.mark.parametrize(
    "lost",
    [
        ("UPDATE users SET username = 'Ada Lovelace'", "DELETE FROM user_removals"),
        ("UPDATE users SET username = 'Ada Lovelace'", "TRUNCATE user_removals, partition_offsets"),
        ("TRUNCATE users, user_removals, partition_offsets", "INSERT INTO users VALUES ('ada', 'Ada Lovelace')"),
    ],
)
async def test_an_erasure_that_a_replay_finds_takes_the_sites_name_as_live_projection_does(
    world: World, lost: tuple[str, str]
) -> None:
    async with world.database() as site:
        await site.execute("INSERT INTO users (user_id, username) VALUES ('ada', 'Ada Lovelace')")
    first, _, again = [UserRegistered(user_id="ada", registered_at=at(seconds)) for seconds in (0, 1, 2)]
    await world.publish([first, removed("ada", 1, erase=True), again])
    await world.run_once()
    query = "SELECT username, nameless, removed, origin FROM users"
    live = [tuple(row) for row in await world.fetch(query)]
    assert live == [("", True, False, "log")]
    async with world.database() as connection:
        for statement in lost:
            await connection.execute(statement)
    await replay(world.connection, world.settings, ReplayOptions(), lambda *_: None)
    assert [tuple(row) for row in await world.fetch(query)] == live
    assert await world.differences() == []


async def test_an_erasure_that_comes_late_takes_the_sites_name_too(world: World) -> None:
    async with world.database() as site:
        await site.execute("INSERT INTO users (user_id, username) VALUES ('a', 'by the site')")
    again = UserRegistered(user_id="a", registered_at=at(2))
    for events in ([again], [again, removed("a", 1, erase=True)]):
        await world.publish(events)
        await world.run_once()
    assert tuple((await world.fetch("SELECT username, removed FROM users"))[0]) == ("", False)
    async with world.database() as site:
        await site.execute("UPDATE users SET username = 'agreed to since'")
    await world.publish([removed("a", 1, erase=True)])  # sent again
    await world.run_once()
    assert await world.value("SELECT username FROM users") == "agreed to since"
