"""Reads the log into staging over all cores, with one process for each share of the partitions.

Processes rather than threads, because decoding is Python's work; plain subprocesses rather than a pool, so that a
worker can be killed and a killed replay leaves none running. A worker that fails ends the others, and the replay. A
small log is read by the replay's own process, because starting another one takes longer.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from solve_projector.domain.batch import Fingerprint
from solve_projector.errors import ReplayInterrupted
from solve_projector.replay.staging import EVERYTHING, Wanted, stage_ranges
from solve_projector.settings import ProjectorSettings
from solve_runtime.kafka_settings import KafkaConnection

Ranges = Mapping[int, tuple[int, int]]
LINE_LIMIT = 2**22
SMALL_LOG_RECORDS = 50_000


async def read_in_parallel(
    connection: KafkaConnection,
    settings: ProjectorSettings,
    ranges: Ranges,
    workers: int,
    on_read: Callable[[int], None],
    wanted: Wanted = EVERYTHING,
) -> dict[int, Fingerprint]:
    """Stages `[from, to)` of each partition; returns fingerprints. `on_read` gets the number of records staged since.

    Raises ReplayInterrupted with the error of a worker.
    """
    if not workers and sum(end - begin for begin, end in ranges.values()) < SMALL_LOG_RECORDS:
        return await stage_ranges(connection, settings, ranges, on_read, wanted)
    fingerprints: dict[int, Fingerprint] = {}
    try:
        async with asyncio.TaskGroup() as group:
            for share in shares(ranges, workers or os.cpu_count() or 1):
                task = {
                    "connection": plain(connection),
                    "settings": plain(settings),
                    "ranges": share,
                    "until": wanted.until.isoformat() if wanted.until else None,
                    "only": wanted.only,
                }
                group.create_task(_read_share(task, fingerprints, on_read))
    except* ReplayInterrupted as errors:
        raise errors.exceptions[0] from errors
    return fingerprints


def shares(ranges: Ranges, workers: int) -> list[dict[int, tuple[int, int]]]:
    """Spreads partitions over at most `workers` processes: the longest first, to the one with the least."""
    found: list[dict[int, tuple[int, int]]] = [{} for _ in range(workers)]
    loads = [0] * workers
    for partition, (begin, end) in sorted(ranges.items(), key=lambda item: item[1][0] - item[1][1]):
        if end > begin:
            least = loads.index(min(loads))
            found[least][partition] = (begin, end)
            loads[least] += end - begin
    return [share for share in found if share]


def plain(settings: Any) -> dict[str, Any]:
    """Settings with their secrets, for the pipe to a worker and nowhere else."""
    found = settings.model_dump(mode="json", exclude_none=True)
    for name in found:
        value = getattr(settings, name)
        if hasattr(value, "get_secret_value"):
            found[name] = value.get_secret_value()
    return dict(found)


async def _read_share(
    task: dict[str, Any], fingerprints: dict[int, Fingerprint], on_read: Callable[[int], None]
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "solve_projector.replay.worker",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LINE_LIMIT,
        start_new_session=True,  # Ctrl-C ends the replay, and that ends its workers
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
    try:
        process.stdin.write(json.dumps(task).encode() + b"\n")
        await process.stdin.drain()
        done = False
        async for line in process.stdout:
            said = json.loads(line)
            if "error" in said:
                raise ReplayInterrupted(said["error"])
            if "done" in said:
                fingerprints |= {int(partition): Fingerprint(*mark) for partition, mark in said["done"].items()}
                done = True
            else:
                on_read(said["read"])
        if not done:
            raise ReplayInterrupted(
                f"a worker ended with status {await process.wait()} before it was done; run the replay again"
            )
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
