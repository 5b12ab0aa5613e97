"""Reads the log into staging over all cores, with one process for each share of the partitions.

Processes rather than threads, because decoding is Python's work; plain subprocesses rather than a pool, so that a
worker can be killed and a killed replay leaves none running. A worker that fails ends the others, and the replay. A
small log is read by the replay's own process, because starting another one takes longer; so is every log if one
process is wanted.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any

from solve_projector.domain.batch import Fingerprint
from solve_projector.errors import ReplayInterrupted
from solve_projector.replay.staging import EVERYTHING, Wanted, stage_ranges
from solve_projector.settings import ProjectorSettings
from solve_runtime.child_process import ChildEnded, answers
from solve_runtime.kafka_settings import KafkaConnection

Ranges = Mapping[int, tuple[int, int]]
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
    small = sum(end - begin for begin, end in ranges.values()) < SMALL_LOG_RECORDS
    if workers == 1 or (not workers and small):
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
    done = False
    try:
        async with aclosing(answers("solve_projector.replay.worker", task)) as said:
            async for one in said:
                if "error" in one:
                    raise ReplayInterrupted(one["error"])
                if "done" in one:
                    fingerprints |= {int(partition): Fingerprint(*mark) for partition, mark in one["done"].items()}
                    done = True
                else:
                    on_read(one["read"])
    except ChildEnded as error:
        raise _lost(error.status) from error
    if not done:
        raise _lost(0)


def _lost(status: int) -> ReplayInterrupted:
    return ReplayInterrupted(f"a worker ended with status {status} before it was done; run the replay again")
