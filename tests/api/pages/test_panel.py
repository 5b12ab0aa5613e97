"""The admin panel: only for admins, and all of it by plain forms."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from solve_api.identity.sessions import now
from solve_api.identity.tokens import NewToken, Scope, create_token
from solve_api.pages import dead_letters as letters_module
from solve_api.pages.login import local_path
from solve_schemas.rejection import Reason
from tests.api.reading import HOSTILE, PANEL, Page, browser, fill, seen, sent
from tests.api.served import NAME, PASSWORD, serving
from tests.events import solved
from tests.projector.dead_letters import add_dead_letters
from tests.waiting import until
from tests.world import World


async def test_the_panel_is_shut_without_a_log_in_and_leads_back_after_it(world: World) -> None:
    async with serving(world) as api:
        await api.create_admin()
        for path in PANEL:
            found = await api.anybody.get(path)
            assert (found.status_code, found.headers["cache-control"]) == (303, "no-store")
            assert found.headers["location"].startswith("/admin/login")
        asked = await api.anybody.get("/admin/activity?before_id=7")
        form = seen(await api.anybody.get(asked.headers["location"]))
        assert form.fields["next"] == "/admin/activity?before_id=7"
        for path in ("/admin/jobs", "/admin/dead-letters/discard", "/admin/logout", "/admin/tokens/1/revoke"):
            found = await api.anybody.post(path, data={"ids": 1, "why": "x", "kind": "backfill"})
            assert (found.status_code, found.headers["location"]) == (303, "/admin/login"), path
        data = {"name": "Ada ", "password": PASSWORD, "next": "/admin/activity?before_id=7"}
        entered = await api.anybody.post("/admin/login", data=data)
        assert (entered.status_code, entered.headers["location"]) == (303, "/admin/activity?before_id=7")
        assert "httponly" in entered.headers["set-cookie"].lower()


async def test_a_refused_log_in_shows_the_form_again_and_keeps_no_password(world: World) -> None:
    async with serving(world, api_login_rate="2/minute") as api:
        await api.create_admin()
        wrong = {"name": NAME, "password": "wrong horse", "next": "/admin/lag"}
        refused = await api.anybody.post("/admin/login", data=wrong)
        form = seen(refused, 401)
        assert "Wrong name or password" in form.text
        assert form.fields["next"] == "/admin/lag"
        assert "wrong horse" not in refused.text
        other = await api.anybody.post("/admin/login", data=wrong, headers={"Origin": "https://elsewhere.example"})
        assert "another site" in seen(other, 403).text
        await api.anybody.post("/admin/login", data=wrong)
        limited = await api.anybody.post("/admin/login", data=wrong)
        assert "Too many login attempts" in seen(limited, 429).text
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
        assert "Your session has ended" in seen(await client.get(found.headers["location"])).text
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
def test_a_login_leads_nowhere_but_to_the_panel(said: str) -> None:
    assert local_path(said) == "/admin"


@pytest.mark.parametrize("said", ["/admin", "/admin?x=1", "/admin/lag", "/admin/dead-letters?user_id=%2F%2Fx&reason="])
def test_a_login_leads_back(said: str) -> None:
    assert local_path(said) == said


async def test_a_check_lists_incorrect_counts_and_offers_the_repair(world: World) -> None:
    await fill(world)
    async with world.database() as database:
        await database.execute("UPDATE users SET problems_solved = 7 WHERE user_id = 'h/x'")
    async with serving(world) as api, browser(api) as client:
        started = await sent(client, "/admin", "/admin/jobs", kind="backfill", dry_run="true")
        assert started.status_code == 303
        checked = await ended(client, started.headers["location"])
        assert "Audit complete: 1 users would be updated out of 5" in checked.text
        assert f"{HOSTILE} h/x 7 1 −6" in checked.text
        assert {name: checked.fields[name] for name in ("kind", "dry_run")} == {"kind": "backfill", "dry_run": "false"}
        assert (await api.get("/api/users/h/x"))["problems_solved"] == 7
        repairing = await client.post("/admin/jobs", data=checked.fields)
        repaired = await ended(client, repairing.headers["location"])
        assert "Corrected counts" in repaired.text
        assert "Repair counts" not in repaired.text
        assert (await api.get("/api/users/h/x"))["problems_solved"] == 1
        panel = seen(await client.get("/admin"))
        assert repairing.headers["location"] in panel.links
        audit = seen(await client.get("/admin/activity"))
        assert "ada session backfill started view job ; dry run: yes" in audit.text
        synced = await sent(client, "/admin", "/admin/jobs", kind="sync-leaderboard", dry_run="true")
        assert "No differences found" in (await ended(client, synced.headers["location"])).text


async def ended(client: httpx.AsyncClient, path: str) -> Page:
    """A job's page, looked at again and again as a browser without a script does."""

    async def is_over() -> Page | None:
        found = await client.get(path)
        page = seen(found)
        assert ('http-equiv="refresh"' in found.text) == ("runs in the background" in page.text)
        return None if "runs in the background" in page.text else page

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
        assert "No jobs yet" in seen(await client.get("/admin")).text
    async with api_with_script(world) as script:
        assert "log in and try again" in seen(await script.get("/admin"), 403).text


@asynccontextmanager
async def api_with_script(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(world) as api, api.script(Scope.READ) as script:
        yield script


async def test_dead_letters_are_shown_retried_and_discarded(world: World) -> None:
    await fill(world)
    (good,) = await add_dead_letters(world, [solved("5", "empty", "p", 9)])
    bad = await add_dead_letters(world, [solved("6", "empty", "p", 9)] * 2, reason=Reason.NOT_JSON, value=b"<b>\xff")
    ids = [str(one) for one in bad]
    async with serving(world) as api, browser(api) as client:
        listed = seen(await client.get("/admin/dead-letters"))
        assert {f"/admin/dead-letters/{one}" for one in (good, *bad)} <= set(listed.links)
        assert {"/admin/dead-letters?reason=not-json"} <= set(seen(await client.get("/admin")).links)
        assert '"submission_id":"5"' in seen(await client.get(f"/admin/dead-letters/{good}")).text
        assert "Not valid UTF-8; shown in base64" in seen(await client.get(f"/admin/dead-letters/{bad[0]}")).text
        nothing = await sent(client, "/admin/dead-letters", "/admin/dead-letters/retry")
        assert "Select at least one dead letter." in seen(nothing, 422).text
        retried = await sent(client, "/admin/dead-letters", "/admin/dead-letters/retry", ids=[good, bad[0]])
        assert "Retried: 1 applied" in seen(await client.get(retried.headers["location"])).text
        assert (await api.get("/api/users/empty"))["problems_solved"] == 1
        unsaid = await sent(client, "/admin/dead-letters", "/admin/dead-letters/discard", ids=ids[:1], why=" ")
        assert "Enter a reason" in seen(unsaid, 422).text
        discarded = await sent(client, "/admin/dead-letters", "/admin/dead-letters/discard", ids=ids, why="a <test>")
        assert f"{len(ids)} dead letters discarded." in seen(await client.get(discarded.headers["location"])).text
        assert "No open dead letters." in seen(await client.get("/admin/dead-letters")).text
        kept = seen(await client.get("/admin/dead-letters?with_discarded=true"))
        assert "Discarded by ada: a <test>" in kept.text
        again = await sent(client, "/admin", "/admin/dead-letters/discard", ids=ids[:1], why="again")
        assert "Already decided" in seen(again, 409).text
        assert "Dead letter not found" in seen(await client.get("/admin/dead-letters/999999"), 404).text


async def test_dead_letters_are_leafed_through(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters_module, "SHOWN", 2)
    await add_dead_letters(world, [solved("0", "a", "p")], reason=Reason.NOT_JSON)
    ids = await add_dead_letters(world, [solved(str(number), "a", "p") for number in range(5)])
    async with serving(world) as api, browser(api) as client:
        path, shown = "/admin/dead-letters?reason=unknown-type", []
        while path:
            page = seen(await client.get(path))
            shown.append([int(one.rpartition("/")[2]) for one in page.links if one.startswith("/admin/dead-letters/")])
            path = next((one for one in page.links if "after_id=" in one), "")
        assert shown == [ids[:2], ids[2:4], ids[4:]]
        assert "/admin/dead-letters?reason=unknown-type" in page.links  # back to the oldest


async def test_a_refused_decision_on_one_letter_keeps_that_letter(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters_module, "SHOWN", 2)
    *_, last = await add_dead_letters(world, [solved(str(number), "a", "p") for number in range(5)])
    async with serving(world) as api, browser(api) as client:
        form = seen(await client.get(f"/admin/dead-letters/{last}"))
        refused = await client.post("/admin/dead-letters/discard", data={**form.fields, "why": " "})
        assert "Enter a reason" in seen(refused, 422).text
        assert f'value="{last}" checked' in refused.text
        for address in ("discard", "retry"):
            again = await client.get(f"/admin/dead-letters/{address}")
            assert (again.status_code, again.headers["location"]) == (303, "/admin/dead-letters")


async def test_a_decision_leads_back_to_the_list_that_it_was_made_in(world: World) -> None:
    first, second, third = await add_dead_letters(world, [solved(str(number), "a b", "p") for number in range(3)])
    path = f"/admin/dead-letters?reason=unknown-type&user_id=a+b&with_discarded=true&after_id={first}"
    async with serving(world) as api, browser(api) as client:
        shown = seen(await client.get(path)).fields
        assert set(shown) == {"csrf_token", "reason", "user_id", "with_discarded", "after_id"}
        discarded = await client.post("/admin/dead-letters/discard", data={**shown, "ids": second, "why": "a test"})
        assert discarded.headers["location"] == f"{path}&discarded=1"
        retried = await client.post("/admin/dead-letters/retry", data={**shown, "ids": third})
        assert retried.headers["location"] == f"{path}&applied=0&parked=1&still_dead=0"
        page = seen(await client.get(retried.headers["location"]))
        assert "Discarded by ada: a test" in page.text
        assert f"/admin/dead-letters/{first}" not in page.links
        for wrong in ({"user_id": "\x00"}, {"after_id": "-1"}, {"with_discarded": "maybe"}, {"reason": "x" * 201}):
            for action in ("retry", "discard"):
                data = {**shown, "ids": first, "why": "a test", **wrong}
                seen(await client.post(f"/admin/dead-letters/{action}", data=data), 422)
        assert seen(await client.get("/admin/dead-letters")).fields.keys() == {"csrf_token"}


async def test_a_decision_that_is_refused_leaves_the_list_and_what_was_said(world: World) -> None:
    ids = await add_dead_letters(world, [solved(str(number), "a", "p") for number in range(3)])
    async with serving(world) as api, browser(api) as client:
        shown = seen(await client.get(f"/admin/dead-letters?user_id=a&after_id={ids[0]}")).fields
        for action in ("retry", "discard"):
            refused = await client.post(f"/admin/dead-letters/{action}", data={**shown, "why": '<"a test">'})
            page = seen(refused, 422)
            assert "Select at least one dead letter." in page.text
            assert page.fields | {"csrf_token": ""} == shown | {"csrf_token": ""}  # each answer has another
            assert [int(one.rpartition("/")[2]) for one in page.links if "dead-letters/" in one] == ids[1:]
            assert 'value="&lt;&#34;a test&#34;&gt;"' in refused.text
            assert refused.headers["cache-control"] == "no-store"
        unsaid = await client.post("/admin/dead-letters/discard", data={**shown, "ids": ids[2], "why": " "})
        assert "Enter a reason, so that others can see why" in seen(unsaid, 422).text
        assert re.findall(r'value="(\d+)" checked', unsaid.text) == [str(ids[2])]


async def test_the_lag_and_the_tokens_are_shown(world: World) -> None:
    await fill(world)
    async with serving(world) as api, browser(api) as client:

        async def is_known() -> bool:
            return "End of log" in seen(await client.get("/admin/lag")).text

        await until(is_known, "the lag to be known")
        assert "Events waiting 0" in seen(await client.get("/admin/lag")).text
        async with world.database() as database:
            wanted = NewToken("<nightly>", frozenset({Scope.READ}))
            raw, token = await create_token(database, 1, wanted, now())
        listed = await client.get("/admin/tokens")
        assert "<nightly> read" in seen(listed).text
        assert raw not in listed.text
        await sent(client, "/admin/tokens", f"/admin/tokens/{token.token_id}/revoke")
        assert "revoked" in seen(await client.get("/admin/tokens")).text
        async with api.client(Authorization=f"Bearer {raw}") as script:
            assert (await script.get("/api/admin/lag")).status_code == 401
