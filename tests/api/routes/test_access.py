"""Access to every route: refused to visitors, to other sites, and to tokens without the scope."""

import re
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from structlog.testing import capture_logs

from solve_api.app import create_app
from solve_api.http.csrf import SAFE_METHODS
from solve_api.identity.tokens import Scope
from tests.api.served import NAME, PASSWORD, problem_of, serving, settings_of
from tests.world import World

OTHER_SITE = {"Origin": "https://evil.example"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LOGIN = {"/api/admin/login", "/admin/login"}
PUBLIC = {
    "/", "/leaderboard", "/search", "/user", "/users/{user_id:path}", "/static/{name}", "/livez", "/readyz",
    "/api/openapi.json", "/api/events", "/api/leaderboard", "/api/user", "/api/users", "/api/users/{user_id:path}",
    "/user/solves", "/users/{user_id:path}/solves", "/api/user/solves", "/api/users/{user_id:path}/solves",
}  # fmt: skip


def routes_of(world: World) -> list[tuple[str, str]]:
    """Every method and path of the application."""
    found: list[tuple[str, str]] = []

    def collect(routes: Any, prefix: str = "") -> None:
        for route in routes:
            if router := getattr(route, "original_router", None):
                collect(router.routes)
            else:
                found.extend((method, prefix + route.path) for method in route.methods)

    collect(create_app(world.connection, settings_of(world)).routes)
    assert len(found) > 40
    return sorted(found)


def filled(path: str) -> str:
    """With something that is there in form, if not in the database."""
    return re.sub(
        r"\{(\w+)(:\w+)?\}", lambda m: "00000000-0000-0000-0000-000000000000" if m[1] == "job_id" else "1", path
    )


async def ask(client: httpx.AsyncClient, method: str, path: str, **options: Any) -> httpx.Response:
    async with client.stream(method, filled(path), **options) as answer:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            return answer
        await answer.aread()
        return answer


async def test_what_is_not_public_needs_a_log_in(world: World) -> None:
    routes = routes_of(world)
    assert {path for _, path in routes if "admin" not in path} == PUBLIC
    async with serving(world) as api:
        for method, path in routes:
            if path in PUBLIC | LOGIN:
                continue
            for headers in ({}, {"Authorization": "Bearer sct_wrong"}, {"Cookie": "solve_session=wrong"}):
                found = await ask(api.anybody, method, path, headers=headers)
                if path.startswith("/api/"):
                    assert found.status_code == 401, (method, path)
                else:
                    leads = found.headers.get("location", "")
                    assert (found.status_code, leads[:12]) == (303, "/admin/login"), (method, path)


async def test_no_request_that_another_site_can_make_changes_anything(world: World) -> None:
    """Neither without the token, nor with one of another session, nor with the right one from another site."""
    unsafe = [(method, path) for method, path in routes_of(world) if method not in SAFE_METHODS and path not in LOGIN]
    assert len(unsafe) > 10
    async with serving(world) as api, api.admin() as admin, api.admin("bob") as bob:
        right = admin.headers.pop("x-csrf-token")
        for method, path in unsafe:
            for headers in (
                {},
                {"X-CSRF-Token": ""},
                {"X-CSRF-Token": bob.headers["x-csrf-token"]},
                {"X-CSRF-Token": right, **OTHER_SITE},
                {"X-CSRF-Token": right, "Sec-Fetch-Site": "cross-site"},
                {"X-CSRF-Token": right, "Sec-Fetch-Site": "same-site"},
                {"X-CSRF-Token": right, "Origin": "null"},
                FORM,
            ):
                found = await ask(admin, method, path, headers=headers)
                assert found.status_code == 403, (method, path, headers, found.status_code)
        # nothing was done: the only rows are of the logins, and both are still logged in
        assert await world.value("SELECT array_agg(DISTINCT action) FROM admin_audit") == ["login"]
        assert await world.value("SELECT count(*) FROM admin_sessions") == 2
        assert await world.value("SELECT count(*) FROM admin_jobs") == 0


async def test_other_sites_read_public_answers_and_none_of_an_admins(world: World) -> None:
    shared = {path for path in PUBLIC if path.startswith("/api/")}
    async with serving(world, api_cors_origins=("https://judge.example",)) as api, api.admin() as admin:
        elsewhere = {"Origin": "https://judge.example"}
        for method, path in [*routes_of(world), ("GET", "/nothing"), ("GET", "/api/nothing"), ("GET", "/api/admin")]:
            if path in LOGIN or path.endswith("/logout"):
                continue
            query = {"id": "1", "username": "1", "board": "true"}
            found = await ask(admin, method, path, headers=elsewhere, params=query)
            allowed = found.headers.get("access-control-allow-origin")
            assert allowed == ("https://judge.example" if path in shared else None), (method, path)
            policy = found.headers["cross-origin-resource-policy"]
            assert policy == ("cross-origin" if path in shared else "same-origin"), (method, path)
            assert "access-control-allow-credentials" not in found.headers
            asked = elsewhere | {"Access-Control-Request-Method": "GET"}
            preflight = await admin.options(filled(path), headers=asked)
            assert (preflight.status_code == 200) == (path in shared), path
            assert ("access-control-allow-origin" in preflight.headers) == (path in shared), path


async def test_answers_of_admins_are_not_compressed(world: World) -> None:
    async with serving(world) as api, api.admin() as admin:
        for method, path in routes_of(world):
            if method == "GET" and path.startswith(("/admin", "/api/admin")):
                found = await ask(admin, method, path, headers={"Accept-Encoding": "gzip"}, params={"next": "a" * 900})
                assert "content-encoding" not in found.headers, path
        public = await admin.get("/", headers={"Accept-Encoding": "gzip"})
        assert public.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80@x", "[x"])
async def test_no_answer_leads_to_a_host_that_the_request_names(world: World, host: str) -> None:
    async with serving(world) as api, api.client(Host=host, Accept="text/html") as client:
        for method, path in routes_of(world):
            for one in (filled(path), f"{filled(path)}/", f"/{filled(path)}"):
                found = await ask(client, method, one)
                assert found.status_code < 500, (method, one)
                leads = found.headers.get("location", "/")
                assert re.match(r"/(?![/\\])", leads), (method, one, leads)
                assert "evil.example" not in found.text if not found.is_stream_consumed else True


@pytest.mark.parametrize("path", sorted(LOGIN))
async def test_another_site_logs_nobody_in_as_somebody_it_knows(world: World, path: str) -> None:
    said = {"name": NAME, "password": PASSWORD}
    async with serving(world) as api:
        await api.create_admin()
        for headers in (OTHER_SITE, {"Sec-Fetch-Site": "cross-site"}):
            sent: dict[str, Any] = {"json": said} if path.startswith("/api/") else {"data": said}
            found = await api.anybody.post(path, headers=headers, **sent)
            assert found.status_code == 403
            assert "set-cookie" not in found.headers
        # a form of another site cannot send JSON
        as_text = await api.anybody.post("/api/admin/login", content=urlencode(said), headers=FORM)
        assert as_text.status_code == 422
        assert await world.value("SELECT count(*) FROM admin_sessions") == 0


async def test_a_form_of_our_own_page_has_the_token_inside(world: World) -> None:
    async with serving(world) as api, api.admin() as admin:
        page = (await admin.get("/admin")).text
        (token,) = set(re.findall(r'name="csrf_token" value="(\w+)"', page))
        assert token != admin.headers.pop("x-csrf-token"), "each answer has another"
        left = await admin.post("/admin/logout", data={"csrf_token": token}, headers={"Sec-Fetch-Site": "same-origin"})
        assert left.status_code == 303
        assert await world.value("SELECT count(*) FROM admin_sessions") == 0


async def test_after_the_log_in_one_stays_on_this_site(world: World) -> None:
    async with serving(world) as api:
        await api.create_admin()
        for wanted, leads in (
            ("/admin/lag?x=1", "/admin/lag?x=1"),
            ("https://evil.example", "/admin"),
            ("//evil.example", "/admin"),
            ("/admin//evil.example", "/admin"),
            ("/admin\\evil.example", "/admin"),
            ("/administration", "/admin"),
            ("/admin/\r\nSet-Cookie: x=y", "/admin"),
            ("javascript:alert(1)", "/admin"),
            ("/admin/logout", "/admin"),
        ):
            found = await api.anybody.post("/admin/login", data={"name": NAME, "password": PASSWORD, "next": wanted})
            assert (found.status_code, found.headers["location"]) == (303, leads)


async def test_a_script_needs_no_csrf_token_and_acts_as_nobodys_browser(world: World) -> None:
    async with serving(world) as api, api.admin() as admin, api.script(Scope.REPAIR) as script:
        cookie = {"Cookie": f"solve_session={admin.cookies['solve_session']}"}
        done = await script.post("/api/admin/sync-leaderboard", headers={**OTHER_SITE, **cookie})
        assert done.status_code == 200
        assert await world.value("SELECT DISTINCT who || ' ' || via FROM admin_audit WHERE action LIKE 'sync%'") == (
            "robot token:test"
        )
        # a token that does not work is not made good by a cookie that does
        wrong = {"Authorization": "Bearer sct_wrong", **cookie}
        problem_of(await api.anybody.get("/api/admin/session", headers=wrong), 401, "login-required")


async def test_no_token_makes_tokens_logs_out_or_sees_pages(world: World) -> None:
    needing = [("GET", "/api/admin/tokens"), ("POST", "/api/admin/tokens"), ("DELETE", "/api/admin/tokens/1")]
    needing += [("POST", "/api/admin/logout"), ("POST", "/api/admin/logout-everywhere"), ("GET", "/admin")]
    needing += [("GET", "/api/admin/sessions"), ("POST", "/api/admin/sessions/end"), ("POST", "/api/admin/password")]
    async with serving(world) as api, api.script(*Scope) as script:
        for method, path in needing:
            found = await ask(script, method, path)
            assert found.status_code == 403, (method, path)


async def test_a_token_is_made_with_the_password_shown_once_and_taken_back(world: World) -> None:
    asked = {"label": "nightly", "scopes": ["read"], "days": 7}
    async with serving(world) as api, api.admin() as admin, api.admin("bob") as bob:
        refused = await admin.post("/api/admin/tokens", json={**asked, "password": "not hers, but long"})
        problem_of(refused, 401, "login-refused")
        made = await admin.post("/api/admin/tokens", json={**asked, "password": PASSWORD})
        assert made.status_code == 201
        token, token_id = made.json()["token"], made.json()["token_id"]
        listed = await admin.get("/api/admin/tokens")
        assert [one["token_id"] for one in listed.json()["tokens"]] == [token_id]
        assert token.removeprefix("sct_") not in listed.text
        bearer = {"Authorization": f"bearer {token}"}
        session = (await api.anybody.get("/api/admin/session", headers=bearer)).json()
        assert session == {"name": NAME, "via": "token:nightly", "scopes": ["read"], "csrf_token": None}
        problem_of(await bob.delete(f"/api/admin/tokens/{token_id}"), 404, "token-unknown")
        assert (await admin.delete(f"/api/admin/tokens/{token_id}")).status_code == 200
        problem_of(await api.anybody.get("/api/admin/session", headers=bearer), 401, "login-required")
    rows = await world.fetch("SELECT action, result, admin_audit::text AS all FROM admin_audit ORDER BY audit_id")
    assert [(row["action"], row["result"]) for row in rows if "login" not in row["action"]] == [
        ("confirm-password", "refused"),
        ("create-token", "done"),
        ("revoke-token", "done"),
    ]
    assert not [row for row in rows if token.removeprefix("sct_") in row["all"] or PASSWORD in row["all"]]


async def test_confirming_a_password_is_limited_like_a_login(world: World) -> None:
    asked = {"label": "nightly", "scopes": ["read"], "password": "not hers, but long"}
    async with serving(world, api_lockout_failures=2) as api, api.admin() as admin:
        statuses = [(await admin.post("/api/admin/tokens", json=asked)).status_code for _ in range(2)]
        right = await admin.post("/api/admin/tokens", json={**asked, "password": PASSWORD})
        assert [*statuses, right.status_code] == [401, 401, 401]
        assert await world.value("SELECT count(*) FROM admin_tokens") == 0
        await world.fetch("DELETE FROM admin_lockouts")
        for _ in range(2):  # a right one forgets the wrong one before it
            assert (await admin.post("/api/admin/tokens", json=asked)).status_code == 401
            made = await admin.post("/api/admin/tokens", json={**asked, "password": PASSWORD})
            assert made.status_code == 201
    async with serving(world, api_login_rate="1/hour") as api, api.admin("bob") as bob:
        problem_of(await bob.post("/api/admin/tokens", json=asked), 429, "too-many-requests")


async def test_secrets_in_the_address_open_nothing(world: World) -> None:
    async with serving(world) as api, api.admin() as admin, api.script(Scope.READ) as script:
        raw, csrf = admin.cookies["solve_session"], admin.headers.pop("x-csrf-token")
        bearer = script.headers["authorization"].removeprefix("Bearer ")
        named = {"name": NAME, "password": PASSWORD}
        problem_of(await api.anybody.post("/api/admin/login", params=named), 422, "invalid-request")
        assert (await api.anybody.get("/admin/login", params=named)).status_code == 200
        for secret in (raw, bearer):
            names = ("solve_session", "session", "token", "access_token", "authorization")
            found = await api.anybody.get("/api/admin/session", params=dict.fromkeys(names, secret))
            problem_of(found, 401, "login-required")
        forged = await admin.post("/api/admin/logout", params={"csrf_token": csrf, "X-CSRF-Token": csrf})
        problem_of(forged, 403, "csrf")


async def test_a_field_that_nobody_asked_for_is_refused(world: World) -> None:
    async with serving(world) as api, api.admin() as admin:
        named = {"name": NAME, "password": PASSWORD, "admin_id": 1}
        problem_of(await admin.post("/api/admin/login", json=named), 422, "invalid-request")
        token = {"label": "x", "scopes": ["read"], "password": PASSWORD, "expires_at": "2999-01-01"}
        problem_of(await admin.post("/api/admin/tokens", json=token), 422, "invalid-request")


async def test_who_was_refused_what_is_in_the_log(world: World) -> None:
    async with serving(world) as api, api.admin() as admin, api.script(Scope.READ) as script:
        with capture_logs() as said:
            await admin.post("/api/admin/logout", headers=OTHER_SITE)
            await script.post("/api/admin/sync-leaderboard")
            await api.anybody.post("/api/admin/login", headers=OTHER_SITE, json={"name": NAME, "password": PASSWORD})
            await api.anybody.get("/api/admin/session", headers={"Authorization": "Bearer sct_wrong"})
            await api.anybody.get("/api/admin/session")  # nobody tried anything
    refused = [
        (one["kind"], one["path"], one["who"], one["via"]) for one in said if one.get("action") == "request_refused"
    ]
    assert refused == [
        ("csrf", "/api/admin/logout", NAME, "session"),
        ("scope-missing", "/api/admin/sync-leaderboard", "robot", "token:test"),
        ("csrf", "/api/admin/login", "", ""),
        ("login-required", "/api/admin/session", "", ""),
    ]
    assert PASSWORD not in str(said)
