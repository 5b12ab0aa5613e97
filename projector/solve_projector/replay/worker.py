"""A process that reads its share of the log into staging. Started by `worker_pool`.

Its task is one line of JSON on standard input; it answers in lines of JSON: `read` (records since the last line),
`done` (fingerprints by partition) or `error`. When standard input closes, its replay is gone and it ends at once.
"""

import asyncio
import gc
import os
from datetime import datetime
from typing import Any

import structlog

from solve_projector.replay.staging import Wanted, stage_ranges
from solve_projector.settings import ProjectorSettings
from solve_projector.store.postgresql import DATABASE_ERRORS
from solve_runtime.child_process import read_task, say
from solve_runtime.errors import SolveCountsError
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.logs import configure_logs
from solve_runtime.tasks import run_on_fast_loop

ORPHANED = 4


async def work(task: dict[str, Any]) -> None:
    """Stages the task's ranges."""
    wanted = Wanted(datetime.fromisoformat(task["until"]) if task["until"] else None, task["only"])
    ranges = {int(partition): (begin, end) for partition, (begin, end) in task["ranges"].items()}
    connection, settings = KafkaConnection(**task["connection"]), ProjectorSettings(**task["settings"])
    say(done=await stage_ranges(connection, settings, ranges, lambda number: say(read=number), wanted))


async def main() -> None:
    """Reads the task, and works until it is done or its replay has ended."""
    task, reader = await read_task()
    watching = asyncio.create_task(_end_with_the_replay(reader))
    try:
        await work(task)
    except SolveCountsError as error:
        say(error=str(error))
    except DATABASE_ERRORS as error:
        say(error=f"PostgreSQL: {str(error) or type(error).__name__}; run the replay again")
    watching.cancel()


async def _end_with_the_replay(reader: asyncio.StreamReader) -> None:
    await reader.read()
    os._exit(ORPHANED)


if __name__ == "__main__":
    configure_logs("ERROR", "console")
    structlog.contextvars.clear_contextvars()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    run_on_fast_loop(main())
