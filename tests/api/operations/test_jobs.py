"""Jobs: progress, refusals and failures in the log, and a recorded end."""

import asyncio
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from solve_api import database as database_module
from solve_projector.leaderboard.board import open_leaderboard
from solve_projector.replay.report import Report
from solve_projector.store.locks import Lock, wait_lock
from tests.api.reading import browser, seen
from tests.api.served import problem_of, serving
from tests.events import registered, solved
from tests.waiting import until
from tests.world import World

BACKFILL, SYNC = "/api/admin/backfill-problems-solved", "/api/admin/sync-leaderboard"


async def show_wrong_count(world: World) -> None:
    """The board says of somebody what PostgreSQL does not."""
    await world.publish([registered("a"), solved("1", "a", "p", 1)])
    await world.run_once()
    async with open_leaderboard(world.settings, world.connection.topic) as board:
        state = await board.state(await world.value("SELECT epoch FROM leaderboard_epoch"))
        async with board._redis.session() as redis:
            await redis.zadd(f"{{{world.settings.leaderboard_prefix}}}:{state.current}:board", {"a": -1})


@pytest.mark.parametrize(
    ("path", "phase", "words"),
    [
        (BACKFILL, "checking leaderboard", "Checking leaderboard 1 of 4"),
        (SYNC, "comparing", "Comparing 1 of 4"),
    ],
)
async def test_a_job_with_several_passes_reports_them(world: World, path: str, phase: str, words: str) -> None:
    await show_wrong_count(world)
    # it is still between two passes when the server stops
    async with serving(world, leaderboard_check_interval_s=60) as api, api.admin() as admin:
        started = await admin.post(path, params={"dry_run": "true"}, headers={"Prefer": "respond-async"})
        job = started.headers["location"]
        await until(lambda: progress_is(admin, job, {"phase": phase, "done": 1, "total": 4}), f"{phase} to be reported")
        async with browser(api, create=False) as person:
            page = seen(await person.get(job.replace("/api/", "/")))
        assert words in page.text


async def progress_is(admin: httpx.AsyncClient, job: str, wanted: dict[str, Any]) -> bool:
    """Where the job is."""
    found: dict[str, Any] = (await admin.get(job)).json()["progress"]
    return found == wanted


@pytest.mark.parametrize(
    ("path", "lock", "kind"),
    [(BACKFILL, Lock.REPLAY, "replay-running"), (SYNC, Lock.BOARD_REBUILD, "rebuild-running")],
)
async def test_a_refusal_is_a_warning_without_a_traceback(world: World, path: str, lock: Lock, kind: str) -> None:
    async with serving(world) as api, api.admin() as admin, world.database() as database:
        await wait_lock(database, lock)  # as one that is at work
        with capture_logs() as said:
            problem_of(await admin.post(path), 409, kind)
        (line,) = [one for one in said if one.get("action", "").startswith("job_")]
        assert (line["action"], line["log_level"], line.get("exc_info")) == ("job_refused", "warning", None)
        assert line["error"].startswith("another ")


async def test_a_failure_that_nobody_foresaw_is_an_error_with_its_traceback(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("solve_api.operations.jobs.replay", fail)
    async with serving(world) as api, api.admin() as admin:
        with capture_logs() as said:
            problem_of(await admin.post(BACKFILL), 500, "internal-error")
        (line,) = [one for one in said if one.get("action") == "job_failed"]
        assert (line["log_level"], line["exc_info"]) == ("error", True)


async def test_a_job_that_cannot_write_down_its_end_at_once_tries_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(database_module.SESSION, "lock_timeout", "100")
    tries: set[object] = set()
    go_on = asyncio.Event()

    async def work(*_: object) -> Report:
        await go_on.wait()
        return Report(True, [])

    async def has_tried_again() -> bool:
        waiting = (
            "SELECT query_start FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%finished_at%'"
        )
        tries.update(row[0] for row in await world.fetch(waiting))
        return len(tries) >= 3

    async def is_written_down() -> bool:
        done = "SELECT count(*) FROM admin_audit WHERE action = 'backfill' AND result = 'done'"
        return bool(await world.value(done))

    monkeypatch.setattr("solve_api.operations.jobs.replay", work)
    async with serving(world) as api, api.admin() as admin, world.database() as database:
        job = (await admin.post(BACKFILL, headers={"Prefer": "respond-async"})).headers["location"]
        async with database.transaction():
            await database.execute("LOCK TABLE admin_jobs IN EXCLUSIVE MODE")  # it can still be read
            go_on.set()
            await until(has_tried_again, "the job to have tried again")
        await until(is_written_down, "what came of it to be in the audit")
        assert (await admin.get(job)).json()["state"] == "done"
