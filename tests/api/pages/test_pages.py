"""Public pages: complete without a script, and safe with any name."""

import asyncio
import re
from html import unescape

import pytest

from devstack import Stack
from solve_api.pages import board as board_module
from solve_api.pages.assets import TYPES, asset, asset_path
from tests.api.reading import HOSTILE, HOSTILE_ID, PUBLIC, fill, seen
from tests.api.served import serving
from tests.events import registered, solved
from tests.waiting import until
from tests.world import World


async def test_public_pages_say_what_the_api_says(world: World) -> None:
    await fill(world)
    async with serving(world) as api:
        await api.until_from("redis")
        for path in PUBLIC:
            found = await api.anybody.get(path)
            seen(found)
            assert found.headers["cache-control"] == "no-cache"
            assert (await api.anybody.head(path)).status_code == 200
        home = seen(await api.anybody.get("/"))
        assert {"/users/a", "/leaderboard", "/admin"} <= set(home.links)
        board = seen(await api.anybody.get("/leaderboard"))
        assert "Ranks 1 to 3 of 3" in board.text
        assert "Redis is unavailable" not in board.text
        user = seen(await api.anybody.get("/users/a"))
        assert "Problems solved 2 Rank 1" in user.text
        assert "p2 <b> 2 Jan 2026, 00:00 UTC p1 <i> cpp 1 Jan 2026, 00:00 UTC" in user.text
        assert "Never" in seen(await api.anybody.get("/users/empty")).text
        assert "Europe/Berlin" in seen(await api.anybody.get("/users/a?tz=Europe/Berlin")).text


async def test_names_and_ids_of_any_kind_are_only_ever_text(world: World) -> None:
    await fill(world)
    async with serving(world) as api:
        board = await api.anybody.get("/leaderboard")
        assert HOSTILE in seen(board).text
        assert "alert(1)</script>" not in board.text.replace("alert(1)&lt;/script&gt;", "")
        links = [link for link in seen(board).links if link.startswith("/users/")]
        for link, name in zip(links[1:], (HOSTILE, "plain"), strict=True):
            assert name in seen(await api.anybody.get(link)).text
        asked = seen(await api.anybody.get("/search", params={"q": HOSTILE}))
        assert f"1 user found for “{HOSTILE}”" in asked.text
        friends = seen(await api.anybody.get("/leaderboard", params={"friends": f"a,{HOSTILE_ID},<b>"}))
        assert "Not on this leaderboard, or unknown: <b>" in friends.text
        found = await api.anybody.get("/users/<script>alert(3)</script>")
        assert "<script>alert(3)" in seen(found, 404).text
        assert "<script>alert(3)" not in found.text


async def test_a_typed_name_leads_to_its_place_or_to_the_list_of_those_who_have_it(world: World) -> None:
    await fill(world)
    async with serving(world) as api:

        async def led(**query: str) -> str:
            found = await api.anybody.get("/leaderboard", params=query)
            assert found.status_code == 303
            return found.headers["location"]

        assert await led(find="a") == "/leaderboard?around=a#here"
        assert await led(find="plain", period="week") == (
            "/leaderboard?period=week&around=%3Cimg+src%3Dx+onerror%3Dalert%282%29%3E%2F%3F%23%26%252F#here"
        )
        assert await led(find="ada") == "/search?q=ada"
        assert await led(find="nobody at all") == "/search?q=nobody+at+all"
        both = seen(await api.anybody.get("/search?q=ada"))
        assert "2 users found for “ada”" in both.text
        assert "No users found for “x”" in seen(await api.anybody.get("/search?q=x")).text
        assert "here" in seen(await api.anybody.get("/leaderboard?around=a")).ids
        unsolved = seen(await api.anybody.get("/leaderboard?around=empty"))
        assert "has not solved any problems yet" in unsolved.text


async def test_the_periods_are_of_whoever_is_looked_at(world: World) -> None:
    await fill(world)
    async with serving(world) as api:
        board = seen(await api.anybody.get("/leaderboard?around=h/x&tz=Asia/Tokyo"))
        of_user = "tz=Asia%2FTokyo&around=h%2Fx#here"
        tabs = [f"/leaderboard?{period}{of_user}" for period in ("", "period=day&", "period=week&", "period=month&")]
        assert [link for link in board.links if "around=" in link] == tabs
        month = seen(await api.anybody.get(tabs[-1]))
        assert "This user has not solved any problems in this period" in month.text
        everybody = seen(await api.anybody.get("/leaderboard"))
        assert {"/leaderboard?period=day", "/leaderboard?period=week"} <= set(everybody.links)


async def test_links_lead_through_the_whole_board_and_back(world: World) -> None:
    users = [f"u{number:03}" for number in range(120)]
    events = [registered(user) for user in users]
    await world.publish([*events, *(solved(user, user, "p", number) for number, user in enumerate(users))])
    await world.run_once()
    async with serving(world) as api:
        path, shown = "/leaderboard", []
        while path:
            page = seen(await api.anybody.get(path))
            shown += [link.removeprefix("/users/") for link in page.links if link.startswith("/users/")]
            cursors = [link for link in page.links if "cursor=" in link]
            path = cursors[-1] if len(cursors) == 2 or not shown[50:] else ""
        assert shown == users
        assert "Ranks 51 to 100 of 120" in seen(await api.anybody.get(cursors[0])).text


async def test_a_page_that_everybody_has_left_says_so_and_leads_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_module, "ROWS", 2)
    users = ["u1", "u2", "u3"]
    await world.publish([*map(registered, users), *(solved(user, user, "p", n) for n, user in enumerate(users))])
    await world.run_once()
    async with serving(world) as api:
        (lower,) = [link for link in seen(await api.anybody.get("/leaderboard")).links if "cursor=" in link]
        assert "Ranks 3 to 3 of 3" in seen(await api.anybody.get(lower)).text
        await world.publish([solved("up", "u3", "q", 9)])
        await world.run_once()
        await api.until_from("redis")
        left = seen(await api.anybody.get(lower))
        assert "This page is empty now." in left.text
        assert "solved any problems" not in left.text
        (higher,) = [link for link in left.links if "cursor=" in link]
        assert left.links.index(higher) < left.links.index("/leaderboard", left.links.index(higher))  # the first page
        back = seen(await api.anybody.get(higher))
        assert [link for link in back.links if link.startswith("/users/")] == ["/users/u1", "/users/u2"]


async def test_errors_of_pages_are_pages_and_those_of_the_api_are_not(world: World) -> None:
    async with serving(world) as api, api.client(Accept="text/html,*/*") as client:
        for path, status in (
            ("/nothing", 404),
            ("/users/nobody", 404),
            ("/leaderboard?cursor=x", 422),
            ("/leaderboard?period=x", 422),
            ("/leaderboard?tz=Mars", 422),
            ("/leaderboard?around=nobody", 404),
            ("/search?q=%00", 422),
        ):
            found = await client.get(path)
            assert "Home" in seen(found, status).text, path
            assert found.headers["cache-control"] == "no-store"
        assert (await client.post("/leaderboard")).headers["allow"] == "GET, HEAD"
        for path, of in (("/api/users/nobody", client), ("/api/nothing", client), ("/nothing", api.anybody)):
            assert (await of.get(path)).headers["content-type"] == "application/problem+json"
        nobody = seen(await api.anybody.get("/users/nobody"), 404)
        assert "There is no user nobody. Search for a user" in nobody.text


async def test_files_are_kept_until_they_change(world: World) -> None:
    async with serving(world) as api:
        for name, kind in TYPES.items():
            found = await api.anybody.get(asset_path(name))
            assert (found.status_code, found.headers["content-type"]) == (200, kind)
            assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert found.content == asset(name).content
            old = await api.anybody.get(f"/static/{name}?v=old", headers={"If-None-Match": found.headers["etag"]})
            assert (old.status_code, old.headers["cache-control"]) == (304, "no-cache")
        for name in ("nothing.js", "..%2Fboard.py", "%2e%2e"):
            assert (await api.anybody.get(f"/static/{name}")).status_code == 404


async def test_pages_name_what_they_listen_to(world: World) -> None:
    await fill(world)
    async with serving(world) as api:
        await api.until_from("redis")
        board = (await api.anybody.get("/leaderboard")).text
        (url,) = re.findall(r'data-events="([^"]+)"', board)
        assert re.fullmatch(r"/api/events\?board=true&last_event_id=\d+-\d+", unescape(url))
        user = (await api.anybody.get("/users/h/x")).text
        (url,) = re.findall(r'data-events="([^"]+)"', user)
        version = (await api.get("/api/users/h/x"))["version"]
        assert unescape(url).startswith("/api/events?user_id=h%2Fx&board=true&last_event_id=")
        assert f'data-version="{version}"' in user
        async with api.anybody.stream("GET", unescape(url)) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
        assert "data-events" not in (await api.anybody.get("/search")).text


async def test_an_unavailable_server_is_a_page_that_says_so_and_nothing_else(breakable: World, stack: Stack) -> None:
    world = breakable
    await fill(world)
    async with serving(world) as api:
        await api.until_from("redis")
        stack.valkey.kill()
        spare = await api.anybody.get("/leaderboard")
        assert "Read from PostgreSQL because Redis is unavailable" in seen(spare).text
        assert spare.headers["x-leaderboard-source"] == "postgresql"
        await asyncio.to_thread(stack.valkey.start)
        stack.postgres.kill()
        found = await api.anybody.get("/users/a")
        assert "PostgreSQL does not answer" in seen(found, 503).text
        assert found.headers["retry-after"] == "5"
        assert not {"asyncpg", "127.0.0.1", "refused", "Traceback"} & set(re.findall(r"[\w.]+", found.text))
        await asyncio.to_thread(stack.postgres.start)

        async def is_back() -> bool:
            return (await api.anybody.get("/users/a")).status_code == 200

        await until(is_back, "the pages to be back")
