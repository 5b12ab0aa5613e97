"""Repairs, jobs, dead letters and lag over HTTP, for admins and scripts, with an audit trail."""

import asyncio
import json
import unicodedata
from typing import Any
from uuid import UUID

import httpx
import httpx_sse
import pytest

from solve_api.identity.passwords import MAX_CHARS
from solve_api.identity.tokens import Scope
from solve_projector.store.locks import Lock, unlock, wait_lock
from tests.api.served import Served, problem_of, serving
from tests.events import registered, solved
from tests.projector.dead_letters import add_dead_letters
from tests.waiting import until
from tests.world import World

BACKFILL, SYNC = "/api/admin/backfill-problems-solved", "/api/admin/sync-leaderboard"


async def test_a_long_password_is_right_however_the_keyboard_composes_it(world: World) -> None:
    letters = "".join(map(chr, range(0xC0, 0x17F))).replace("×", "").replace("÷", "")
    composed = "".join(letters[first::7] for first in range(7))[:120]  # in order they would be a sequence
    typed = unicodedata.normalize("NFD", composed)
    assert len(typed) > MAX_CHARS
    async with serving(world) as api:
        await api.create_admin(password=composed)
        found = await api.anybody.post("/api/admin/login", json={"name": "ada", "password": typed})
        assert found.status_code == 200, found.text


async def drift(world: World) -> None:
    """Two users, one of whom has a wrong count."""
    await world.publish([registered("a"), registered("b"), solved("1", "a", "p", 1), solved("2", "b", "p", 2)])
    await world.run_once()
    async with world.database() as database:
        await database.execute("UPDATE users SET problems_solved = 7 WHERE user_id = 'a'")


async def audit_of(client: httpx.AsyncClient) -> list[tuple[str, str, str, str]]:
    """Who, how, what, result; the oldest first."""
    entries = (await client.get("/api/admin/activity")).json()["activities"]
    return [(one["who"], one["via"], one["action"], one["result"]) for one in reversed(entries)]


async def ended(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    """A job, once it has ended."""

    async def is_over() -> dict[str, Any] | None:
        found: dict[str, Any] = (await client.get(path)).json()
        return found if found["state"] != "running" else None

    found = await until(is_over, f"{path} to end")
    assert found
    return found


async def test_a_backfill_as_a_job_that_is_polled(world: World) -> None:
    await drift(world)
    async with serving(world) as api, api.admin() as admin:
        started = await admin.post(BACKFILL, headers={"Prefer": "wait=1, respond-async"})
        assert (started.status_code, started.headers["preference-applied"]) == (202, "respond-async")
        job = await ended(admin, started.headers["location"])
        assert (job["state"], job["kind"], job["dry_run"], job["started_by"]) == ("done", "backfill", False, "ada")
        assert job["job_id"] == started.json()["job_id"]
        assert job["report"]["message"] == "Backfill complete: 1 users updated out of 2"
        assert (await api.get("/api/users/a"))["problems_solved"] == 1
        (latest,) = (await admin.get("/api/admin/jobs")).json()["jobs"]
        assert (latest["job_id"], "updates" in (latest["report"] or {})) == (job["job_id"], False)
        assert await audit_of(admin) == [
            ("ada", "password", "login", "done"),
            ("ada", "session", "backfill", "started"),
            ("ada", "session", "backfill", "done"),
        ]


async def test_a_job_that_is_watched_tells_its_end(world: World) -> None:
    await drift(world)
    async with serving(world) as api, api.admin() as admin:
        started = await admin.post(SYNC, headers={"Prefer": "respond-async"})
        async with httpx_sse.aconnect_sse(admin, "GET", f"{started.headers['location']}/events") as source:
            said = [(event.event, json.loads(event.data)["state"]) async for event in source.aiter_sse()]
        assert said[-1] == ("end", "done")
        assert {kind for kind, _ in said[:-1]} <= {"progress"}


async def test_two_backfills_at_once_are_one_and_a_refusal(world: World) -> None:
    await drift(world)
    async with serving(world) as api, api.admin() as admin, world.database() as database:
        # the first one waits for these rows in its repair
        async with database.transaction():
            await database.execute("SELECT * FROM partition_offsets FOR UPDATE")
            started = await admin.post(BACKFILL, headers={"Prefer": "respond-async"})
            job = started.headers["location"]
            await until(lambda: has_started(admin, job), "the first to have started")
            problem_of(await admin.post(BACKFILL, params={"dry_run": "true"}), 409, "replay-running")
        assert (await ended(admin, job))["report"]["users_updated"] == 1
        results = [entry[3] for entry in await audit_of(admin) if entry[2] == "backfill"]
        assert sorted(results)[:2] == ["done", "failed"]


async def test_two_rebuilds_at_once_are_one_and_a_refusal(world: World) -> None:
    async with serving(world) as api, api.admin() as admin, world.database() as database:
        await wait_lock(database, Lock.BOARD_REBUILD)  # as one that is at work
        problem_of(await admin.post(SYNC), 409, "rebuild-running")
        assert (await admin.post(SYNC, params={"dry_run": "true"})).status_code == 200
        await unlock(database, Lock.BOARD_REBUILD)
        assert (await admin.post(SYNC)).status_code == 200
        assert (await admin.post(SYNC)).status_code == 200


async def has_started(admin: httpx.AsyncClient, job: str) -> bool:
    """Whether it is past taking the lock of replays."""
    return bool((await admin.get(job)).json()["progress"].get("phase", "starting") != "starting")


async def test_a_job_whose_process_is_gone_was_interrupted(world: World) -> None:
    async with serving(world) as api, api.admin() as admin:
        job_id = await world.value(
            "INSERT INTO admin_jobs (job_id, kind, dry_run, started_by, beaten_at) "
            "VALUES (gen_random_uuid(), 'backfill', false, 'ada', now() - interval '1 hour') RETURNING job_id"
        )
        job = (await admin.get(f"/api/admin/jobs/{job_id}")).json()
        (latest,) = (await admin.get("/api/admin/jobs")).json()["jobs"]
        for said in (job, latest):
            assert said["state"] == "interrupted"
            assert "run it again" in said["error"]
        problem_of(await admin.get(f"/api/admin/jobs/{UUID(int=0)}"), 404, "job-unknown")


async def test_a_server_that_stops_interrupts_its_jobs_and_says_so(world: World) -> None:
    await drift(world)
    async with world.database() as database, database.transaction():
        await database.execute("SELECT * FROM partition_offsets FOR UPDATE")
        async with serving(world) as api, api.admin() as admin:
            asked = asyncio.create_task(admin.post(BACKFILL))
            await until(lambda: is_running(world), "the job to run")
            api.stop()
            answer = await asked
        problem_of(answer, 503, "interrupted")
        assert answer.headers["retry-after"]
    state, error = (await world.fetch("SELECT state, error FROM admin_jobs"))[0]
    assert (state, error) == (
        "interrupted", "The server was stopped before this finished. No half-finished result is visible; run it again.",
    )  # fmt: skip
    async with serving(world) as api, api.admin("bob") as admin:
        assert (await admin.post(BACKFILL)).json()["users_updated"] == 1


async def is_running(world: World) -> bool:
    """Whether a job has said where it is."""
    return bool(await world.value("SELECT count(*) FROM admin_jobs WHERE progress ->> 'phase' <> 'starting'"))


async def test_guesses_at_a_token_have_a_rate(world: World) -> None:
    async with serving(world, api_read_rate="2/hour") as api, api.client(Authorization="Bearer sct_guess") as guesser:
        answers = [await guesser.get("/api/admin/lag") for _ in range(3)]
        assert [one.status_code for one in answers] == [401, 401, 429]
        problem_of(answers[2], 429, "too-many-requests")


async def test_costly_calls_have_a_rate_of_their_own(world: World) -> None:
    async with serving(world, api_costly_rate="2/hour") as api, api.admin() as admin:
        assert [(await admin.post(SYNC)).status_code for _ in range(3)] == [200, 200, 429]
        problem_of(await admin.post("/api/admin/dead-letters/retry", json={"all": True}), 429, "too-many-requests")


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        (Scope.READ, {"lag", "dead-letters", "jobs", "activity", "user"}),
        (Scope.REPAIR, {"backfill"}),
        (Scope.DEAD_LETTERS, {"retry"}),
        (Scope.FACTS, {"unlist"}),
    ],
)
async def test_a_token_may_do_what_its_scope_says(world: World, scope: Scope, allowed: set[str]) -> None:
    await world.publish([registered("u")])
    await world.run_once()
    async with serving(world) as api, api.script(scope) as script:
        asked = {
            "user": script.get("/api/admin/user?id=u"),
            "unlist": script.post("/api/admin/users/unlist", json={"user_id": "u", "reason": "a test"}),
            "lag": script.get("/api/admin/lag"),
            "dead-letters": script.get("/api/admin/dead-letters"),
            "jobs": script.get("/api/admin/jobs"),
            "activity": script.get("/api/admin/activity"),
            "backfill": script.post(BACKFILL),
            "retry": script.post("/api/admin/dead-letters/retry", json={"all": True}),
        }
        found = {name: await answer for name, answer in asked.items()}
        assert {name for name, answer in found.items() if answer.is_success} == allowed
        for name in found.keys() - allowed:
            problem_of(found[name], 403, "scope-missing")
        problem_of(await script.get("/api/admin/tokens"), 403, "session-required")


async def test_dead_letters_are_listed_shown_retried_and_discarded(world: World) -> None:
    await world.publish([registered("u")])
    await world.run_once()
    good, bad = await add_dead_letters(world, [solved("1", "u", "p", 1), solved("2", "u", "q", 2)])
    async with world.database() as database:
        await database.execute("UPDATE dead_letters SET value = '\\xff00' WHERE dead_letter_id = $1", bad)
    async with serving(world) as api, api.admin() as admin:
        letters = (await admin.get("/api/admin/dead-letters", params={"limit": 1})).json()
        assert ([one["id"] for one in letters["dead_letters"]], letters["more"]) == ([good], True)
        rest = (await admin.get("/api/admin/dead-letters", params={"limit": 1, "after_id": letters["after_id"]})).json()
        assert ([one["id"] for one in rest["dead_letters"]], rest["more"], rest["after_id"]) == ([bad], False, None)
        whole = (await admin.get(f"/api/admin/dead-letters/{bad}")).json()
        assert whole["value"] == {"encoding": "base64", "data": "/wA="}
        problem_of(await admin.get("/api/admin/dead-letters/99"), 404, "dead-letter-unknown")

        retried = (await admin.post("/api/admin/dead-letters/retry", json={"ids": [good, bad]})).json()
        assert (retried["applied"], sum(retried["still_dead"].values())) == (1, 1)
        assert (await api.get("/api/users/u"))["problems_solved"] == 1
        problem_of(await admin.post("/api/admin/dead-letters/retry", json={}), 422, "selector-unclear")
        for loose in ({"partition": False}, {"partition": "0"}, {"all": 1}, {"ids": [True]}):
            problem_of(await admin.post("/api/admin/dead-letters/retry", json=loose), 422, "invalid-request")

        given_up = await admin.post("/api/admin/dead-letters/discard", json={"ids": [bad], "why": "a test"})
        assert given_up.json() == {"discarded": 1}
        again = await admin.post("/api/admin/dead-letters/discard", json={"ids": [bad], "why": "a test"})
        problem_of(again, 409, "already-decided")
        assert (await admin.get("/api/admin/dead-letters")).json()["dead_letters"] == []
        listed = await admin.get("/api/admin/dead-letters", params={"with_discarded": "true"})
        (discarded,) = listed.json()["dead_letters"]
        assert (discarded["discarded"]["by"], discarded["discarded"]["why"]) == ("ada", "a test")
        assert [entry[2:] for entry in await audit_of(admin)][1:] == [
            ("retry-dead-letters", "started"),
            ("retry-dead-letters", "done"),
            ("discard-dead-letters", "done"),
        ]


@pytest.mark.parametrize("asked", [{"reason": "a\0"}, {"reason": "no such reason"}, {"user_id": "a\0"}])
async def test_a_retry_of_what_cannot_be_there_is_refused(world: World, asked: dict[str, str]) -> None:
    async with serving(world) as api, api.admin() as admin:
        problem_of(await admin.post("/api/admin/dead-letters/retry", json=asked), 422, "invalid-request")


async def test_lag_is_reported_by_partition_and_stage(world: World) -> None:
    await world.publish([registered("u"), solved("1", "u", "p", 1)])
    async with serving(world) as api, api.admin() as admin:
        assert await lag_of(api, admin, 2)
        await world.run_once()
        found = await lag_of(api, admin, 0)
        assert len(found["partitions"]) == 3
        assert len(found["past"]) >= 2
        assert found["problems"] == {}


async def lag_of(_: Served, admin: httpx.AsyncClient, messages: int) -> dict[str, Any]:
    """The report, once it says that so many events are waiting."""

    async def says_so() -> dict[str, Any] | None:
        found: dict[str, Any] = (await admin.get("/api/admin/lag")).json()
        return found if found["lag"] == messages and not found["problems"] else None

    found = await until(says_so, f"a lag of {messages}")
    assert found
    return found


async def test_the_panel_says_how_many_events_wait_for_their_user(world: World) -> None:
    await world.publish([registered("u"), solved("1", "ghost", "p", 1), solved("2", "ghost", "q", 2)])
    await world.run_once()
    async with serving(world) as api, api.admin() as admin:
        assert "2 events are parked until their users are registered." in (await admin.get("/admin")).text
        async with world.database() as database:
            await database.execute(
                "UPDATE parked_events SET acknowledged_at = now(), acknowledged_by = 'ada', acknowledged_why = 'guest'"
            )
        assert "events are parked" not in (await admin.get("/admin")).text
