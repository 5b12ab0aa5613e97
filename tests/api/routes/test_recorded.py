"""The activity first: every deed of API and pages with its row refused, and those that are killed halfway."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from solve_api.http.csrf import SAFE_METHODS
from solve_api.identity.audit import NO_END
from solve_projector.log.inspection import open_inspector
from tests.api.cli.commands import done as command
from tests.api.cli.test_serve import served
from tests.api.reading import browser, seen
from tests.api.refused_rows import AT_COMMIT, AT_ONCE, DELETING, NO_MORE, SILENTLY, UNLESS_STARTED
from tests.api.routes.test_access import routes_of
from tests.api.routes.test_operations import BACKFILL, SYNC, drift, ended
from tests.api.served import NAME, PASSWORD, problem_of, serving
from tests.events import solved
from tests.projector.dead_letters import add_dead_letters
from tests.waiting import until
from tests.world import World

USER_DEEDS = ("remove", "unlist", "list")
PROBLEM_DEEDS = ("withdraw", "restore")
OTHER = "another battery of staples"
RETRY, DISCARD = "/api/admin/dead-letters/retry", "/api/admin/dead-letters/discard"
# what the deeds change; neither counted attempts nor when somebody was last seen
STATE = """
SELECT (SELECT json_agg(row_to_json(a) ORDER BY admin_id)::text FROM admins a) AS admins,
       (SELECT json_agg(session_hash::text ORDER BY session_hash)::text FROM admin_sessions) AS sessions,
       (SELECT json_agg(array[token_id::text, revoked_at::text] ORDER BY token_id)::text FROM admin_tokens) AS tokens,
       (SELECT json_agg(row_to_json(u) ORDER BY user_id)::text FROM users u) AS users,
       (SELECT json_agg(row_to_json(d) ORDER BY dead_letter_id)::text FROM dead_letters d) AS dead_letters,
       (SELECT count(*) FROM admin_jobs) AS jobs,
       (SELECT count(*) FROM admin_audit) AS audit
"""


def deeds(token_id: int, session_id: str, letter: int) -> dict[tuple[str, str], list[Any]]:
    """Every request that changes something, by its route: the bodies, JSON for the API and forms for pages."""
    login, confirmed = {"name": NAME, "password": PASSWORD}, {"password": PASSWORD}
    new, letters = {**confirmed, "new_password": OTHER}, {"ids": [letter]}
    wrong = {"name": NAME, "password": "not the right battery"}
    rehashed = {**login, "name": "old-hash"}
    token = {"label": "x", "scopes": ["read"], **confirmed}
    return {
        ("POST", "/api/admin/login"): [login, wrong, rehashed],
        ("POST", "/api/admin/logout"): [None],
        ("POST", "/api/admin/sessions/end"): [{"session_ids": [session_id], **confirmed}],
        ("POST", "/api/admin/logout-everywhere"): [confirmed, {"password": "not the right battery"}],
        ("POST", "/api/admin/password"): [new],
        ("POST", "/api/admin/tokens"): [token],
        ("DELETE", f"/api/admin/tokens/{token_id}"): [None],
        ("POST", BACKFILL): [None],
        ("POST", SYNC): [None],
        ("POST", RETRY): [letters, {"all": True}],
        ("POST", DISCARD): [{**letters, "why": "a test"}],
        **{("POST", f"/api/admin/users/{deed}"): [{"user_id": "a", "reason": "a test"}] for deed in USER_DEEDS},
        **{("POST", f"/admin/users/{deed}"): [{"user_id": "a", "reason": "a test"}] for deed in USER_DEEDS},
        **{("POST", f"/api/admin/problems/{deed}"): [{"problem_id": "p", "reason": "x"}] for deed in PROBLEM_DEEDS},
        **{("POST", f"/admin/problems/{deed}"): [{"problem_id": "p", "reason": "x"}] for deed in PROBLEM_DEEDS},
        ("POST", "/admin/login"): [login, rehashed],
        ("POST", "/admin/logout"): [{}],
        ("POST", "/admin/jobs"): [{"kind": "backfill"}, {"kind": "sync-leaderboard", "dry_run": "true"}],
        ("POST", "/admin/dead-letters/retry"): [letters],
        ("POST", "/admin/dead-letters/discard"): [{**letters, "why": "a test"}],
        ("POST", f"/admin/tokens/{token_id}/revoke"): [{}],
        ("POST", "/admin/account/sessions/end"): [{"ids": [session_id], **confirmed}],
        ("POST", "/admin/account/logout-everywhere"): [confirmed],
        ("POST", "/admin/account/password"): [{**new, "confirmation": OTHER}],
    }


async def refused_letter(world: World) -> int:
    """A user with a wrong count, and a dead letter that a retry would apply."""
    await drift(world)
    (letter,) = await add_dead_letters(world, [solved("3", "a", "q", 3)])
    return letter


REFUSING = {"at once": AT_ONCE, "at the commit": AT_COMMIT, "silently": SILENTLY, "deleted": DELETING}


@pytest.mark.parametrize("refusing", REFUSING.values(), ids=REFUSING)
async def test_what_is_not_written_down_is_not_done(world: World, refusing: str) -> None:
    letter = await refused_letter(world)
    async with serving(world, api_login_rate="1000/minute", api_costly_rate="1000/minute") as api, api.admin() as admin:
        asked = {"label": "nightly", "scopes": ["read"], "password": PASSWORD}
        token_id = (await admin.post("/api/admin/tokens", json=asked)).json()["token_id"]
        (this,) = (await admin.get("/api/admin/sessions")).json()["sessions"]
        await api.create_admin("old-hash")
        old = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
        await world.fetch("UPDATE admins SET password_hash = $1 WHERE name = 'old-hash'", old)
        all_deeds = deeds(token_id, this["session_id"], letter)
        unsafe = {(method, path) for method, path in routes_of(world) if method not in SAFE_METHODS}
        generic = {(method, path.replace("{token_id:int}", str(token_id))) for method, path in unsafe}
        assert generic == set(all_deeds), "a deed that nobody tried"
        await execute(world, refusing)
        before, published = await world.fetch(STATE), await ends(world)
        for (method, path), bodies in all_deeds.items():
            for body in bodies:
                # a wrong password is checked against the lock, which is not what is tried here
                await world.fetch("DELETE FROM admin_lockouts")
                if path.startswith("/api/"):
                    answer = await admin.request(method, path, json=body)
                    kind = answer.json()["type"].rpartition(":")[2]
                    assert kind in {"activity-refused", "commit-refused"}, (path, body)
                    problem_of(answer, 503, kind)
                else:
                    page = await admin.request(method, path, data=body, headers={"Accept": "text/html"})
                    assert re.search("not (recorded|committed), so not done", seen(page, 503).text.lower()), path
                assert await world.fetch(STATE) == before, (path, body)
        assert await ends(world) == published, "nothing went into the log"
        await world.fetch(NO_MORE)
        assert (await admin.get("/api/admin/session")).json()["name"] == NAME
        assert (await admin.post(RETRY, json={"ids": [letter]})).json()["applied"] == 1


async def ends(world: World) -> dict[int, int]:
    """Where each partition of the log ends."""
    async with open_inspector(world.connection) as inspector:
        return dict((await inspector.state()).ends)


async def execute(world: World, statements: str) -> None:
    async with world.database() as database:
        await database.execute(statements)


async def rows_of(client: httpx.AsyncClient, action: str) -> list[tuple[str, bool]]:
    """Result and whether it is open; the oldest first."""
    found = (await client.get("/api/admin/activity")).json()["activities"]
    return [(one["result"], one["open"]) for one in reversed(found) if one["action"] == action]


async def test_what_cannot_say_its_end_stays_open(world: World) -> None:
    letter = await refused_letter(world)
    async with serving(world) as api, api.admin() as admin:
        await execute(world, UNLESS_STARTED)
        assert (await admin.post(RETRY, json={"ids": [letter]})).json()["applied"] == 1
        job = await admin.post(BACKFILL, headers={"Prefer": "respond-async"})
        assert (await ended(admin, job.headers["location"]))["state"] == "done"
        await world.fetch(NO_MORE)
        assert await rows_of(admin, "retry-dead-letters") == [("started", True)]
        assert await rows_of(admin, "backfill") == [("started", True)]
        assert (await admin.post(RETRY, json={"ids": [letter]})).status_code == 404
        assert (await admin.post(BACKFILL)).status_code == 200
        assert await rows_of(admin, "retry-dead-letters") == [("started", True), ("started", False), ("refused", False)]
        assert await rows_of(admin, "backfill") == [("started", True), ("started", False), ("done", False)]


@asynccontextmanager
async def killed(world: World, **changes: str) -> AsyncIterator[httpx.AsyncClient]:
    """An admin of a server that gets kill -9 at the end of the block."""
    async with served(world, "--json", **changes) as process:
        assert process.stdout
        address = json.loads(await process.stdout.readline())["url"]
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            login = await client.post("/api/admin/login", json={"name": NAME, "password": PASSWORD})
            client.headers["X-CSRF-Token"] = login.json()["csrf_token"]
            yield client
            process.send_signal(signal.SIGKILL)
            await process.wait()


async def shown_as_open(world: World, action: str) -> None:
    """On the page, in the API and in the command."""
    rows = [one for one in await command(world, "activity") if one["action"] == action]
    assert [(one["result"], one["open"]) for one in rows] == [("started", True)]
    async with serving(world) as api, browser(api, create=False) as person:
        assert NO_END in seen(await person.get("/admin/activity")).text


async def test_a_repair_that_is_killed_has_a_row_that_says_so(world: World) -> None:
    await drift(world)
    await command(world, "create", NAME, given=PASSWORD)
    async with world.database() as database, database.transaction():
        await database.execute("SELECT FROM users WHERE user_id = 'a' FOR UPDATE")  # the repair waits for it
        async with killed(world) as admin:
            job = await admin.post(BACKFILL, headers={"Prefer": "respond-async"})
            assert job.status_code == 202
            await until(lambda: waits(world), "the repair to wait for a row")
    await shown_as_open(world, "backfill")


async def test_a_retry_that_is_killed_has_a_row_that_says_so(world: World) -> None:
    letter = await refused_letter(world)
    await command(world, "create", NAME, given=PASSWORD)
    async with world.database() as database, database.transaction():
        await database.execute("SELECT FROM dead_letters FOR UPDATE")
        async with killed(world) as admin:
            asked = asyncio.create_task(admin.post(RETRY, json={"ids": [letter]}))
            await until(lambda: waits(world), "the retry to wait for a row")
        with pytest.raises(httpx.HTTPError):  # its answer never comes
            await asked
    assert await world.value("SELECT count(*) FROM dead_letters") == 1
    await shown_as_open(world, "retry-dead-letters")


async def waits(world: World) -> bool:
    return bool(await world.value("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"))
