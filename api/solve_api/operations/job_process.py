"""A job's process: a replay decodes a whole log, for which a web server has neither the time nor the memory.

`work_apart` runs it from the server; a job that is cancelled gets a moment to drop its tables. Its process ends with
the server, and whatever it leaves is invisible (I8).
"""

import asyncio
import sys
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import asdict
from typing import Any, NoReturn

import structlog

from solve_api.errors import JobLost
from solve_api.operations.bodies import REPORT_ROWS_MAX, JobKind
from solve_api.settings import ApiSettings
from solve_projector import errors
from solve_projector.leaderboard.audit import compare_board, one_rebuild, rebuild_board
from solve_projector.leaderboard.board import open_leaderboard
from solve_projector.replay.replaying import ReplayOptions, replay
from solve_projector.replay.worker_pool import plain
from solve_projector.store.postgresql import DATABASE_ERRORS, Failure, classify, is_denied, open_pool, said_of
from solve_runtime.child_process import ChildEnded, answers, read_task, say
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.logs import configure_logs
from solve_runtime.tasks import cancel_and_wait, run_on_fast_loop

GRACE_S = 5.0
MODULE = "solve_api.operations.job_process"
OnProgress = Callable[[str, int, int], None]

log = structlog.get_logger()


async def work_apart(
    connection: KafkaConnection, settings: ApiSettings, kind: JobKind, *, dry_run: bool, on_progress: OnProgress
) -> dict[str, Any]:
    """Works in a process of its own; returns the report. Raises what a replay or a rebuild raises, and JobLost."""
    task = {"connection": plain(connection), "settings": plain(settings), "kind": kind, "dry_run": dry_run}
    try:
        async with aclosing(answers(MODULE, task, grace_s=GRACE_S)) as said:
            async for one in said:
                if "progress" in one:
                    on_progress(*one["progress"])
                elif "error" in one:
                    _raise(one["error"], one["message"])
                else:
                    return dict(one["report"])
    except ChildEnded as ended:
        if ended.status > 0:
            raise  # a fault of ours, which it has logged
        raise JobLost(
            f"the process of the job was ended by signal {-ended.status}, perhaps for lack of memory; no half-finished "
            "result is visible: run it again, and if it happens again, raise the memory limit"
        ) from ended
    raise ChildEnded(0)


def _raise(kind: str, message: str) -> NoReturn:
    raise getattr(errors, kind, errors.ProjectorError)(message)


def bounded(report: dict[str, Any]) -> dict[str, Any]:
    """A report whose lists a table and a page can hold. `solve-projector replay --report` writes all of them."""
    short = {name: value[:REPORT_ROWS_MAX] for name, value in report.items() if isinstance(value, list)}
    if "updates" in short:
        short["updates_complete"] = report["updates_complete"] and short["updates"] == report["updates"]
    return {**report, **short}


async def backfill(
    connection: KafkaConnection, settings: ApiSettings, on_progress: OnProgress, *, dry_run: bool
) -> dict[str, Any]:
    """Proves all counts against the log, and repairs them unless `dry_run`."""
    options = ReplayOptions(dry_run=dry_run, workers=settings.api_repair_workers)
    report = await replay(connection, settings, options, on_progress)
    return bounded(report.as_dict())


async def sync(
    connection: KafkaConnection, settings: ApiSettings, on_progress: OnProgress, *, dry_run: bool
) -> dict[str, Any]:
    """Compares the board with PostgreSQL, and rebuilds it unless `dry_run`."""
    topic, pause_s = connection.topic, settings.leaderboard_check_interval_s
    phase = "comparing"

    def on_pass(done: int, total: int) -> None:
        nonlocal phase
        on_progress(phase, done, total)
        if done == total and not dry_run:
            phase = "rebuilding"
            on_progress(phase, 0, 0)  # of an unknown total

    async with open_pool(settings) as pool, open_leaderboard(settings, topic) as board:
        if dry_run:
            found = await compare_board(pool, board, pause_s, on_pass)
        else:
            async with one_rebuild(pool):
                found = await rebuild_board(pool, board, topic, pause_s, on_pass)
    on_progress(phase, 1, 1)
    message = (
        f"Leaderboard checked: {found.added} missing, {found.changed} wrong, {found.removed} to remove"
        if dry_run
        else f"Leaderboard rebuilt: {found.added} added, {found.changed} corrected, {found.removed} removed"
    )
    return {"success": True, "message": message, "dry_run": dry_run, **asdict(found)}


async def main() -> int:
    """Works on the task until it is done, or until the server wants no more of it."""
    task, parent = await read_task()
    connection, settings = KafkaConnection(**task["connection"]), ApiSettings(**task["settings"])
    configure_logs(settings.log_level, settings.log_format)
    work = backfill if task["kind"] == "backfill" else sync
    doing = asyncio.create_task(work(connection, settings, lambda *step: say(progress=step), dry_run=task["dry_run"]))
    gone = asyncio.create_task(parent.read())
    await asyncio.wait([doing, gone], return_when=asyncio.FIRST_COMPLETED)
    if not doing.done():
        await cancel_and_wait([doing])
        return 0
    gone.cancel()
    with suppress(BrokenPipeError):
        return _say_end(doing)
    return 0


def _say_end(doing: "asyncio.Task[dict[str, Any]]") -> int:
    try:
        say(report=doing.result())
    except errors.ProjectorError as error:
        kind = errors.PermissionMissing if is_denied(error.__cause__) else type(error)
        say(error=kind.__name__, message=str(error))
    except Exception as error:
        if is_denied(error):
            say(error=errors.PermissionMissing.__name__, message=said_of(error))
            return 0
        if not isinstance(error, DATABASE_ERRORS) or classify(error) is not Failure.TRANSIENT:
            log.exception("a job failed", action="job_failed", error=str(error))
            return 1
        say(error=errors.DatabaseUnavailable.__name__, message=said_of(error))
    return 0


if __name__ == "__main__":
    sys.exit(run_on_fast_loop(main()))
