"""How does one process read its share of the log into staging? Started by `reading`, one for each core.

Told what to read by one line of JSON on standard input, it answers in lines of JSON: `read` (records since the last
line), `done` (fingerprints by partition) or `error`. It ends at once when standard input does: its replay is gone.
"""

import asyncio
import gc
import json
import os
import sys
from datetime import datetime
from typing import Any

import asyncpg
import structlog

from solve_projector.domain.batch import Fingerprint
from solve_projector.log.scan import open_scan
from solve_projector.replay.staging import Wanted, copy_rows, mark_records, stage
from solve_projector.settings import ProjectorSettings
from solve_projector.store.postgresql import DATABASE_ERRORS, connect
from solve_runtime.errors import SolveCountsError
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.logs import configure_logs

ORPHANED = 4


async def work(task: dict[str, Any]) -> None:
    """Reads `ranges` and copies what they say."""
    settings = ProjectorSettings(**task["settings"])
    wanted = Wanted(datetime.fromisoformat(task["until"]) if task["until"] else None, task["only"])
    ranges = {int(partition): (begin, end) for partition, (begin, end) in task["ranges"].items()}
    marks: dict[int, Fingerprint] = {}
    database = await connect(settings, replay=True)
    try:
        async with open_scan(KafkaConnection(**task["connection"])) as scan:
            async for records in scan.read(ranges):
                if records:
                    mark_records(marks, records)
                    await copy_rows(database, stage(records, wanted))
                    say(read=len(records))
    finally:
        await close(database)
    say(done=marks)


async def close(database: asyncpg.Connection) -> None:
    """By force where PostgreSQL no longer answers."""
    try:
        await database.close(timeout=5)
    except DATABASE_ERRORS:
        database.terminate()


def say(**words: Any) -> None:
    """One line to the replay."""
    print(json.dumps(words), flush=True)


async def main() -> None:
    """Reads the task, and works until it is done or nobody waits for it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    task = json.loads(await reader.readline())
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
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())
