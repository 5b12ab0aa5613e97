"""Measures each promise of the read model with a million users, beside what this machine can do at least.

The workload: 1,000,000 users with about ten million verdicts of a year, made inside PostgreSQL (`bench/crowd.sql`), one
of them with 10,000 solves, and their board in Redis. One `solve-api serve` process, asked at a fixed rate by an open
loop: an answer's time counts from when its question was due. Then the same log of new solves of 20,000 of these users,
projected into this database and, before and after it, into empty ones.
The floors: a bare FastAPI route asked likewise, a bare `SELECT 1`, and `COPY` of rows of verdicts.
"""

import argparse
import asyncio
from collections.abc import Mapping
from time import perf_counter
from typing import Any

import httpx

from bench.common import begin_quietly, finish, say
from bench.crowd import make_crowd
from bench.large import measure_projection
from bench.open_loop import Asked, ask_steadily, client_of, page
from bench.pages import UNLIMITED
from bench.processes import run, serving
from bench.questions import Promise, boards, champion, periods, searches
from bench.scale_floors import measure_floors
from solve_projector.leaderboard.redis_client import connect_redis
from solve_projector.settings import ProjectorSettings
from solve_runtime.console import print_lines, print_table, run_async, table
from solve_runtime.kafka_settings import KafkaConnection

WARM_UP_S = 120.0
WARM_UP_PAUSE_S = 1.0
WARM_UP_NUMBERS = 8  # as many as there are zones
MISSING = (404, 405, 422)
CHAMPION_SOLVES = 10_000


def main() -> None:
    """Writes `bench-results/scale.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--verdicts", type=int, default=10_000_000, help="about as many")
    parser.add_argument("--seconds", type=float, default=30, help="of each measure")
    parser.add_argument("--events", type=int, default=300_000, help="projected into the large database; 0: none")
    parser.add_argument("--json", action="store_true", help="print the result as it is written")
    options = parser.parse_args()
    begin_quietly(SOLVE_API_READ_RATE=UNLIMITED)
    result = run_async(lambda: measure(options))
    finish(result, "scale.json", show, as_json=options.json)


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures, by name."""
    connection, settings = KafkaConnection(), ProjectorSettings()
    say(f"making {options.users} users")
    crowd = await make_crowd(connection, options.users, options.verdicts, min(CHAMPION_SOLVES, options.verdicts))
    say("measuring the floors")
    result: dict[str, Any] = {
        "workload": crowd | {"seconds": options.seconds},
        "floors": await measure_floors(settings, options.seconds),
        "answers": {},
        "skipped": [],
    }
    users = options.users
    async with serving("solve_api", "serve", "--host", "127.0.0.1", "--port", "0", "--json") as api:
        for state, promises, source in (
            ("Redis in sync", boards(users), "redis"),
            ("periods", periods(), "redis"),
            ("search", searches(users), "redis"),
            ("the one with most", champion(), "redis"),
            ("Redis emptied", boards(users), "postgresql"),
        ):
            if source == "postgresql":
                await _empty_redis(settings)
            say(f"asking: {state}")
            answers, skipped = await _ask(api.url, promises, options.seconds, source)
            result["answers"][state] = answers
            result["skipped"] += [f"{state}: {one}" for one in skipped]
    if options.events:
        await run("solve_projector", "sync-leaderboard", "--json")  # it was emptied
        result["projection"] = await measure_projection(connection, settings, users, options.events)
    return result


async def _ask(
    url: str, promises: Mapping[str, Promise], seconds: float, source: str
) -> tuple[dict[str, Any], list[str]]:
    """The figures of each kind that there is, and what there is not."""
    async with client_of(url) as client:
        await _until_read_from(client, source)
        statuses = {name: await _warm_up(client, promise) for name, promise in promises.items()}
        asked = {name: one for name, one in promises.items() if statuses[name] not in MISSING}
        kinds = [Asked(name, page(client, one.path), one.rate) for name, one in asked.items()]
        found = await ask_steadily(kinds, seconds)
    figures = {
        name: answers.figures | {"a_second": asked[name].rate, "promised_p99_ms": asked[name].p99_ms}
        for name, answers in found.items()
    }
    return figures, [f"{name} answers {status}" for name, status in statuses.items() if status in MISSING]


async def _warm_up(client: httpx.AsyncClient, promise: Promise) -> int:
    """Asks until the first questions are answered, for a while; the last status, 0 where there was no answer."""
    deadline = perf_counter() + WARM_UP_S
    for number in range(WARM_UP_NUMBERS):
        while (status := (await _get(client, promise.path(number)))[0]) != httpx.codes.OK:
            if status in MISSING or perf_counter() > deadline:
                return status
            await asyncio.sleep(WARM_UP_PAUSE_S)
    return httpx.codes.OK


async def _until_read_from(client: httpx.AsyncClient, source: str) -> None:
    deadline = perf_counter() + WARM_UP_S
    while (await _get(client, "/api/leaderboard"))[1] != source:
        if perf_counter() > deadline:
            raise SystemExit(f"the leaderboard was not read from {source} within {WARM_UP_S:.0f} s")
        await asyncio.sleep(WARM_UP_PAUSE_S)


async def _get(client: httpx.AsyncClient, path: str) -> tuple[int, str | None]:
    """The status, and from which store a board was read."""
    try:
        found = await client.get(path)
    except httpx.HTTPError:
        return 0, None
    return found.status_code, found.headers.get("x-leaderboard-source")


async def _empty_redis(settings: ProjectorSettings) -> None:
    client = connect_redis(settings)
    try:
        async with client.session() as redis:
            await redis.delete(*[one async for one in redis.scan_iter(match=f"*{settings.leaderboard_prefix}*")])
    finally:
        await client.aclose()


def show(result: dict[str, Any]) -> None:
    """The tables for people."""
    crowd, floors = result["workload"], result["floors"]
    print_lines(f"{crowd['users']} users, {crowd['verdicts']} verdicts, {crowd['most_solved']} solves of one user")
    shown = table("asked", "while", "a second", "failed", "p50 ms", "p99 ms", "promised", "holds")
    for name in ("bare route", "SELECT 1"):
        shown.add_row(name, "floor", *_cells(floors[name]), "", "")
    for state, answers in result["answers"].items():
        for name, one in answers.items():
            holds = not one["failed"] and one["p99_ms"] <= one["promised_p99_ms"]
            shown.add_row(name, state, *_cells(one), f"{one['promised_p99_ms']:g}", "yes" if holds else "NO")
    print_table(shown)
    print_lines(f"COPY: {floors['copy_rows_per_s']} rows a second", *(f"skipped: {one}" for one in result["skipped"]))
    if projection := result.get("projection"):
        print_lines(
            f"projection: {projection['large']} events/s into this database, {projection['empty']} into empty ones: "
            f"{projection['ratio']:.2f} of it (promised: 0.8)"
        )


def _cells(figures: Mapping[str, float]) -> list[str]:
    return [f"{figures['a_second']:g}", *(str(figures[name]) for name in ("failed", "p50_ms", "p99_ms"))]


if __name__ == "__main__":
    main()
