"""An admin's own account: sessions and password, changed by nobody else."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from solve_api.identity import own_account
from solve_api.identity.accounts import change_password, disable
from solve_api.identity.sessions import hash_of
from solve_api.identity.tokens import Scope
from tests.api.reading import HOSTILE, browser, seen, sent
from tests.api.served import NAME, PASSWORD, Served, problem_of, serving
from tests.world import World

NEW = "another battery of staples"
SESSIONS, CHANGE = "/api/admin/sessions", "/api/admin/password"
ACCOUNT = "/admin/account"


async def sessions(client: httpx.AsyncClient) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (await client.get(SESSIONS)).json()["sessions"]
    return found


async def is_logged_in(client: httpx.AsyncClient) -> bool:
    return (await client.get("/api/admin/session")).status_code == 200


async def may_log_in(api: Served, password: str) -> bool:
    found = await api.anybody.post("/api/admin/login", json={"name": NAME, "password": password})
    return found.status_code == 200


async def end(client: httpx.AsyncClient, *session_ids: object, password: str = PASSWORD) -> httpx.Response:
    return await client.post(f"{SESSIONS}/end", json={"session_ids": session_ids, "password": password})


async def test_an_admin_sees_their_own_sessions_and_ends_one_of_them(world: World) -> None:
    async with serving(world) as api, api.admin() as here, api.admin(create=False) as there, api.admin("eve") as eve:
        shown = await sessions(here)
        assert [one["current"] for one in shown] == [False, True]
        assert "python-httpx" in str(shown[0]["client"])
        other = shown[0]["session_id"]
        (of_eve,) = await sessions(eve)
        assert (await end(here, of_eve["session_id"], "0" * 16)).json() == {"sessions_ended": 0}
        assert await is_logged_in(eve)
        problem_of(await end(here, other, password="wrong"), 401, "login-refused")
        problem_of(await end(here, "nothing"), 422, "invalid-request")
        assert await is_logged_in(there)
        assert (await end(here, other)).json() == {"sessions_ended": 1}
        assert not await is_logged_in(there)
        assert [one["current"] for one in await sessions(here)] == [True]
        latest = (await here.get("/api/admin/activity")).json()["activities"][0]
        assert (latest["who"], latest["action"], latest["result"]) == (NAME, "end-sessions", "done")


async def test_a_session_that_expired_is_not_shown(world: World) -> None:
    async with serving(world) as api, api.admin() as here, api.admin(create=False):
        await world.fetch(
            "UPDATE admin_sessions SET last_seen_at = now() - interval '1 day' WHERE session_hash <> $1",
            hash_of(here.cookies["solve_session"]),
        )
        assert [one["current"] for one in await sessions(here)] == [True]


async def test_what_names_a_session_opens_none(world: World) -> None:
    async with serving(world) as api, api.admin() as here:
        (this,) = await sessions(here)
        raw = here.cookies["solve_session"]
        assert str(this["session_id"]) not in raw
        async with api.client() as thief:
            thief.cookies.set("solve_session", str(this["session_id"]))
            assert not await is_logged_in(thief)


async def test_a_new_password_ends_the_other_sessions_and_gives_this_browser_a_new_one(world: World) -> None:
    async with serving(world) as api, api.admin() as here, api.admin(create=False) as there:
        before = here.cookies["solve_session"]
        found = await here.post(CHANGE, json={"password": PASSWORD, "new_password": NEW})
        assert found.status_code == 200, found.text
        assert (found.json()["name"], here.cookies["solve_session"] != before) == (NAME, True)
        here.headers["X-CSRF-Token"] = found.json()["csrf_token"]
        assert await is_logged_in(here)
        assert not await is_logged_in(there)
        async with api.client() as thief:
            thief.cookies.set("solve_session", before)
            assert not await is_logged_in(thief)
        assert not await may_log_in(api, PASSWORD)
        assert await may_log_in(api, NEW)
        done = [one for one in (await here.get("/api/admin/activity")).json()["activities"] if one["action"] != "login"]
        assert [(one["action"], one["detail"]) for one in done] == [("change-password", {"sessions_ended": 2})]


@pytest.mark.parametrize(
    ("password", "new", "status", "kind"),
    [
        ("wrong horse battery", NEW, 401, "login-refused"),
        (PASSWORD, "short", 422, "password-refused"),
        (PASSWORD, "ada-ada-ada-ada", 422, "password-refused"),
        (PASSWORD, "x" * 129, 422, "password-refused"),
        (PASSWORD, "x" * 1_001, 422, "invalid-request"),
    ],
)
async def test_a_refused_new_password_changes_nothing(
    world: World, password: str, new: str, status: int, kind: str
) -> None:
    async with serving(world) as api, api.admin() as here:
        problem_of(await here.post(CHANGE, json={"password": password, "new_password": new}), status, kind)
        assert await is_logged_in(here)
        assert await may_log_in(api, PASSWORD)


async def test_guessing_the_old_password_in_an_open_browser_is_locked_out(world: World) -> None:
    async with serving(world, api_lockout_failures=3, api_login_rate="100/minute") as api, api.admin() as here:
        for _ in range(3):
            problem_of(await here.post(CHANGE, json={"password": "wrong", "new_password": NEW}), 401, "login-refused")
        problem_of(await here.post(CHANGE, json={"password": PASSWORD, "new_password": NEW}), 401, "login-refused")
        assert await may_log_in(api, PASSWORD)  # it is the open browser that is not believed


async def test_who_is_inside_is_not_locked_out_by_guesses_from_outside(world: World) -> None:
    async with serving(world, api_lockout_failures=3, api_login_rate="100/minute") as api, api.admin() as here:
        for _ in range(3):
            assert not await may_log_in(api, "wrong")
        assert not await may_log_in(api, PASSWORD)
        found = await here.post("/api/admin/logout-everywhere", json={"password": PASSWORD})
        assert found.json() == {"sessions_ended": 1}


Meanwhile = Callable[[World], Awaitable[object]]


async def operator_gives_another(world: World) -> None:
    async with world.database() as database:
        await change_password(database, NAME, NEW)


async def every_session_ends(world: World) -> None:
    await world.fetch("DELETE FROM admin_sessions")


async def operator_disables(world: World) -> None:
    async with world.database() as database:
        await disable(database, NAME)


@pytest.mark.parametrize(
    ("meanwhile", "works"),
    [(operator_gives_another, NEW), (every_session_ends, PASSWORD), (operator_disables, None)],
)
async def test_what_was_done_about_an_account_meanwhile_is_not_undone_by_its_new_password(
    world: World, monkeypatch: pytest.MonkeyPatch, meanwhile: Meanwhile, works: str | None
) -> None:
    """Between the confirmed password and the new one lies a hash, which can wait for many others."""
    plain = own_account.hashed_new

    async def slow(password: str, name: str) -> str:
        held = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
        assert await world.value(held) == 0  # nothing is locked while it waits
        await meanwhile(world)
        return await plain(password, name)

    monkeypatch.setattr(own_account, "hashed_new", slow)
    async with serving(world) as api, api.admin() as here:
        found = await here.post(CHANGE, json={"password": PASSWORD, "new_password": "a thief's own four words"})
        problem_of(found, 401, "login-refused")
        assert not await is_logged_in(here)
        assert not await may_log_in(api, "a thief's own four words")
        assert await world.value("SELECT count(*) FROM admin_sessions") == 0
        assert works is None or await may_log_in(api, works)


async def test_of_changes_at_once_one_is_done_and_the_other_refused(world: World) -> None:
    async with (
        serving(world, api_login_rate="100/minute") as api,
        api.admin() as here,
        api.admin(create=False) as there,
    ):
        passwords = [f"{NEW} {number}" for number in range(2)]
        found = await asyncio.gather(
            *(
                client.post(CHANGE, json={"password": PASSWORD, "new_password": new})
                for client, new in zip((here, there), passwords, strict=True)
            )
        )
        assert sorted(one.status_code for one in found) == [200, 401]
        assert await world.value("SELECT count(*) FROM admin_sessions") == 1
        assert [await may_log_in(api, new) for new in passwords] == [one.status_code == 200 for one in found]


async def test_no_script_and_no_other_site_changes_a_password(world: World) -> None:
    asked = {"password": PASSWORD, "new_password": NEW}
    async with serving(world) as api, api.admin() as here, api.script(*Scope) as robot:
        problem_of(await robot.post(CHANGE, json=asked), 403, "session-required")
        problem_of(await robot.get(SESSIONS), 403, "session-required")
        del here.headers["X-CSRF-Token"]
        problem_of(await here.post(CHANGE, json=asked), 403, "csrf")
        assert await may_log_in(api, PASSWORD)


async def test_the_page_shows_where_one_is_logged_in_and_logs_out_another_browser(world: World) -> None:
    async with serving(world) as api, browser(api) as here, api.client(**{"User-Agent": HOSTILE}) as there:
        await there.post("/admin/login", data={"name": NAME, "password": PASSWORD})
        shown = seen(await here.get(ACCOUNT))
        assert HOSTILE in shown.text
        assert "current" in shown.text
        assert (
            "Select at least one browser"
            in seen(await sent(here, ACCOUNT, f"{ACCOUNT}/sessions/end", password=PASSWORD), 422).text
        )
        (other,) = [one["session_id"] for one in await sessions(here) if not one["current"]]
        refused = await sent(here, ACCOUNT, f"{ACCOUNT}/sessions/end", ids=other, password="wrong")
        assert "not your current password" in seen(refused, 401).text
        assert f'value="{other}" checked' in refused.text
        ended = await sent(here, ACCOUNT, f"{ACCOUNT}/sessions/end", ids=other, password=PASSWORD)
        assert (ended.status_code, ended.headers["location"]) == (303, f"{ACCOUNT}?ended=1")
        assert "1 browser logged out." in seen(await here.get(ended.headers["location"])).text
        for form in ("sessions/end", "logout-everywhere", "password"):
            again = await here.get(f"{ACCOUNT}/{form}")
            assert (again.status_code, again.headers["location"]) == (303, ACCOUNT)
        assert not await is_logged_in(there)
        assert "not your current password" in seen(await sent(here, ACCOUNT, f"{ACCOUNT}/logout-everywhere"), 401).text
        left = await sent(here, ACCOUNT, f"{ACCOUNT}/logout-everywhere", password=PASSWORD)
        assert (left.status_code, left.headers["location"]) == (303, "/admin/login?left=1")
        assert not await is_logged_in(here)


async def test_the_page_changes_the_password_or_says_why_not(world: World) -> None:
    fields = {"password": PASSWORD, "new_password": NEW, "confirmation": NEW}
    async with serving(world, api_login_rate="100/minute") as api, browser(api) as here:
        for wrong, status, said in (
            ({"confirmation": "something else"}, 422, "not the same"),
            ({"password": "wrong"}, 401, "not your current password"),
            ({"new_password": "short", "confirmation": "short"}, 422, "12 to 128 characters"),
        ):
            refused = seen(await sent(here, ACCOUNT, f"{ACCOUNT}/password", **fields | wrong), status)
            assert said in refused.text
        changed = await sent(here, ACCOUNT, f"{ACCOUNT}/password", **fields)
        assert (changed.status_code, changed.headers["location"]) == (303, f"{ACCOUNT}?changed=1")
        assert "Password changed." in seen(await here.get(changed.headers["location"])).text
        assert await may_log_in(api, NEW)
