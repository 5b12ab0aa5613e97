"""Jobs: progress, refusals and failures in the log, and a recorded end."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from solve_api import database as database_module
from solve_api.identity.actors import Visitor
from solve_api.operations.bodies import REPORT_ROWS_MAX
from solve_api.operations.job_process import MODULE, bounded
from solve_api.operations.jobs import JOBS_KEPT, LISTS_KEPT, Jobs
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
    async def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("solve_api.operations.jobs.work_apart", fail)
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

    async def work(*_: object, **__: object) -> dict[str, Any]:
        await go_on.wait()
        return Report(True, []).as_dict()

    async def has_tried_again() -> bool:
        waiting = (
            "SELECT query_start FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%finished_at%'"
        )
        tries.update(row[0] for row in await world.fetch(waiting))
        return len(tries) >= 3

    async def is_written_down() -> bool:
        done = "SELECT count(*) FROM admin_audit WHERE action = 'backfill' AND result = 'done'"
        return bool(await world.value(done))

    monkeypatch.setattr("solve_api.operations.jobs.work_apart", work)
    async with serving(world) as api, api.admin() as admin, world.database() as database:
        job = (await admin.post(BACKFILL, headers={"Prefer": "respond-async"})).headers["location"]
        async with database.transaction():
            await database.execute("LOCK TABLE admin_jobs IN EXCLUSIVE MODE")  # it can still be read
            go_on.set()
            await until(has_tried_again, "the job to have tried again")
        await until(is_written_down, "what came of it to be in the audit")
        assert (await admin.get(job)).json()["state"] == "done"


def children(pid: int) -> dict[int, str]:
    """The command lines of a process's children."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return {int(one): Path(f"/proc/{one}/cmdline").read_text(encoding="utf-8").replace("\0", " ") for one in found}


def job_processes() -> list[int]:
    """The processes of this server's jobs."""
    return [pid for pid, line in children(os.getpid()).items() if MODULE in line]


@pytest.mark.parametrize("path", [BACKFILL, SYNC])
async def test_a_job_works_in_one_process_of_its_own_and_says_so_if_that_is_killed(world: World, path: str) -> None:
    await show_wrong_count(world)
    # it is still between two passes when it is killed
    async with serving(world, leaderboard_check_interval_s=60) as api, api.admin() as admin:
        started = await admin.post(path, params={"dry_run": "true"}, headers={"Prefer": "respond-async"})
        job = started.headers["location"]
        phase = "comparing" if path == SYNC else "checking leaderboard"
        await until(lambda: progress_is(admin, job, {"phase": phase, "done": 1, "total": 4}), f"{phase} to be reported")
        (pid,) = job_processes()
        assert children(pid) == {}
        os.kill(pid, signal.SIGKILL)

        async def ended() -> Any:
            found = (await admin.get(job)).json()
            return found if found["state"] != "running" else None

        found = await until(ended, "the job to end")
        assert found["state"] == "failed"
        assert "ended by signal 9" in found["error"]
        assert "raise the memory limit" in found["error"]


def jobs_of(api: Any) -> Jobs:
    found: Jobs = api._server.config.app.state.stores.jobs
    return found


async def test_a_job_that_is_cancelled_twice_ends_its_request(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    started = asyncio.Event()

    async def work(*_: object, **__: object) -> dict[str, Any]:
        started.set()
        return await asyncio.get_running_loop().create_future()

    monkeypatch.setattr("solve_api.operations.jobs.work_apart", work)
    async with serving(world) as api, api.admin() as admin, world.database() as database:
        asked = asyncio.create_task(admin.post(BACKFILL))
        await started.wait()
        async with database.transaction():
            await database.execute("LOCK TABLE admin_jobs IN EXCLUSIVE MODE")
            jobs_of(api).interrupt()
            blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'admin_jobs'::regclass"
            await until(lambda: world.value(blocked), "the end of the job to be written down")
            jobs_of(api).interrupt()
        problem_of(await asked, 503, "interrupted")
        # and one that never got to work
        actor = Visitor("127.0.0.1", "r", "", "").acting_as("ada", "session")
        job = await jobs_of(api).start("backfill", actor, dry_run=True)
        jobs_of(api).interrupt()
        jobs_of(api).interrupt()
        await until(job.ended.is_set, "the job to end")
        assert (await jobs_of(api).state(job.job_id)).state == "interrupted"


def test_the_lists_of_a_report_are_bounded() -> None:
    rows = [{"user_id": str(number)} for number in range(REPORT_ROWS_MAX + 1)]
    report = {"updates": rows, "updates_complete": True, "users_refused": ["u"] * 50_000, "offsets": {0: 1}}
    found = bounded(report)
    assert (len(found["updates"]), found["updates_complete"]) == (REPORT_ROWS_MAX, False)
    assert len(found["users_refused"]) == REPORT_ROWS_MAX
    assert bounded({"updates": rows[:3], "updates_complete": True})["updates_complete"]


async def test_old_jobs_lose_their_lists_and_then_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(*_: object, **__: object) -> dict[str, Any]:
        return Report(True, []).as_dict() | {"users_refused": ["u"]}

    monkeypatch.setattr("solve_api.operations.jobs.work_apart", work)
    async with serving(world) as api, api.admin() as admin, world.database() as database:
        await database.execute(
            "INSERT INTO admin_jobs (job_id, kind, dry_run, started_by, state, started_at, finished_at, report)"
            " SELECT gen_random_uuid(), 'backfill', true, 'ada', 'done', at, at,"
            " $2::jsonb || jsonb_build_object('updates', jsonb_build_array(repeat('x', 9999)))"
            " FROM (SELECT now() - make_interval(days => n) AS at FROM generate_series(1, $1) AS n) AS days",
            JOBS_KEPT + 5,
            json.dumps(bounded(Report(True, [], total_users=1, users_updated=1).as_dict()) | {"message": "old"}),
        )
        await admin.post(BACKFILL)
        assert await world.value("SELECT count(*) FROM admin_jobs") == JOBS_KEPT
        listed = "SELECT count(*) FROM admin_jobs WHERE report ?| '{updates,users_refused}'"
        assert await world.value(listed) == LISTS_KEPT
        for one in (await admin.get("/api/admin/jobs", params={"limit": 100})).json()["jobs"]:
            assert not {"updates", "users_refused"} & one["report"].keys()
        assert all(one.report is None or set(one.report) == {"message"} for one in await jobs_of(api).overview(10))
        old = await world.value("SELECT job_id FROM admin_jobs ORDER BY started_at LIMIT 1")
        async with browser(api, create=False) as person:
            assert "The users of older jobs are not kept." in seen(await person.get(f"/admin/jobs/{old}")).text
