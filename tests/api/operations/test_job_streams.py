"""Streams of jobs: the same few questions for all of them, a limit for each admin, and an end with who watches."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from solve_api.database import RequestPool
from solve_api.identity.sessions import SESSIONS_SQL
from solve_api.identity.tokens import TOKENS_SQL, Scope
from solve_api.operations.job_streams import STREAMS_PER_ADMIN
from solve_api.operations.jobs import JOBS_SQL, Jobs
from tests.api.served import problem_of, serving
from tests.waiting import until
from tests.world import World

WAY_S = 30.0


async def running_job(world: World) -> UUID:
    """A job of a process that beats for a while yet."""
    job_id = uuid4()
    await world.fetch(
        "INSERT INTO admin_jobs (job_id, kind, dry_run, started_by, beaten_at)"
        " VALUES ($1, 'backfill', true, 'ada', now() + interval '1 hour')",
        job_id,
    )
    return job_id


@asynccontextmanager
async def watching(client: httpx.AsyncClient, job_id: UUID) -> AsyncIterator[AsyncIterator[str]]:
    """Its lines, from the first on."""
    async with client.stream("GET", f"/api/admin/jobs/{job_id}/events") as stream:
        assert stream.status_code == 200
        lines = stream.aiter_lines()
        assert await anext(lines) == "event: progress"
        yield lines


async def to_its_end(lines: AsyncIterator[str]) -> list[str]:
    """The names of the events that are left."""
    async with asyncio.timeout(WAY_S):
        return [line async for line in lines if line.startswith("event:")]


async def test_many_streams_ask_one_question_and_each_sees_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Collection[UUID]] = []
    states = Jobs.states

    async def counted(self: Jobs, job_ids: Collection[UUID]) -> Any:
        asked.append(job_ids)
        return await states(self, job_ids)

    job_id = await running_job(world)
    async with serving(world) as api, api.admin() as admin, AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(watching(admin, job_id)) for _ in range(STREAMS_PER_ADMIN)]
        monkeypatch.setattr(Jobs, "states", counted)
        await until(lambda: len(asked) >= 3, "three ticks")
        assert all(one == {job_id} for one in asked)
        problem_of(await admin.get(f"/api/admin/jobs/{job_id}/events"), 429, "too-many-streams")
        await world.fetch("UPDATE admin_jobs SET state = 'done', finished_at = now()")
        for lines in streams:
            assert await to_its_end(lines) == ["event: end"]


async def test_nobody_is_asked_for_by_a_means_that_nobody_uses(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    fetch = RequestPool.fetch

    async def counted(self: RequestPool, sql: str, *given: Any) -> Any:
        asked.append(sql)
        return await fetch(self, sql, *given)

    sessions, tokens, jobs = SESSIONS_SQL["valid_sessions"], TOKENS_SQL["valid_tokens"], JOBS_SQL["jobs"]
    monkeypatch.setattr(RequestPool, "fetch", counted)
    job_id = await running_job(world)
    async with serving(world) as api, api.admin() as admin, api.script(Scope.READ) as script:
        for client, needed, spared in ((admin, sessions, tokens), (script, tokens, sessions)):
            async with watching(client, job_id):
                asked.clear()
                await until(lambda: asked.count(jobs) >= 3, "three ticks")
                assert (needed in asked, spared in asked) == (True, False)
            streams = api._server.config.app.state.stores.job_streams  # type: ignore[union-attr]
            await until(lambda: not streams._streams, "the stream to be closed")  # noqa: B023


async def test_a_job_that_cannot_be_read_ends_its_own_stream_alone(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a row that a newer release wrote."""
    job_id, other_id = await running_job(world), await running_job(world)
    async with (
        serving(world) as api,
        api.admin() as admin,
        watching(admin, job_id) as lines,
        watching(admin, other_id) as others,
    ):
        await world.fetch("UPDATE admin_jobs SET progress = '[7]' WHERE job_id = $1", job_id)
        assert await to_its_end(lines) == []
        assert "action=job_unreadable" in capsys.readouterr().out
        problem_of(await admin.get(f"/api/admin/jobs/{job_id}"), 500, "job-unreadable")
        listed = (await admin.get("/api/admin/jobs")).json()["jobs"]
        assert [one["job_id"] for one in listed] == [str(other_id)]
        assert (await admin.get("/admin", headers={"Accept": "text/html"})).status_code == 200
        await world.fetch("UPDATE admin_jobs SET state = 'done', finished_at = now()")
        assert await to_its_end(others) == ["event: end"]


async def test_an_unexpected_error_ends_the_streams_and_later_ones_are_served(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(self: Jobs, job_ids: Collection[UUID]) -> Any:
        raise KeyError("progress")

    job_id, other_id = await running_job(world), await running_job(world)
    async with serving(world) as api, api.admin() as admin:
        async with watching(admin, job_id) as lines, watching(admin, other_id) as others:
            with monkeypatch.context() as broken:
                broken.setattr(Jobs, "states", fails)
                assert await to_its_end(lines) == await to_its_end(others) == []
        assert "JobStreams.keep_asking stopped, and starts again" in capsys.readouterr().out
        async with watching(admin, job_id) as lines:
            await world.fetch("UPDATE admin_jobs SET state = 'done', finished_at = now()")
            assert await to_its_end(lines) == ["event: end"]


async def test_a_closed_stream_makes_room_and_other_admins_have_their_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("solve_api.operations.job_streams.STREAMS_PER_ADMIN", 1)
    job_id = await running_job(world)
    async with serving(world) as api, api.admin() as admin, api.admin("bob") as bob:
        async with watching(admin, job_id), watching(bob, job_id):
            problem_of(await admin.get(f"/api/admin/jobs/{job_id}/events"), 429, "too-many-streams")

        async def has_room() -> bool:
            async with admin.stream("GET", f"/api/admin/jobs/{job_id}/events") as stream:
                return stream.status_code == 200

        await until(has_room, "the closed stream to be noticed")


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE admins SET disabled_at = now()",
        "DELETE FROM admin_sessions",
        "UPDATE admin_sessions SET expires_at = now()",
        "UPDATE admin_sessions SET last_seen_at = now() - interval '1 day'",
        "DELETE FROM admin_jobs",
        None,
    ],
)
async def test_a_stream_ends_with_the_session_that_opened_it(world: World, end: str | None) -> None:
    job_id = await running_job(world)
    async with serving(world) as api, api.admin() as admin, watching(admin, job_id) as lines:
        if end:
            await world.fetch(end)
        else:
            assert (await admin.post("/api/admin/logout")).status_code == 204
        assert await to_its_end(lines) == []


@pytest.mark.parametrize(
    "end", ["UPDATE admin_tokens SET revoked_at = now()", "UPDATE admin_tokens SET expires_at = now()"]
)
async def test_a_stream_ends_with_its_token_and_others_go_on(world: World, end: str) -> None:
    job_id = await running_job(world)
    async with (
        serving(world) as api,
        api.script(Scope.READ) as script,
        api.admin() as admin,
        watching(admin, job_id) as others,
        watching(script, job_id) as lines,
    ):
        await world.fetch(end)
        assert await to_its_end(lines) == []
        await world.fetch("UPDATE admin_jobs SET state = 'done', finished_at = now()")
        assert await to_its_end(others) == ["event: end"]
