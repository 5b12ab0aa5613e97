"""The panel's pages of users: found, shown and decided on by plain forms, with any name and any reason."""

import re

import httpx

from solve_schemas.events import UserRegistered
from tests.api.reading import HOSTILE, HOSTILE_ID, browser, fill, seen, sent
from tests.api.served import serving
from tests.events import at, registered, removed
from tests.producer.topics import records_of
from tests.world import World

USERS, RECORD = "/admin/users", "/admin/users/record"


async def shown(client: httpx.AsyncClient, user_id: str) -> str:
    """The text of the record."""
    return seen(await client.get(RECORD, params={"id": user_id})).text


async def test_a_user_is_found_unlisted_removed_and_brought_back(world: World) -> None:
    await fill(world)
    async with serving(world) as api, browser(api) as client:
        found = seen(await client.get(USERS, params={"q": "ADA"}))
        assert [link for link in found.links if link.startswith(RECORD)] == [f"{RECORD}?id=a", f"{RECORD}?id=b"]
        for deed, title in (("unlist", "not listed"), ("list", "listed"), ("remove", "removed"), ("list", "listed")):
            decided = await sent(client, f"{RECORD}?id=a", f"{USERS}/{deed}", user_id="a", reason="a <test>")
            location = decided.headers["location"]
            assert re.fullmatch(rf"{re.escape(RECORD)}\?id=a&deed={deed}&partition=\d&offset=\d+", location)
            waiting = await client.get(location)
            assert "once the projector has applied it" in seen(waiting).text
            assert ('data-poll="2000"' in waiting.text) is ('http-equiv="refresh"' in waiting.text) is True
            await world.run_once()
            applied = await client.get(location)
            assert re.search(rf"\(partition:offset\) and applied\. User ID a Shown {title} ", seen(applied).text)
            assert "data-poll" not in applied.text
            assert 'http-equiv="refresh"' not in applied.text
        assert "Removed 2" in await shown(client, "a"), "the removal is kept, and undone"
        assert seen(await client.get("/admin/activity")).text.count("reason: a <test>") == 2 * 4


async def test_an_erasure_says_that_it_is_final_and_asks_for_a_name_afterwards(world: World) -> None:
    await fill(world)
    async with serving(world) as api, browser(api) as client:
        assert "This is final: nobody can bring the name back" in await shown(client, "h/x")
        fields = {"user_id": "h/x", "reason": "asked to be", "erase": "true"}
        await sent(client, f"{RECORD}?id=h/x", f"{USERS}/remove", **fields)
        await world.run_once()
        page = await client.get(RECORD, params={"id": "h/x"})
        assert HOSTILE not in seen(page).text
        assert f'action="{USERS}/remove"' not in page.text, "there is no more to take"
        unnamed = await sent(client, f"{RECORD}?id=h/x", f"{USERS}/list", user_id="h/x", reason="came back")
        assert "No name is kept of user h/x" in seen(unnamed, 422).text
        assert 'value="came back"' in unnamed.text
        named = {"user_id": "h/x", "reason": "came back", "username": " again "}
        await sent(client, f"{RECORD}?id=h/x", f"{USERS}/list", **named)
        await world.run_once()
        assert (await api.get("/api/users/h/x"))["username"] == "again"


async def test_no_name_is_asked_for_where_the_log_has_none(world: World) -> None:
    async with world.database() as site:
        await site.execute("INSERT INTO users (user_id, username) VALUES ('site', 'name of site')")
    await world.publish([UserRegistered(user_id="id", registered_at=at(0))])
    await world.run_once()
    async with serving(world) as api, browser(api) as client:
        for deed in ("unlist", "list", "remove", "list"):
            for user_id in ("site", "id"):
                page = await client.get(RECORD, params={"id": user_id})
                assert f'action="{USERS}/{deed}"' in page.text
                assert 'name="username"' not in page.text
                assert "into the log" not in page.text
                await sent(client, f"{RECORD}?id={user_id}", f"{USERS}/{deed}", user_id=user_id, reason="a test")
            await world.run_once()
        assert not [one for one in await records_of(world) if "username" in one]


async def test_names_ids_and_reasons_of_any_kind_are_only_ever_text(world: World) -> None:
    await fill(world)
    await world.publish([removed("gone", 1, HOSTILE)])
    await world.run_once()
    async with serving(world) as api, browser(api) as client:
        assert HOSTILE in await shown(client, "h/x")
        assert HOSTILE in await shown(client, "gone")
        assert HOSTILE_ID in await shown(client, HOSTILE_ID)
        for typed in (HOSTILE, HOSTILE_ID):
            found = await client.get(USERS, params={"q": typed})
            assert typed in seen(found).text
            (link,) = (one for one in seen(found).links if one.startswith(RECORD))
            assert typed in seen(await client.get(link)).text
        assert f"No users found for “{HOSTILE}!”" in seen(await client.get(USERS, params={"q": f"{HOSTILE}!"})).text
        refused = await sent(client, USERS, f"{USERS}/remove", user_id=HOSTILE_ID, reason=" ", erase="true")
        assert "Enter a reason, so that others can see why" in seen(refused, 422).text
        assert 'name="erase" value="true" checked' in refused.text
        assert HOSTILE_ID not in refused.text
        await sent(client, USERS, f"{USERS}/remove", user_id=HOSTILE_ID, reason=HOSTILE)
        await world.run_once()
        assert HOSTILE in await shown(client, HOSTILE_ID)
        assert HOSTILE in seen(await client.get("/admin/activity")).text
        missing = await client.get(RECORD, params={"id": HOSTILE})
        assert f"There is no user {HOSTILE}." in seen(missing, 404).text


async def test_a_decision_that_lost_says_so(world: World) -> None:
    await fill(world)
    async with serving(world) as api, browser(api) as client:
        decided = await sent(client, f"{RECORD}?id=a", f"{USERS}/unlist", user_id="a", reason="a test")
        await world.publish([registered("a", 10, "ada", listed=True)])
        await world.run_once()
        assert "but another decision stands" in seen(await client.get(decided.headers["location"])).text


async def test_forms_of_users_need_the_token_and_lead_back(world: World) -> None:
    await fill(world)
    async with serving(world) as api, browser(api) as client:
        for deed in ("remove", "unlist", "list"):
            forged = await client.post(f"{USERS}/{deed}", data={"user_id": "a", "reason": "x", "csrf_token": "0" * 64})
            assert "CSRF token" in seen(forged, 403).text
            again = await client.get(f"{USERS}/{deed}")
            assert (again.status_code, again.headers["location"]) == (303, USERS)
        await sent(client, f"{RECORD}?id=a", f"{USERS}/remove", user_id="a", reason="x")
        await world.run_once()
        removed_already = await sent(client, f"{RECORD}?id=a", f"{USERS}/unlist", user_id="a", reason="x")
        assert "User a is removed, and on no leaderboard already" in seen(removed_already, 409).text
