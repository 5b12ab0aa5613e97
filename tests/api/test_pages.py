"""Are the pages whole without a script, safe with any name, and shut to who is not logged in?"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from html.parser import HTMLParser

import httpx
import pytest

from api.admin.tokens import NewToken, Scope, create_token
from api.authentication import now
from api.pages.assets import TYPES, asset, asset_path
from api.pages.doors import local_path
from devstack import Stack
from schemas.record import Reason
from tests.api.served import NAME, PASSWORD, Served, serving
from tests.events import registered, solved
from tests.projector.test_dead_letters import bury
from tests.waiting import until
from tests.world import World

HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}"
HOSTILE_ID = "<img src=x onerror=alert(2)>/?#&%2F"
PUBLIC = ("/", "/leaderboard", "/leaderboard?period=week&tz=Asia/Tokyo", "/users/a", "/users/empty", "/search")
PANEL = ("/admin", "/admin/dead-letters", "/admin/lag", "/admin/audit", "/admin/tokens")


class Page(HTMLParser):
    """What a browser without a script sees, and what must not be there."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.inline: list[str] = []
        self.links: list[str] = []
        self.fields: dict[str, str] = {}
        self.ids: list[str] = []
        self.loaded: list[str] = []
        self._inside = ""
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Counts what the policy forbids, and keeps what is looked at."""
        found = dict(attrs)
        self._inside = tag
        self.inline += [name for name in found if name == "style" or name.startswith("on")]
        self.inline += [tag] if tag == "style" or (tag == "script" and not found.get("src")) else []
        self.loaded += [found[name] or "" for name in ("src",) if name in found]
        self.loaded += [found["href"] or ""] if tag == "link" else []
        self.links += [found["href"] or ""] if tag == "a" and "href" in found else []
        if tag == "input" and found.get("type") == "hidden":
            self.fields[found["name"] or ""] = found.get("value") or ""
        if "id" in found:
            self.ids.append(found["id"] or "")

    def handle_endtag(self, tag: str) -> None:
        """Text goes on outside."""
        self._inside = ""

    def handle_data(self, data: str) -> None:
        """All that is text."""
        if self._inside != "title":
            self.text += f" {data}"


def seen(found: httpx.Response, status: int = 200) -> Page:
    """A page that keeps to the policy."""
    assert found.status_code == status, found.text
    assert found.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in found.headers["content-security-policy"]
    page = Page(found.text)
    assert page.inline == []
    assert all(path.startswith("/static/") for path in page.loaded)
    assert len(page.ids) == len(set(page.ids))
    return page


async def fill(world: World) -> None:
    await world.publish(
        [
            registered("a", username="ada"),
            registered("b", username="ada"),
            registered("h/x", username=HOSTILE),
            registered(HOSTILE_ID, username="plain"),
            registered("empty"),
            solved("1", "a", "p1", 1, language="cpp", contest_id="<i>"),
            solved("2", "a", "p2", 86_400, language="<b>"),
            solved("3", "h/x", "<u>", 2),
            solved("4", HOSTILE_ID, "p", 3),
        ]
    )
    await world.run_once()


@asynccontextmanager
async def browser(api: Served, *, create: bool = True) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who has logged in with the form."""
    if create:
        await api.create_admin()
    async with api.client(Accept="text/html") as client:
        found = await client.post("/admin/login", data={"name": NAME, "password": PASSWORD})
        assert (found.status_code, found.headers["location"]) == (303, "/admin")
        yield client


async def sent(client: httpx.AsyncClient, page: str, path: str, **fields: object) -> httpx.Response:
    """A form of a page, with the token that the page has."""
    token = seen(await client.get(page)).fields["csrf_token"]
    return await client.post(path, data={"csrf_token": token, **fields})


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
        assert "Redis is away" not in board.text
        user = seen(await api.anybody.get("/users/a"))
        assert "Problems solved 2 Rank 1" in user.text
        assert "p2 <b> 2 Jan 2026, 00:00 UTC p1 <i> cpp 1 Jan 2026, 00:00 UTC" in user.text
        assert "never" in seen(await api.anybody.get("/users/empty")).text
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
        asked = seen(await api.anybody.get("/search", params={"username": HOSTILE}))
        assert f"1 user called “{HOSTILE}”" in asked.text
        friends = seen(await api.anybody.get("/leaderboard", params={"friends": f"a,{HOSTILE_ID},<b>"}))
        assert "Not on this board, or not an id of anybody: <b>" in friends.text
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
        assert await led(find="ada") == "/search?username=ada"
        assert await led(find="nobody at all") == "/search?username=nobody+at+all"
        both = seen(await api.anybody.get("/search?username=ada"))
        assert "2 users called “ada”" in both.text
        assert "Nobody is called “x”" in seen(await api.anybody.get("/search?username=x")).text
        assert "here" in seen(await api.anybody.get("/leaderboard?around=a")).ids
        unsolved = seen(await api.anybody.get("/leaderboard?around=empty"))
        assert "has not solved anything yet" in unsolved.text


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


async def test_errors_of_pages_are_pages_and_those_of_the_api_are_not(world: World) -> None:
    async with serving(world) as api, api.client(Accept="text/html,*/*") as client:
        for path, status in (
            ("/nothing", 404),
            ("/users/nobody", 404),
            ("/leaderboard?cursor=x", 422),
            ("/leaderboard?period=x", 422),
            ("/leaderboard?tz=Mars", 422),
            ("/leaderboard?around=nobody", 404),
            ("/search?username=%00", 422),
        ):
            found = await client.get(path)
            assert "Home" in seen(found, status).text, path
            assert found.headers["cache-control"] == "no-store"
        assert (await client.post("/leaderboard")).headers["allow"] == "GET, HEAD"
        for path, of in (("/api/users/nobody", client), ("/api/nothing", client), ("/nothing", api.anybody)):
            assert (await of.get(path)).headers["content-type"] == "application/problem+json"
        nobody = seen(await api.anybody.get("/users/nobody"), 404)
        assert "There is no user 'nobody'. Find a user" in nobody.text


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


async def test_the_panel_is_shut_without_a_log_in_and_leads_back_after_it(world: World) -> None:
    async with serving(world) as api:
        await api.create_admin()
        for path in PANEL:
            found = await api.anybody.get(path)
            assert (found.status_code, found.headers["cache-control"]) == (303, "no-store")
            assert found.headers["location"].startswith("/admin/login")
        asked = await api.anybody.get("/admin/audit?before_id=7")
        form = seen(await api.anybody.get(asked.headers["location"]))
        assert form.fields["next"] == "/admin/audit?before_id=7"
        for path in ("/admin/jobs", "/admin/dead-letters/discard", "/admin/logout", "/admin/tokens/1/revoke"):
            found = await api.anybody.post(path, data={"ids": 1, "why": "x", "kind": "backfill"})
            assert (found.status_code, found.headers["location"]) == (303, "/admin/login"), path
        data = {"name": "Ada ", "password": PASSWORD, "next": "/admin/audit?before_id=7"}
        entered = await api.anybody.post("/admin/login", data=data)
        assert (entered.status_code, entered.headers["location"]) == (303, "/admin/audit?before_id=7")
        assert "httponly" in entered.headers["set-cookie"].lower()


async def test_a_refused_log_in_shows_the_form_again_and_keeps_no_password(world: World) -> None:
    async with serving(world, api_login_rate="2/minute") as api:
        await api.create_admin()
        wrong = {"name": NAME, "password": "wrong horse", "next": "/admin/lag"}
        refused = await api.anybody.post("/admin/login", data=wrong)
        form = seen(refused, 401)
        assert "The name or the password is wrong" in form.text
        assert form.fields["next"] == "/admin/lag"
        assert "wrong horse" not in refused.text
        other = await api.anybody.post("/admin/login", data=wrong, headers={"Origin": "https://elsewhere.example"})
        assert "another site" in seen(other, 403).text
        await api.anybody.post("/admin/login", data=wrong)
        limited = await api.anybody.post("/admin/login", data=wrong)
        assert "Too many log-ins" in seen(limited, 429).text
        assert int(limited.headers["retry-after"]) >= 1


async def test_a_session_that_ended_says_so(world: World) -> None:
    await fill(world)
    async with serving(world) as api, browser(api) as client:
        seen(await client.get("/admin"))
        assert (await client.get("/admin/login")).headers["location"] == "/admin"
        async with world.database() as database:
            await database.execute("DELETE FROM admin_sessions")
        found = await client.get("/admin/lag")
        assert found.headers["location"] == "/admin/login?next=%2Fadmin%2Flag&ended=1"
        assert "The session has ended" in seen(await client.get(found.headers["location"])).text
    async with serving(world) as api, browser(api, create=False) as client:
        left = await sent(client, "/admin", "/admin/logout")
        assert "You are logged out" in seen(await client.get(left.headers["location"])).text
        assert (await client.get("/admin")).status_code == 303


@pytest.mark.parametrize(
    "said",
    [
        "https://elsewhere.example/admin",
        "//elsewhere.example/admin",
        "/\\elsewhere.example",
        "/admin\\..\\..\\elsewhere",
        "/admin//elsewhere.example",
        "/administrator",
        "/admin@elsewhere.example",
        "/admin/\r\nSet-Cookie: x",
        "/admin/login?next=/admin",
        "/admin/logout",
        "javascript:alert(1)",
        "/users/a",
        "",
    ],
)
def test_after_a_log_in_nobody_is_led_away_from_the_panel(said: str) -> None:
    assert local_path(said) == "/admin"


@pytest.mark.parametrize("said", ["/admin", "/admin?x=1", "/admin/lag", "/admin/dead-letters?user_id=%2F%2Fx&reason="])
def test_after_a_log_in_one_is_led_back(said: str) -> None:
    assert local_path(said) == said


async def test_a_check_shows_who_differs_and_the_repair_is_one_button_away(world: World) -> None:
    await fill(world)
    async with world.database() as database:
        await database.execute("UPDATE users SET problems_solved = 7 WHERE user_id = 'h/x'")
    async with serving(world) as api, browser(api) as client:
        begun = await sent(client, "/admin", "/admin/jobs", kind="backfill", dry_run="true")
        assert begun.status_code == 303
        checked = await ended(client, begun.headers["location"])
        assert "Audit complete: 1 users would be updated out of 5" in checked.text
        assert f"{HOSTILE} h/x 7 1 −6" in checked.text
        assert {name: checked.fields[name] for name in ("kind", "dry_run")} == {"kind": "backfill", "dry_run": "false"}
        assert (await api.get("/api/users/h/x"))["problems_solved"] == 7
        repairing = await client.post("/admin/jobs", data=checked.fields)
        repaired = await ended(client, repairing.headers["location"])
        assert "What was changed" in repaired.text
        assert "Repair the counts" not in repaired.text
        assert (await api.get("/api/users/h/x"))["problems_solved"] == 1
        panel = seen(await client.get("/admin"))
        assert repairing.headers["location"] in panel.links
        audit = seen(await client.get("/admin/audit"))
        assert "ada session backfill started the job ; dry run: yes" in audit.text
        synced = await sent(client, "/admin", "/admin/jobs", kind="sync-leaderboard", dry_run="true")
        assert "Nothing differs" in (await ended(client, synced.headers["location"])).text


async def ended(client: httpx.AsyncClient, path: str) -> Page:
    """A job's page, looked at again and again as a browser without a script does."""

    async def is_over() -> Page | None:
        found = await client.get(path)
        page = seen(found)
        assert ('http-equiv="refresh"' in found.text) == ("It goes on by itself" in page.text)
        return None if "It goes on by itself" in page.text else page

    page = await until(is_over, f"{path} to end")
    assert page
    return page


async def test_forms_of_other_sites_do_nothing(world: World) -> None:
    async with serving(world) as api, browser(api) as client:
        fields = {"kind": "backfill", "dry_run": "true"}
        assert "CSRF token" in seen(await client.post("/admin/jobs", data=fields), 403).text
        forged = await client.post("/admin/jobs", data={**fields, "csrf_token": "0" * 64})
        assert forged.status_code == 403
        elsewhere = await client.post("/admin/jobs", data=fields, headers={"Origin": "https://elsewhere.example"})
        assert elsewhere.status_code == 403
        assert "None yet" in seen(await client.get("/admin")).text
    async with api_with_script(world) as script:
        assert "log in and try again" in seen(await script.get("/admin"), 403).text


@asynccontextmanager
async def api_with_script(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(world) as api, api.script(Scope.READ) as script:
        yield script


async def test_dead_letters_are_seen_read_again_and_given_up(world: World) -> None:
    await fill(world)
    (good,) = await bury(world, [solved("5", "empty", "p", 9)])
    bad = await bury(world, [solved("6", "empty", "p", 9)] * 2, reason=Reason.NOT_JSON, value=b"<b>\xff")
    ids = [str(one) for one in bad]
    async with serving(world) as api, browser(api) as client:
        listed = seen(await client.get("/admin/dead-letters"))
        assert {f"/admin/dead-letters/{one}" for one in (good, *bad)} <= set(listed.links)
        assert {"/admin/dead-letters?reason=not-json"} <= set(seen(await client.get("/admin")).links)
        assert '"submission_id":"5"' in seen(await client.get(f"/admin/dead-letters/{good}")).text
        assert "No UTF-8, so in base64" in seen(await client.get(f"/admin/dead-letters/{bad[0]}")).text
        nothing = await sent(client, "/admin/dead-letters", "/admin/dead-letters/retry")
        assert "Nothing was chosen" in seen(nothing, 422).text
        retried = await sent(client, "/admin/dead-letters", "/admin/dead-letters/retry", ids=[good, bad[0]])
        assert "Read again: 1 applied" in seen(await client.get(retried.headers["location"])).text
        assert (await api.get("/api/users/empty"))["problems_solved"] == 1
        unsaid = await sent(client, "/admin/dead-letters", "/admin/dead-letters/discard", ids=ids[:1], why=" ")
        assert "needs a reason" in seen(unsaid, 422).text
        given_up = await sent(client, "/admin/dead-letters", "/admin/dead-letters/discard", ids=ids, why="a <test>")
        assert f"Given up: {len(ids)} dead letters" in seen(await client.get(given_up.headers["location"])).text
        assert "None: every record" in seen(await client.get("/admin/dead-letters")).text
        kept = seen(await client.get("/admin/dead-letters?with_discarded=true"))
        assert "Given up by ada: a <test>" in kept.text
        again = await sent(client, "/admin", "/admin/dead-letters/discard", ids=ids[:1], why="once more")
        assert "Somebody decided this before" in seen(again, 409).text
        assert "no such dead letter" in seen(await client.get("/admin/dead-letters/999999"), 404).text


async def test_the_lag_and_the_tokens_are_shown(world: World) -> None:
    await fill(world)
    async with serving(world) as api, browser(api) as client:

        async def is_known() -> bool:
            return "Log ends at" in seen(await client.get("/admin/lag")).text

        await until(is_known, "the lag to be known")
        assert "Events waiting 0" in seen(await client.get("/admin/lag")).text
        async with world.database() as database:
            wanted = NewToken("<nightly>", frozenset({Scope.READ}))
            raw, token = await create_token(database, 1, wanted, now())
        listed = await client.get("/admin/tokens")
        assert "<nightly> read" in seen(listed).text
        assert raw not in listed.text
        await sent(client, "/admin/tokens", f"/admin/tokens/{token.token_id}/revoke")
        assert "ended" in seen(await client.get("/admin/tokens")).text
        async with api.client(Authorization=f"Bearer {raw}") as script:
            assert (await script.get("/api/admin/lag")).status_code == 401


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


async def test_a_server_that_is_away_is_a_page_that_says_so_and_nothing_of_it(breakable: World, stack: Stack) -> None:
    world = breakable
    await fill(world)
    async with serving(world) as api:
        await api.until_from("redis")
        stack.valkey.kill()
        spare = await api.anybody.get("/leaderboard")
        assert "Read from PostgreSQL, since Redis is away" in seen(spare).text
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
