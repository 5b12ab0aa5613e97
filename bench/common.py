"""Shared parts of the benches: a quiet start, a session, progress on standard error, percentiles, a result on disk."""

import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

import asyncpg

from solve_projector.settings import ProjectorSettings
from solve_projector.store.postgresql import connect
from solve_runtime.console import print_lines
from solve_runtime.logs import configure_logs

RESULTS = Path("bench-results")


def begin_quietly(**environment: str) -> None:
    """Shows errors alone, also of the processes that are measured, which get the environment."""
    configure_logs("ERROR", "console")
    os.environ |= {"SOLVE_LOG_LEVEL": "ERROR"} | environment


@asynccontextmanager
async def open_database(settings: ProjectorSettings, *, replay: bool = False) -> AsyncIterator[asyncpg.Connection]:
    """A session, with a replay's limits where a statement is long; closed on exit."""
    database = await connect(settings, replay=replay)
    try:
        yield database
    finally:
        await database.close()


def say(what: str) -> None:
    """Where a long run is, for people."""
    print_lines(what, to_errors=True)


def percentile_ms(took_s: list[float], percent: int) -> float:
    """In milliseconds, of at least two."""
    return round(quantiles(took_s, n=100)[percent - 1] * 1000, 1)


def finish(result: dict[str, Any], name: str, show: Callable[[dict[str, Any]], None], *, as_json: bool = False) -> None:
    """Writes the result, and prints it: for people, or as it is written."""
    path = write_result(result, name)
    if as_json:
        print_lines(*json.dumps(result, indent=2).split("\n"))
    else:
        show(result)
        print_lines(f"written to {path}")


def write_result(result: dict[str, Any], name: str) -> Path:
    """Writes `bench-results/<name>`, and returns its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / name
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return path
