"""Logging in and out: the right password alone opens a session, and refusals reveal nothing."""

import asyncio
import json
import threading
import unicodedata
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from structlog.testing import capture_logs

from solve_api.identity import login as log_in
from solve_api.identity import passwords, refusals
from solve_api.identity.accounts import account_of, change_password, disable
from solve_api.identity.passwords import is_outdated
from tests.api.served import NAME, PASSWORD, Served, problem_of, serving
from tests.waiting import until
from tests.world import World

LOGIN, SESSION = "/api/admin/login", "/api/admin/session"
OVER_TLS = {"X-Forwarded-Proto": "https"}
WRONG = "not the right battery staple"
GUESSES = 3


async def tried(client: httpx.AsyncClient, name: str = NAME, password: str = WRONG, **options: Any) -> httpx.Response:
    return await client.post(LOGIN, json={"name": name, "password": password}, **options)


async def audit_rows(world: World) -> list[tuple[str, str, str, str]]:
    found = await world.fetch("SELECT who, via, action, result FROM admin_audit ORDER BY audit_id")
    return [tuple(row) for row in found]


def attributes(found: httpx.Response) -> set[str]:
    """Of the one cookie that it sets, in lower case, without its value."""
    (cookie,) = found.headers.get_list("set-cookie")
    name, *rest = cookie.split("; ")
    return {name.partition("=")[0], *(one.lower() for one in rest)}


async def test_the_cookie_is_for_this_host_for_no_script_and_no_other_site(world: World) -> None:
    async with serving(world, api_trusted_proxies=("127.0.0.1",)) as api:
        await api.create_admin()
        plain = await tried(api.anybody, password=PASSWORD)
        assert attributes(plain) == {"solve_session", "httponly", "path=/", "samesite=lax"}
        tls = await tried(api.anybody, password=PASSWORD, headers=OVER_TLS)
        assert attributes(tls) == {"__Host-solve_session", "httponly", "path=/", "samesite=lax", "secure"}
        (raw,) = [cookie.value for cookie in tls.cookies.jar if cookie.name.startswith("__Host-")]
        assert raw
        assert raw not in tls.text
        assert tls.headers["cache-control"] == "no-store"
        assert "includesubdomains" in tls.headers["strict-transport-security"].lower()
        assert "strict-transport-security" not in plain.headers
        # over TLS the name that a sister domain could plant is nobody
        async with api.client(Cookie=f"solve_session={raw}", **OVER_TLS) as planted:
            problem_of(await planted.get(SESSION), 401, "login-required")
        async with api.client(Cookie=f"__Host-solve_session={raw}", **OVER_TLS) as browser:
            assert (await browser.get(SESSION)).json()["name"] == NAME


async def test_a_proxy_that_is_not_named_is_not_believed(world: World) -> None:
    async with serving(world, api_login_rate="2/minute") as api:
        await api.create_admin()
        found = await tried(api.anybody, password=PASSWORD, headers=OVER_TLS)
        assert "secure" not in attributes(found)
        for number, status in enumerate((401, 429, 429)):
            found = await tried(api.anybody, headers={"X-Forwarded-For": f"192.0.2.{number}"})
            assert found.status_code == status
        assert await world.value("SELECT array_agg(DISTINCT client) FROM admin_audit") == ["127.0.0.1"]


async def test_a_proxy_that_is_named_tells_whose_tries_they_are(world: World) -> None:
    async with serving(world, api_login_rate="1/hour", api_trusted_proxies=("127.0.0.1",)) as api:
        with capture_logs() as said:
            for address, status in (("192.0.2.1", 401), ("192.0.2.1", 429), ("192.0.2.2", 401)):
                # what stands before the proxy's own word is what the client made up
                found = await tried(api.anybody, headers={"X-Forwarded-For": f"198.51.100.9, {address}"})
                assert found.status_code == status
        refused = [(one["kind"], one["key"]) for one in said if one.get("action") == "rate_refused"]
        assert refused == [("login", "192.0.2.1")]
        problem = await tried(api.anybody, headers={"X-Forwarded-For": "192.0.2.1"})
        problem_of(problem, 429, "too-many-requests")
        assert 3_000 < int(problem.headers["retry-after"]) <= 3_600
        clients = await world.value("SELECT array_agg(client ORDER BY audit_id) FROM admin_audit")
        assert clients == ["192.0.2.1", "192.0.2.2"]


async def test_every_refusal_is_the_same_whoever_is_asked_for(world: World) -> None:
    async with serving(world, api_lockout_failures=GUESSES) as api:
        for name in (NAME, "gone", "locked"):
            await api.create_admin(name)
        async with world.database() as database:
            await disable(database, "gone")
        for _ in range(GUESSES):
            await tried(api.anybody, "locked")
        found = [
            await tried(api.anybody, name, password)
            for name, password in (
                (NAME, WRONG),
                ("nobody", WRONG),
                ("gone", PASSWORD),
                ("locked", PASSWORD),
                ("no name, as it is", PASSWORD),
                (NAME, "x" * 1_000),
                (NAME, "\0"),
                (NAME, ""),
            )
        ]
        problem_of(found[0], 401, "login-refused")
        assert len({one.text for one in found}) == 1
        own = {"x-request-id", "date"}
        heads = [{name: value for name, value in one.headers.items() if name not in own} for one in found]
        assert all(head == heads[0] for head in heads)
        assert "set-cookie" not in heads[0]
        assert await world.value("SELECT count(*) FROM admin_sessions") == 0


async def test_after_so_many_guesses_the_right_password_is_refused_too(world: World) -> None:
    async with serving(world, api_lockout_failures=GUESSES) as api:
        for name in (NAME, "bob"):
            await api.create_admin(name)
        await asyncio.gather(*(tried(api.anybody) for _ in range(2 * GUESSES)))
        problem_of(await tried(api.anybody, password=PASSWORD), 401, "login-refused")
        assert (await tried(api.anybody, "bob", PASSWORD)).status_code == 200
        # as time goes by
        await world.fetch("UPDATE admin_lockouts SET locked_until = now(), last_failed_at = now()")
        assert (await tried(api.anybody, f" {NAME.upper()} ", PASSWORD)).status_code == 200
        assert await world.value("SELECT count(*) FROM admin_lockouts") == 0


async def test_a_right_password_forgets_the_wrong_ones_before_it(world: World) -> None:
    async with serving(world, api_lockout_failures=GUESSES) as api:
        await api.create_admin()
        for _ in range(3):
            statuses = [(await tried(api.anybody)).status_code for _ in range(GUESSES - 1)]
            assert statuses == [401] * (GUESSES - 1)
            assert (await tried(api.anybody, password=PASSWORD)).status_code == 200


async def test_each_log_in_has_an_id_of_its_own_and_ends_this_browsers_older_one(world: World) -> None:
    async with serving(world) as api:
        await api.create_admin()
        async with api.client() as browser:
            await tried(browser, password=PASSWORD)
            first = browser.cookies["solve_session"]
            await tried(browser, password=PASSWORD)
            assert browser.cookies["solve_session"] != first
            assert await state_of(api, first) == 401
        async with api.client(Cookie="solve_session=chosen-by-somebody") as planted:
            found = await tried(planted, password=PASSWORD)
            assert found.cookies["solve_session"] != "chosen-by-somebody"
            assert await state_of(api, "chosen-by-somebody") == 401


async def state_of(api: Served, raw: str) -> int:
    async with api.client(Cookie=f"solve_session={raw}") as browser:
        return (await browser.get(SESSION)).status_code


async def test_log_out_is_for_good(world: World) -> None:
    async with serving(world) as api, api.admin() as admin, api.admin(create=False) as other:
        raw = admin.cookies["solve_session"]
        left = await admin.post("/api/admin/logout")
        assert left.status_code == 204
        assert {"solve_session", "max-age=0", "httponly"} <= attributes(left)
        assert await state_of(api, raw) == 401
        assert (await other.get(SESSION)).status_code == 200
        problem_of(await admin.post("/api/admin/logout"), 401, "login-required")


async def test_log_out_everywhere_ends_this_admins_browsers_alone(world: World) -> None:
    async with serving(world) as api, api.admin() as here, api.admin(create=False) as there, api.admin("bob") as bob:
        found = await here.post("/api/admin/logout-everywhere", json={"password": PASSWORD})
        assert found.json() == {"sessions_ended": 2}
        assert [(await one.get(SESSION)).status_code for one in (here, there, bob)] == [401, 401, 200]


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE admin_sessions SET last_seen_at = now() - interval '10 minutes'",
        "UPDATE admin_sessions SET expires_at = now()",
        "UPDATE admin_sessions SET created_at = now() - interval '1 day'",
        "UPDATE admins SET disabled_at = now()",
        "DELETE FROM admin_sessions",
    ],
)
async def test_a_session_that_has_ended_opens_nothing(world: World, end: str) -> None:
    async with serving(world, api_session_idle_s=600) as api, api.admin() as admin:
        assert (await admin.get(SESSION)).status_code == 200
        await world.fetch(end)
        problem_of(await admin.get(SESSION), 401, "login-required")
        problem_of(await admin.post("/api/admin/sync-leaderboard"), 401, "login-required")


async def test_another_password_of_the_command_line_ends_browsers_that_are_logged_in(world: World) -> None:
    async with serving(world) as api, api.admin() as admin:
        async with world.database() as database:
            await change_password(database, NAME, WRONG)
        problem_of(await admin.get(SESSION), 401, "login-required")
        problem_of(await tried(api.anybody, password=PASSWORD), 401, "login-refused")
        assert (await tried(api.anybody, password=WRONG)).status_code == 200


async def test_a_hash_of_older_parameters_is_made_anew_by_a_log_in(world: World) -> None:
    async with serving(world) as api, world.database() as database:
        await api.create_admin()
        old = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
        await database.execute("UPDATE admins SET password_hash = $1", old)
        await tried(api.anybody)
        assert await database.fetchval("SELECT password_hash FROM admins") == old, "a wrong one changes nothing"
        assert (await tried(api.anybody, password=PASSWORD)).status_code == 200
        account = await account_of(database, NAME)
        assert account
        assert not is_outdated(account.password_hash)
        assert (await tried(api.anybody, password=PASSWORD)).status_code == 200


async def test_the_longest_password_works_however_its_umlauts_are_typed(world: World) -> None:
    longest = unicodedata.normalize("NFC", ("äöü vor Quitten zählt müde Öl; " * 5)[:128])
    typed = unicodedata.normalize("NFD", longest)
    assert len(typed) > 128
    async with serving(world) as api:
        await api.create_admin(password=longest)
        assert (await tried(api.anybody, password=typed)).status_code == 200


async def test_it_is_written_down_who_came_and_went_and_no_secret_is(world: World) -> None:
    typed_into_the_wrong_field = "Correct Horse!"
    async with serving(world) as api:
        async with api.admin() as admin:
            await tried(api.anybody)
            await tried(api.anybody, "nobody")
            await tried(api.anybody, typed_into_the_wrong_field)
            raw, token = admin.cookies["solve_session"], admin.headers["x-csrf-token"]
            await admin.post("/api/admin/logout")
        async with api.admin(create=False) as admin:
            await admin.post("/api/admin/logout-everywhere", json={"password": PASSWORD})
    assert await audit_rows(world) == [
        (NAME, "password", "login", "done"),
        (NAME, "password", "login", "refused"),
        ("nobody", "password", "login", "refused"),
        ("(not a valid name)", "password", "login", "refused"),
        (NAME, "session", "logout", "done"),
        (NAME, "password", "login", "done"),
        (NAME, "session", "logout-everywhere", "done"),
    ]
    rows = await world.fetch("SELECT admin_audit::text, request_id, client FROM admin_audit")
    assert all(row["request_id"] and row["client"] == "127.0.0.1" for row in rows)
    secrets = (PASSWORD, WRONG, typed_into_the_wrong_field, raw, token)
    assert not [secret for secret in secrets for row in rows if secret in row[0]]


async def test_a_password_too_many_in_the_queue_is_refused_and_counts_as_no_failure(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven of ten at once find no place; three wait until all those have their answer."""
    monkeypatch.setattr(passwords, "_slots", threading.Semaphore(3))
    refused = asyncio.Event()

    async def slow(_password: str, _hash: str | None) -> bool:
        await refused.wait()
        return False

    async with serving(world) as api:
        await api.create_admin()
        with monkeypatch.context() as flooded:
            flooded.setattr(log_in, "is_right", slow)
            tries = [asyncio.create_task(tried(api.anybody)) for _ in range(10)]
            found = []
            for answer in asyncio.as_completed(tries):
                found.append(await answer)
                if len(found) == 7:
                    page = await api.anybody.post("/admin/login", data={"name": NAME, "password": PASSWORD})
                    refused.set()
        assert (page.status_code, page.headers["retry-after"], f'value="{NAME}"' in page.text) == (503, "5", True)
        for one in found[:7]:
            problem_of(one, 503, "busy")
        assert [one.status_code for one in found[7:]] == [401] * 3
        assert await world.value("SELECT failures FROM admin_lockouts") == 3
        assert (await tried(api.anybody, password=PASSWORD)).status_code == 200


async def test_a_flood_of_log_ins_leaves_one_row_for_each_address_and_reason(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "_slots", threading.Semaphore(0))
    monkeypatch.setattr(refusals, "ADDRESSES_MAX", 3)
    proxied = {"api_trusted_proxies": ("127.0.0.1",), "api_login_rate": "4/hour"}
    async with serving(world, **proxied) as api:
        for address, number in (("192.0.2.1", 6), ("192.0.2.2", 1), ("192.0.2.3", 1), ("2001:db8::1", 2)):
            for _ in range(number):
                found = await tried(api.anybody, headers={"X-Forwarded-For": address})
                assert found.status_code in {429, 503}
        await world.fetch("ALTER TABLE admin_audit RENAME TO hidden")
        await refusals_of(api).record()
        await world.fetch("ALTER TABLE hidden RENAME TO admin_audit")  # and they are counted on
    rows = await world.fetch("SELECT who, client, result, detail FROM admin_audit")
    assert sorted((row["who"], row["client"], *sorted(json.loads(row["detail"]).items())) for row in rows) == [
        ("(not checked)", "(other addresses)", ("attempts", 3), ("because", "too many passwords at once")),
        ("(not checked)", "192.0.2.1", ("attempts", 2), ("because", "over the rate")),
        ("(not checked)", "192.0.2.1", ("attempts", 4), ("because", "too many passwords at once")),
        ("(not checked)", "192.0.2.2", ("attempts", 1), ("because", "too many passwords at once")),
    ]
    assert {row["result"] for row in rows} == {"refused"}


async def test_what_is_counted_is_recorded_while_the_server_runs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_session_slots", threading.Semaphore(0))
    monkeypatch.setattr(refusals, "RECORD_INTERVAL_S", 0.1)
    async with serving(world) as api, api.admin() as admin:
        busy = await admin.post("/api/admin/logout-everywhere", json={"password": PASSWORD})
        problem_of(busy, 503, "busy")

        async def is_recorded() -> bool:
            found = (await admin.get("/api/admin/activity")).json()["activities"][0]
            return (found["who"], found["action"], found["detail"].get("attempts")) == (NAME, "confirm-password", 1)

        await until(is_recorded, "the refusal to be recorded")


def refusals_of(api: Served) -> refusals.Refusals:
    found: refusals.Refusals = api._server.config.app.state.stores.identity.refusals  # type: ignore[union-attr]
    return found
