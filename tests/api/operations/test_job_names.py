"""Names in reports of repairs: joined when they are shown, kept nowhere (I13)."""

from tests.api.reading import browser, seen
from tests.api.served import serving
from tests.events import registered, removed, solved
from tests.world import World

BACKFILL = "/api/admin/backfill-problems-solved"


async def test_an_erased_name_leaves_the_reports_that_showed_it(world: World) -> None:
    await world.publish([registered("a", username="Ada Lovelace"), solved("1", "a", "p", 1)])
    await world.run_once()
    async with world.database() as connection:
        await connection.execute("UPDATE users SET problems_solved = 7")
    async with serving(world) as api, api.admin() as admin, browser(api, create=False) as person:
        (update,) = (await admin.post(BACKFILL)).json()["updates"]
        assert (update["username"], update["old_count"], update["new_count"]) == ("Ada Lovelace", 7, 1)
        job = f"jobs/{await world.value('SELECT job_id FROM admin_jobs')}"
        assert (await admin.get(f"/api/admin/{job}")).json()["report"]["updates"][0]["username"] == "Ada Lovelace"
        assert "Ada Lovelace" in seen(await person.get(f"/admin/{job}")).text
        await world.publish([removed("a", 1, erase=True)])
        await world.run_once()
        assert (await admin.get(f"/api/admin/{job}")).json()["report"]["updates"][0]["username"] == ""
        assert "Ada Lovelace" not in seen(await person.get(f"/admin/{job}")).text


async def test_no_table_but_users_and_its_search_keys_holds_a_name(world: World) -> None:
    await world.publish([registered("a", username="Ada Lovelace"), solved("1", "a", "p", 1)])
    await world.run_once()
    async with world.database() as connection:
        await connection.execute("UPDATE users SET problems_solved = 7")
    async with serving(world) as api, api.admin() as admin:
        assert (await admin.post(BACKFILL)).status_code == 200
        for path in ("/api/leaderboard?period=year", "/api/users?q=a", "/api/users/a"):
            await api.get(path)
        tables = await world.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        found = [
            row[0]
            for row in tables
            if await world.value(f"SELECT count(*) FROM {row[0]} AS one WHERE one::text ILIKE '%ada lovelace%'")
        ]
    assert sorted(found) == ["user_search_keys", "users"]
