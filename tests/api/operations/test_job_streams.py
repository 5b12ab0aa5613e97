"""Streams of jobs: one question for all of them, a limit for each admin, and an end with who watches."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from solve_api.identity.tokens import Scope
from solve_api.operations.job_streams import STREAMS_PER_ADMIN
from solve_api.operations.jobs import Jobs
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
